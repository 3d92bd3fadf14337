"""The whole stack against one of its nodes asked directly: every answer equal."""

from pathlib import Path

import pytest

from bench.oracle_stack import KINDS, measure

SEARCHES = 80
"""Besides the recorded ones; half as many of each other kind."""


@pytest.mark.slow
async def test_answers_through_miroir_equal_those_of_one_node(node_binary: str | None) -> None:
    """Searches, facet searches, lists and federated searches, over HTTP on both sides."""
    binary = None if node_binary is None else Path(node_binary)
    found = await measure(SEARCHES, seed=11, step=1, binary=binary, names=("movies", "cities"))
    assert not found["differing"]
    assert not found["others_differing"]
    assert found["equal"] == found["searches"] > SEARCHES
    assert found["with_hits"] >= 0.6 * found["searches"]
    assert all(found[f"{kind}_equal"] == found[kind] == SEARCHES // 2 for kind in KINDS)
