"""One connection to a node: a request out, its answer in, one after the other.

HTTP/1.1 as far as asking a node needs it, the parsing done by ``httptools`` (llhttp, strict). What always holds: an
answer is whole or an error, never a part; head and body are bounded; a connection on which anything but one whole
answer a request has come is not reusable. Who calls it: the pool makes it, the client asks over it. It must not know:
what is asked.

==============================================  ====================================================
the node                                        the answer
==============================================  ====================================================
gives a length, or sends chunks                 ends there; cut before, it is an error
gives neither                                   ends when the node closes
says ``Connection: close``, or speaks HTTP/1.0  counts, and the connection is not used again
sends 1xx first                                 the next message
changes the protocol (101)                      an error
sends anything that is not HTTP                 an error
==============================================  ====================================================
"""

import asyncio
from typing import NamedTuple, cast

import httptools

HEAD_BYTES_MAX = 64 * 1024
"""A node's head has some 200 bytes; what goes on for this long is no head."""

BODY_BYTES_MAX = 256 * 1024 * 1024
"""More than the largest list that is asked for, a hundred thousand documents of two kilobytes; parsing it takes five
times as much memory."""

_CONTINUED = range(100, 200)
_LENGTH, _ENCODING = b"content-length", b"transfer-encoding"


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes


class CutError(ConnectionError):
    """The connection ended before the answer did, or what came was no answer.

    Attributes:
        untouched: nothing of an answer had come.
    """

    def __init__(self, detail: str, *, untouched: bool = False) -> None:
        super().__init__(detail)
        self.untouched = untouched


class OverlongAnswerError(ConnectionError):
    """The answer is larger than any that is asked for."""


class Connection(asyncio.Protocol):
    """An open connection; made by ``asyncio``'s ``create_connection``.

    Args:
        loop: the one that is running.
        body_bytes_max: a larger answer is an error.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._loop = loop
        self._body_bytes_max = body_bytes_max
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._touched = self._in_body = self._framed = False
        self._head_bytes = self._body_bytes = 0
        self._body: list[bytes] = []
        self.reusable = True
        """Whether another request may be sent now."""

    def send(self, request: bytes, *, until_s: float) -> "asyncio.Future[Reply]":
        """Send a request in one write and return its answer to come. Whoever stops waiting closes the connection.

        Args:
            request: the whole of it.
            until_s: the loop's time at which the whole answer must have come.

        Raises (from the answer):
            TimeoutError: it had not.
            CutError: the connection ended, or what came was no answer.
            OverlongAnswerError: it is too large.
        """
        assert self._transport is not None, "made by create_connection"
        assert self.reusable, "one request after the other"
        self.reusable = self._touched = self._in_body = self._framed = False
        self._head_bytes = self._body_bytes = 0
        self._body = []
        self._waiter = self._loop.create_future()
        # A timer of its own: asyncio.timeout costs three times as much, on every question.
        self._timer = self._loop.call_at(until_s, self._fail, TimeoutError("no whole answer in time"))
        self._transport.write(request)
        return self._waiter

    def close(self) -> None:
        """Close at once; what is under way is dropped."""
        self.reusable = False
        self._end_wait()
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if self._waiter is None:
            # A node that speaks unasked is about to close, or confused: in both cases nothing may be sent after it.
            self.close()
            return
        self._touched = True
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._fail(OverlongAnswerError(str(error.__context__)))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(CutError(f"no HTTP answer: {error!r}"))
        if not self._in_body and self._head_bytes > HEAD_BYTES_MAX:
            self._fail(CutError(f"a head of more than {HEAD_BYTES_MAX} bytes"))

    def connection_lost(self, error: Exception | None) -> None:
        """End the answer where it lasts until the connection ends; else it is cut."""
        self.reusable = False
        if self._waiter is None:
            return
        if error is None and self._in_body and not self._framed:
            self._finish()
        else:
            detail = "closed by the node" if error is None else repr(error)
            self._fail(CutError(detail, untouched=not self._touched))

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self._waiter is None:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note whether the body's end is told, and refuse at once what will be too long."""
        name = name.lower()
        if name == _LENGTH:
            self._framed = True
            self._check_length(int(value))
        elif name == _ENCODING:
            self._framed = True

    def on_headers_complete(self) -> None:
        """Go on to the body, unless this is only a sign that an answer will come."""
        self._in_body = self._parser.get_status_code() not in _CONTINUED

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._body_bytes += len(data)
        self._check_length(self._body_bytes)
        self._body.append(data)

    def on_message_complete(self) -> None:
        """End the answer, unless it was only a sign that one will come."""
        if self._in_body and self._waiter is not None:
            assert self._transport is not None
            # An answer that came before all of its question had gone leaves the rest of the question on the line.
            self.reusable = self._parser.should_keep_alive() and not self._transport.get_write_buffer_size()
            self._finish()

    def _check_length(self, length: int) -> None:
        if length > self._body_bytes_max:
            raise OverlongAnswerError(f"an answer of more than {self._body_bytes_max} bytes")

    def _finish(self) -> None:
        body, self._body = self._body, []
        waiter = self._end_wait()
        if waiter is not None and not waiter.done():
            waiter.set_result(Reply(self._parser.get_status_code(), body[0] if len(body) == 1 else b"".join(body)))

    def _fail(self, error: Exception) -> None:
        waiter = self._end_wait()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
            waiter.exception()  # seen: whoever waited may be cancelled in this very moment, and never look
        self.close()

    def _end_wait(self) -> "asyncio.Future[Reply] | None":
        """Return who waits, if anybody, and let nobody wait any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiter, self._waiter = self._waiter, None
        return waiter
