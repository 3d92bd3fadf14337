"""A server of bytes: what it does with a connection is told by the test, so that it can break every rule of HTTP."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Self

Talk = Callable[["Line", int], Awaitable[None]]
"""What is done with one connection, given its number from 0 on; it is closed afterwards."""


class Line:
    """One connection, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Return the next request, whole."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0)
        return head + await self._reader.readexactly(length)

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a write of its own."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def wait_closed(self) -> None:
        """Return when the client has closed, or reset."""
        try:
            while await self._reader.read(1024):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Close with a reset."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class RawServer:
    """The server, on a free port of 127.0.0.1; used as a context.

    Attributes:
        lines: how many connections there were.
    """

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self.lines = 0
        self._talk = talk
        self._tls = tls
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Stop listening."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.lines = self.lines, self.lines + 1
        try:
            await self._talk(Line(reader, writer), number)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()


def answering(*pieces: bytes) -> Talk:
    """Return what answers every request with these pieces, until the client closes."""

    async def talk(line: Line, _number: int) -> None:
        while True:
            await line.request()
            await line.send(*pieces)

    return talk


def closing_after(*pieces: bytes) -> Talk:
    """Return what answers one request with these pieces and closes."""

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(*pieces)

    return talk
