"""Asking one node over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from query.gathered import is_verdict
from query.nodes.client import NodeClient
from query.ports import NodeQuestion
from schemas.errors import (
    NodeBusyError,
    NodeError,
    NodeForgotError,
    NodeFullError,
    NodeGarbledError,
    NodeRejectedError,
    NodeTimeoutError,
    NodeUnreachableError,
)
from schemas.events import NodeRecord
from schemas.ids import NodeId
from schemas.keys import derive_key
from tests.query.nodes.raw_server import Line, RawServer, answering, closing_after

MASTER_KEY = "a master key of a node"
KEY_UID = "6062abda-a5aa-4414-ac91-ecd7944c0f8d"
QUESTION = NodeQuestion("POST", "/indexes/m__1/search?a=b%2Fc", b'{"q":"x"}')

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[NodeRecord]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a node that answers everything with one handler."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> NodeRecord:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return NodeRecord(NodeId("n"), str(server.make_url("")), search_key=KEY_UID)

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def client() -> AsyncIterator[NodeClient]:
    """A client that may have two requests under way at a node."""
    async with NodeClient(MASTER_KEY, searches_max=2) as opened:
        yield opened


async def test_ask_sends_the_question_uncompressed_with_the_nodes_key(client: NodeClient, serve: Serve) -> None:
    """The path goes out as it is, the key is derived from the node's record, and no compression is asked for."""
    seen: list[tuple[str, str, dict[str, str]]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.raw_path, dict(request.headers)))
        return web.json_response({"hits": [], "body": (await request.read()).decode()})

    node = await serve(handler)
    answer = await client.ask(node, QUESTION, timeout_s=5.0)

    ((method, path, headers),) = seen
    assert answer == {"hits": [], "body": '{"q":"x"}'}
    assert (method, path) == ("POST", QUESTION.path)
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Authorization"] == f"Bearer {derive_key(MASTER_KEY, KEY_UID)}"
    assert headers["Content-Length"] == "9"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"code":"invalid_search_filter","message":"no"}', NodeRejectedError),
        (404, b'{"code":"index_not_found","message":"no"}', NodeRejectedError),
        (403, b'{"code":"invalid_api_key","message":"no"}', NodeForgotError),
        (401, b'{"code":"missing_authorization_header","message":"no"}', NodeForgotError),
        (503, b'{"code":"too_many_search_requests","message":"no"}', NodeBusyError),
        (429, b"", NodeBusyError),
        (500, b"", NodeRejectedError),
        (200, b"<html>", NodeGarbledError),
        (503, b"<html>", NodeBusyError),
    ],
)
async def test_ask_answer_that_is_no_success_is_a_typed_error(
    client: NodeClient, serve: Serve, status: int, body: bytes, kind: type[NodeError]
) -> None:
    """Each kind of refusal has its own error."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    node = await serve(handler)
    with pytest.raises(NodeError) as caught:
        await client.ask(node, QUESTION, timeout_s=5.0)

    assert type(caught.value) is kind


async def test_ask_rejection_carries_status_code_and_words(client: NodeClient, serve: Serve) -> None:
    """What the node said is kept apart from what we say about it."""

    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"code": "invalid_search_sort", "message": "because"}, status=400)

    node = await serve(handler)
    with pytest.raises(NodeRejectedError) as caught:
        await client.ask(node, QUESTION, timeout_s=5.0)

    assert (caught.value.status, caught.value.code, caught.value.message) == (400, "invalid_search_sort", "because")


async def test_ask_node_that_is_not_there_is_unreachable(client: NodeClient, unused_tcp_port: int) -> None:
    """A refused connection is told apart from a refusal."""
    node = NodeRecord(NodeId("n"), f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(NodeUnreachableError):
        await client.ask(node, QUESTION, timeout_s=5.0)


async def test_ask_late_node_times_out_and_more_than_allowed_is_busy(client: NodeClient, serve: Serve) -> None:
    """Questions beyond the bound are refused here, and room comes back when one has timed out."""
    arrived = asyncio.Semaphore(0)
    release = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        arrived.release()
        await release.wait()
        return web.json_response({"hits": []})

    node = await serve(handler)
    async with asyncio.TaskGroup() as group:
        late = [group.create_task(_outcome(client, node)) for _ in range(2)]
        await arrived.acquire()
        await arrived.acquire()
        with pytest.raises(NodeFullError):
            await client.ask(node, QUESTION, timeout_s=5.0)
    release.set()

    assert [type(task.result()) for task in late] == [NodeTimeoutError] * 2
    assert client.under_way(node.id) == 0


async def _outcome(client: NodeClient, node: NodeRecord) -> NodeError:
    with pytest.raises(NodeError) as caught:
        await client.ask(node, QUESTION, timeout_s=0.3)
    return caught.value


def raw_node(server: RawServer) -> NodeRecord:
    """Return the record of a node that is a server of bytes."""
    return NodeRecord(NodeId("n"), f"http://127.0.0.1:{server.port}", search_key=KEY_UID)


FOUND: dict[str, list[object]] = {"hits": []}
WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"hits":[]}'


async def test_ask_again_uses_the_same_connection(client: NodeClient) -> None:
    """Connections are made once and kept."""
    async with RawServer(answering(WHOLE)) as server:
        node = raw_node(server)
        answers = [await client.ask(node, QUESTION, timeout_s=5.0) for _ in range(3)]

    assert answers == [FOUND] * 3
    assert server.lines == 1


async def test_ask_over_a_connection_closed_meanwhile_is_asked_once_more(client: NodeClient) -> None:
    """Only over a new connection, and only where nothing of an answer had come."""

    async def talk(line: Line, number: int) -> None:
        await line.request()
        await line.send(WHOLE)
        if number == 0:
            await line.request()  # and close without a word, as a node does whose patience ends just now
        else:
            await line.wait_closed()

    async with RawServer(talk) as server:
        node = raw_node(server)
        answers = [await client.ask(node, QUESTION, timeout_s=5.0) for _ in range(2)]

        assert answers == [FOUND] * 2
        assert server.lines == 2


async def test_ask_node_that_closes_without_a_word_is_unreachable(client: NodeClient) -> None:
    """A new connection that is closed at once was no accident: nobody is asked in a loop."""
    async with RawServer(closing_after()) as server:
        node = raw_node(server)
        with pytest.raises(NodeUnreachableError) as caught:
            await client.ask(node, QUESTION, timeout_s=5.0)

    assert type(caught.value) is NodeUnreachableError
    assert server.lines == 1


async def test_ask_answer_cut_short_is_garbled_and_not_asked_again(client: NodeClient) -> None:
    """Also over a connection that was kept: something of an answer had come."""

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(WHOLE)
        await line.request()
        await line.send(WHOLE[:-1])

    async with RawServer(talk) as server:
        node = raw_node(server)
        await client.ask(node, QUESTION, timeout_s=5.0)
        with pytest.raises(NodeGarbledError):
            await client.ask(node, QUESTION, timeout_s=5.0)

    assert server.lines == 1


async def test_ask_answer_of_another_server_is_garbled(client: NodeClient, serve: Serve) -> None:
    """A page that says that it is being mended is no answer, whatever its status."""

    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"maintenance": True})

    node = await serve(handler)
    with pytest.raises(NodeGarbledError, match="without hits"):
        await client.ask(node, QUESTION, timeout_s=5.0)


async def test_ask_answer_too_large_is_no_fault_of_the_nodes(client: NodeClient) -> None:
    """The question is refused, with what to ask instead; the node is not taken for one that is gone."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
    async with RawServer(answering(head)) as server:
        node = raw_node(server)
        with pytest.raises(NodeRejectedError, match=r"smaller `limit`.*more than") as caught:
            await client.ask(node, QUESTION, timeout_s=5.0)

    assert (caught.value.status, caught.value.code) == (413, "payload_too_large")
    assert is_verdict(caught.value)


async def test_ask_cancelled_closes_its_connection(client: NodeClient) -> None:
    """The answer that still comes is never taken for the next question's."""
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def talk(line: Line, number: int) -> None:
        await line.request()
        if number == 0:
            arrived.set()
            await line.wait_closed()
            gone.set()
            return
        await line.send(WHOLE)
        await line.wait_closed()

    async with RawServer(talk) as server:
        node = raw_node(server)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(client.ask(node, QUESTION, timeout_s=5.0))
            await arrived.wait()
            task.cancel()
        await gone.wait()

        assert await client.ask(node, QUESTION, timeout_s=5.0) == FOUND
        assert client.under_way(node.id) == 0


@pytest.mark.parametrize("url", ["", "n1:7700", "http://n1:port"])
async def test_ask_node_whose_address_is_none_is_unreachable(client: NodeClient, url: str) -> None:
    """A record that was written wrongly fails like a node that is gone."""
    with pytest.raises(NodeUnreachableError):
        await client.ask(NodeRecord(NodeId("n"), url), QUESTION, timeout_s=5.0)
