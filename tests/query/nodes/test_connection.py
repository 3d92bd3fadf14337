"""One connection, against servers that keep to HTTP and servers that do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from query.nodes.connection import HEAD_BYTES_MAX, Connection, CutError, OverlongAnswerError, Reply
from tests.query.nodes.raw_server import Line, RawServer, Talk, answering, closing_after

REQUEST = b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 2\r\n\r\n[]"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LATE_S = 60.0


@asynccontextmanager
async def connected(talk: Talk, *, body_bytes_max: int = 1000) -> AsyncIterator[Connection]:
    """Yield a connection to a server that does this."""
    loop = asyncio.get_running_loop()
    async with RawServer(talk) as server:
        _, connection = await loop.create_connection(
            lambda: Connection(loop, body_bytes_max=body_bytes_max), "127.0.0.1", server.port
        )
        try:
            yield connection
        finally:
            connection.close()


async def asked(connection: Connection, *, timeout_s: float = LATE_S) -> Reply:
    """Ask, and return the answer."""
    return await connection.send(REQUEST, until_s=asyncio.get_running_loop().time() + timeout_s)


WHOLE_ANSWERS = {
    "length": (WHOLE, Reply(200, b"[]")),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", Reply(200, b"")),
    "no-content": (b"HTTP/1.1 204 No Content\r\n\r\n", Reply(204, b"")),
    "chunks": (CHUNKED + b"1\r\n[\r\n1;x=y\r\n]\r\n0\r\n\r\n", Reply(200, b"[]")),
    "trailers": (CHUNKED + b"2\r\n[]\r\n0\r\nX-Late: yes\r\n\r\n", Reply(200, b"[]")),
    "continue-first": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + WHOLE, Reply(200, b"[]")),
    "refusal": (b"HTTP/1.1 400 Bad Request\r\ncontent-LENGTH: 2\r\n\r\n{}", Reply(400, b"{}")),
}


@pytest.mark.parametrize(("answer", "reply"), WHOLE_ANSWERS.values(), ids=WHOLE_ANSWERS)
async def test_send_whole_answer_comes_back_and_the_connection_is_used_again(answer: bytes, reply: Reply) -> None:
    """However an answer says where it ends, in one piece or byte by byte, the next one is another."""
    bytewise = [answer[at : at + 1] for at in range(len(answer))]
    for pieces in ([answer], bytewise):
        async with connected(answering(*pieces)) as connection:
            for _ in range(3):
                assert connection.reusable
                assert await asked(connection) == reply


LAST_ANSWERS = {
    "until-close": (OK + b"\r\n[1,2]", Reply(200, b"[1,2]")),
    "says-close": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n[]", Reply(200, b"[]")),
    "http-1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]", Reply(200, b"[]")),
    "more-than-asked": (WHOLE + WHOLE, Reply(200, b"[]")),
    "rubbish-behind": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n[]xyz", Reply(200, b"[]")),
}


@pytest.mark.parametrize(("answer", "reply"), LAST_ANSWERS.values(), ids=LAST_ANSWERS)
async def test_send_answer_that_ends_the_connection_counts(answer: bytes, reply: Reply) -> None:
    """The answer is whole, and the connection is not used again."""
    async with connected(closing_after(answer)) as connection:
        assert await asked(connection) == reply
        assert not connection.reusable


CUT_ANSWERS = {
    "in-the-status": OK[:7],
    "in-the-head": OK + b"Content-Le",
    "in-the-body": OK + b"Content-Length: 20\r\n\r\n[]",
    "in-a-chunk": CHUNKED + b"9\r\n[]",
    "between-chunks": CHUNKED + b"2\r\n[]\r\n",
    "after-continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "no-http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "two-lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
    "length-and-chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n[]",
    "bad-length": OK + b"Content-Length: -2\r\n\r\n[]",
    "other-protocol": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("answer", CUT_ANSWERS.values(), ids=CUT_ANSWERS)
async def test_send_part_of_an_answer_is_an_error(answer: bytes) -> None:
    """What is cut short, or no HTTP at all, is never taken for an answer."""
    async with connected(closing_after(answer)) as connection:
        with pytest.raises(CutError) as caught:
            await asked(connection)

    assert not caught.value.untouched
    assert not connection.reusable


async def test_send_closed_before_any_answer_is_told_apart() -> None:
    """Only where not a byte has come may the question be put again."""
    async with connected(closing_after()) as connection:
        with pytest.raises(CutError) as caught:
            await asked(connection)

    assert caught.value.untouched


async def test_send_reset_half_way_is_an_error() -> None:
    """A reset is no end of an answer, not even of one that lasts until the connection ends."""
    read = asyncio.Event()

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(OK + b"\r\n[1,")
        await read.wait()
        line.reset()

    async with connected(talk) as connection:
        answer = connection.send(REQUEST, until_s=asyncio.get_running_loop().time() + LATE_S)
        read.set()
        with pytest.raises(CutError):
            await answer


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 1001\r\n\r\n",
        CHUNKED + b"3e9\r\n" + 1001 * b"x",
        OK + b"\r\n" + 1001 * b"x",
    ],
    ids=["length", "chunks", "until-close"],
)
async def test_send_answer_beyond_the_bound_is_refused(answer: bytes) -> None:
    """However it comes, an answer that is too large is not kept."""
    async with connected(answering(answer)) as connection:
        with pytest.raises(OverlongAnswerError):
            await asked(connection)

    assert not connection.reusable


@pytest.mark.parametrize(
    "line", [b"X-More: " + 1000 * b"y" + b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["headers", "continues"]
)
async def test_send_head_without_end_is_refused(line: bytes) -> None:
    """A head is bounded, and so are answers that only say that an answer will come."""
    begin = OK if line.startswith(b"X") else b""
    async with connected(answering(begin, *[line * 100] * (1 + HEAD_BYTES_MAX // len(line) // 100))) as connection:
        with pytest.raises(CutError, match="head"):
            await asked(connection)


async def test_send_dripping_answer_ends_at_the_deadline() -> None:
    """Bytes that keep coming do not move the deadline."""

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(OK + b"\r\n")
        while True:
            await line.send(b"x")
            await asyncio.sleep(0.01)

    async with connected(talk) as connection:
        with pytest.raises(TimeoutError):
            await asked(connection, timeout_s=0.1)

        assert not connection.reusable


async def test_send_nobody_waits_any_more_and_the_server_sees_the_end() -> None:
    """Who stops waiting closes; a late answer has nowhere to go."""
    gone = asyncio.Event()

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.wait_closed()
        gone.set()

    async with connected(talk) as connection:
        answer = connection.send(REQUEST, until_s=asyncio.get_running_loop().time() + LATE_S)
        answer.cancel()
        connection.close()
        await gone.wait()

        assert not connection.reusable


async def test_idle_connection_that_is_spoken_to_is_closed() -> None:
    """What a node says unasked, such as that it will close, is no answer to the next question."""
    speak, gone = asyncio.Event(), asyncio.Event()

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(WHOLE)
        await speak.wait()
        await line.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await line.wait_closed()
        gone.set()

    async with connected(talk) as connection:
        await asked(connection)
        speak.set()
        await gone.wait()

        assert not connection.reusable


def test_connection_behaves_alike_on_uvloop() -> None:
    """The service's own event loop has transports of its own."""

    async def scenario() -> None:
        async with connected(answering(WHOLE)) as connection:
            assert [await asked(connection) for _ in range(2)] == [Reply(200, b"[]")] * 2
        async with connected(closing_after(OK + b"\r\n[]")) as connection:
            assert await asked(connection) == Reply(200, b"[]")
        async with connected(closing_after(OK + b"Content-Length: 3\r\n\r\n[]")) as connection:
            with pytest.raises(CutError):
                await asked(connection)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
