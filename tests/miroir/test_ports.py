"""Ports are free when they are chosen."""

import socket

from miroir.ports import HOST, PORTS, free_port, is_free, keep_or_choose


def test_free_port_chosen_is_free() -> None:
    """A port that was chosen can be bound."""
    port = free_port()

    assert is_free(port)
    assert port in PORTS


def test_is_free_listening_port_is_taken() -> None:
    """A port that somebody listens on is not free, and is not kept."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        taken = server.getsockname()[1]

        assert not is_free(taken)
        assert keep_or_choose(taken) != taken


def test_keep_or_choose_free_port_is_kept() -> None:
    """A remembered port that is free is used again."""
    port = free_port()

    assert keep_or_choose(port) == port
    assert keep_or_choose(None) > 0
