"""Waiting for moves."""

import io
from typing import Any

import httpx
import orjson
import pytest
from rich.console import Console

from miroir.client import QueryClient
from miroir.rebalance import fetch_moves, has_joined, is_empty, is_in_state, is_settled, watch_moves
from schemas.errors import MiroirError


def make_moves(copies: int, *, leaving: int = 0, state: str = "draining") -> dict[str, Any]:
    """Return what the query service answers of a node with so many copies."""
    nothing: dict[str, Any] = {name: [] for name in ("building", "waiting", "surplus", "leaving")}
    nodes = {"n1": {"state": state, "copies": copies, "leaving": leaving}}
    return {"done": copies + leaving == 0, "nodes": nodes, **nothing}


def client_of(*answers: dict[str, Any]) -> QueryClient:
    """Return a client of a service that gives these answers one after the other, the last again and again."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(200, content=orjson.dumps(found))

    client = QueryClient("http://query")
    client._http = httpx.AsyncClient(base_url="http://query", transport=httpx.MockTransport(answer))
    return client


def test_predicates_tell_of_nodes() -> None:
    """A node that is not there holds nothing and has no state."""
    assert is_empty("n1")(make_moves(0))
    assert not is_empty("n1")(make_moves(0, leaving=1))
    assert is_empty("gone")(make_moves(3))
    assert is_in_state("n1", "draining")(make_moves(3))
    assert is_in_state("gone", "")(make_moves(3))
    assert not is_settled(make_moves(1))
    assert has_joined("n1")(make_moves(0))
    assert not has_joined("n1")(make_moves(0, state="joining"))
    assert not has_joined("gone")(make_moves(0))


async def test_watching_ends_when_it_is_done() -> None:
    """It looks until then, and returns what it saw last."""
    console = Console(file=io.StringIO())
    async with client_of(make_moves(2), make_moves(0)) as client:
        assert await watch_moves(client, is_empty("n1"), console) == make_moves(0)


async def test_watching_in_vain_says_where_to_look() -> None:
    """After the time that it was given."""
    async with client_of(make_moves(2)) as client:
        assert await fetch_moves(client) == make_moves(2)
        with pytest.raises(MiroirError, match="rebalance status"):
            await watch_moves(client, is_settled, Console(file=io.StringIO()), timeout_s=0.0)
