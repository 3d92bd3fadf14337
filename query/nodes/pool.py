"""Connections to nodes, kept open between questions.

What always holds: the one used last is used next, so that those no longer needed grow old and are closed; how many
there are is bounded by how many questions may be under way, which is the client's. Who calls it: the client. It must
not know: what is asked.
"""

import asyncio
import ssl

from query.nodes.connection import Connection
from query.nodes.request import Origin

KEPT_ALIVE_S = 60.0
"""Below a node's own keep-alive, so that a connection is seldom closed under a request."""

SWEEP_S = 15.0
"""Between two looks for connections that have been idle for longer."""

CONNECT_S = 2.0
"""A node in reach accepts within milliseconds; one whose host is gone must not eat a search's whole deadline."""


class ConnectionPool:
    """Idle connections by origin.

    Args:
        loop: the one that is running.
        tls: how nodes with https are verified; None is as the system does.
        kept_s: how long a connection is kept idle.
        sweep_s: between two looks for those kept longer.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tls: ssl.SSLContext | None = None,
        *,
        kept_s: float = KEPT_ALIVE_S,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._loop = loop
        self._tls = tls
        self._kept_s = kept_s
        self._sweep_s = sweep_s
        self._idle: dict[Origin, list[tuple[Connection, float]]] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, origin: Origin) -> Connection | None:
        """Return an idle connection, which is the caller's from then on; None where there is none."""
        idle = self._idle.get(origin)
        while idle:
            connection, _ = idle.pop()
            if connection.reusable:
                return connection
        return None

    async def connect(self, origin: Origin, *, until_s: float) -> Connection:
        """Return a new connection, which is the caller's. Cancelling leaves nothing behind.

        Raises:
            OSError: refused, unknown, or its certificate is not good.
            TimeoutError: not accepted within ``CONNECT_S`` seconds, or by ``until_s``, the loop's time.
        """
        if origin.tls and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)  # reads files
        async with asyncio.timeout_at(min(until_s, self._loop.time() + CONNECT_S)):
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._loop), origin.host, origin.port, ssl=self._tls if origin.tls else None
            )
        return connection

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for the next question, or close it where it cannot be used again."""
        if not connection.reusable:
            connection.close()
            return
        self._idle.setdefault(origin, []).append((connection, self._loop.time()))
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._sweep_s, self._sweep)

    def idle(self, origin: Origin) -> int:
        """Return how many connections are kept."""
        return len(self._idle.get(origin, ()))

    def close(self) -> None:
        """Close what is kept."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for idle in self._idle.values():
            for connection, _ in idle:
                connection.close()
        self._idle.clear()

    def _sweep(self) -> None:
        """Close what has not been used for long, also of nodes that nobody asks any more."""
        oldest_s = self._loop.time() - self._kept_s
        for origin, idle in list(self._idle.items()):
            kept = []
            for connection, since_s in idle:
                if connection.reusable and since_s > oldest_s:
                    kept.append((connection, since_s))
                else:
                    connection.close()
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        self._sweeper = self._loop.call_later(self._sweep_s, self._sweep) if self._idle else None
