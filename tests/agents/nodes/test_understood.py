"""Whatever answers at a node's address, its clients raise errors of nodes, and come to an end."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agents.node_admin import KeyRole
from agents.nodes.admin import HttpNodeAdmin
from agents.nodes.understood import next_page, understood
from agents.nodes.writer import HttpNodeWriter
from agents.posts import ShardSlice, build_parts
from schemas.errors import NodeError, NodeGarbledError
from schemas.ids import Incarnation, NodeId, NodeIndexUid, Position, ShardId, TaskUid
from schemas.posts import PositionRange

NODE = NodeId("n1")
INDEX = NodeIndexUid("films__1")

ANSWERS: Mapping[str, tuple[int, bytes]] = {
    "nothing": (200, b""),
    "an empty object": (200, b"{}"),
    "an empty list": (200, b"[]"),
    "null": (200, b"null"),
    "a text": (200, b'"maintenance"'),
    "a page": (200, b"<html>"),
    "no numbers": (202, b'{"taskUid":"a","total":"b","results":[{"uid":"a"}],"next":null,"pkgVersion":1}'),
    "lists of numbers": (200, b'{"taskUid":1,"total":9,"results":[1,2],"next":null}'),
    "null lists": (200, b'{"taskUid":null,"total":null,"results":null,"next":null}'),
    "a list without an end": (200, b'{"total":9,"results":[],"next":0}'),
    "a batch that is a list": (
        200,
        b'{"results":[{"uid":1,"indexUid":3,"status":[],"enqueuedAt":{},"batchUid":[]}],"total":1,"next":null}',
    ),
    "an error that is a list": (500, b"[]"),
    "an error that is a text": (403, b'"no"'),
    "an error without a code": (404, b"{}"),
}
"""What may be answered, as status and body."""

(PART,) = build_parts("w-1", Incarnation(1), {ShardId(0): ShardSlice(PositionRange(Position(0), Position(1)), ())})

Call = Callable[[HttpNodeWriter, HttpNodeAdmin], Awaitable[object]]

CALLS: Mapping[str, Call] = {
    "post": lambda writer, _: writer.post(INDEX, PART),
    "drop": lambda writer, _: writer.drop(INDEX, "a = 1", "{}"),
    "clear": lambda writer, _: writer.clear(INDEX, "{}"),
    "tasks": lambda writer, _: writer.tasks_from(0),
    "settings version": lambda writer, _: writer.settings_version(INDEX),
    "documents": lambda writer, _: writer.documents(INDEX, ["1"]),
    "accepts": lambda writer, _: writer.accepts("key"),
    "version": lambda _, admin: admin.fetch_version(),
    "keys": lambda _, admin: admin.fetch_keys(),
    "new key": lambda _, admin: admin.create_key("uid", KeyRole.WORKER, "here"),
    "indexes": lambda _, admin: admin.fetch_indexes(),
    "synonyms": lambda _, admin: admin.fetch_synonyms(INDEX),
    "newest task": lambda _, admin: admin.fetch_newest_task(),
    "a task": lambda _, admin: admin.fetch_task(TaskUid(1)),
    "task count": lambda _, admin: admin.fetch_task_count(),
    "all tasks": lambda _, admin: admin.fetch_tasks(),
    "new index": lambda _, admin: admin.create_index(INDEX, None),
    "checkpoint": lambda _, admin: admin.post_checkpoint(INDEX, "{}"),
}
"""Everything that is asked of a node."""


@pytest.fixture(params=ANSWERS)
async def clients(request: pytest.FixtureRequest) -> AsyncIterator[tuple[HttpNodeWriter, HttpNodeAdmin]]:
    """Both clients of a server that answers everything alike."""
    status, body = ANSWERS[request.param]

    async def answer(asked: web.Request) -> web.Response:
        await asked.read()
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        url = str(server.make_url("/"))
        writer = HttpNodeWriter(NODE, url, "key", timeout_s=10)
        admin = HttpNodeAdmin(NODE, url, "master", timeout_s=10)
        yield writer, admin
        await writer.close()
        await admin.close()


async def test_answers_of_another_server_are_errors_of_the_node(clients: tuple[HttpNodeWriter, HttpNodeAdmin]) -> None:
    """An error of any other kind would end the process that looks after all nodes."""
    strange: dict[str, str] = {}
    for name, call in CALLS.items():
        try:
            await call(*clients)
        except NodeError:
            continue
        except Exception as error:  # noqa: BLE001 - which ones there are is the question
            strange[name] = repr(error)

    assert strange == {}


@pytest.mark.parametrize("error", [KeyError("a"), IndexError(), TypeError(), ValueError(), AttributeError()], ids=repr)
def test_fault_of_reading_is_a_garbled_answer(error: Exception) -> None:
    """It names the node, and what was asked of it."""
    with (
        pytest.raises(NodeGarbledError, match="node n1: look: answered, but not as") as caught,
        understood(NODE, "look"),
    ):
        raise error

    assert caught.value.__cause__ is error


def test_next_page_goes_upwards_or_ends() -> None:
    """A list that is told to begin where it stands would be read for ever."""
    assert (next_page(3, 7), next_page(3, None)) == (7, None)
    for following in (3, 2, "7", 7.5):
        with pytest.raises(ValueError, match="the page behind 3"):
            next_page(3, following)
