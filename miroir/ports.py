"""Ports of 127.0.0.1 for processes that must be told theirs.

What always holds: a port chosen here is none that the system gives to outgoing connections, so it stays free until its
process binds it unless another server takes it; whoever starts a process on it learns that from the process. Who calls
it: the local stack, tests. It must not know: what listens there.
"""

import secrets
import socket

HOST = "127.0.0.1"
"""The local stack listens on loopback only."""

PORTS = range(15_000, 32_000)
"""Where ports are chosen from. Linux takes the port of an outgoing connection from 32768 on (``ip_local_port_range``),
macOS from 49152: one that the system proposed for binding can be some client's a moment later."""

TRIES_MAX = 1_000
"""So many ports are tried: on a machine where that many are taken something else is wrong."""


def free_port() -> int:
    """Return a port, chosen at random, that nobody listens on just now.

    Raises:
        OSError: none was found.
    """
    for _ in range(TRIES_MAX):
        port = secrets.choice(PORTS)
        if is_free(port):
            return port
    raise OSError(f"none of {TRIES_MAX} ports from {PORTS.start} to {PORTS.stop} is free")


def is_free(port: int) -> bool:
    """Return whether nobody listens on the port."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def keep_or_choose(port: int | None) -> int:
    """Return the port where it is free, else another that is."""
    return port if port and is_free(port) else free_port()
