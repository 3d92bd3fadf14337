"""Sharded answers held against one node's: what counts as equal."""

from typing import Any

import pytest

from bench.oracle import compare
from bench.oracle_stack import compare_federated


def answer(*ids: int, score: float = 1.0, **fields: int) -> dict[str, Any]:
    """Return an answer whose hits all tie."""
    details = {"words": {"order": 0, "matchingWords": 1, "score": score}}
    hits = [{"id": each, "_rankingScore": score, "_rankingScoreDetails": details} for each in ids]
    federated = [{**hit, "_federation": {"weightedRankingScore": score}} for hit in hits]
    return {"hits": federated, "limit": 2, "offset": 0, "estimatedTotalHits": len(ids), **fields}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"limit": 3}, ["hits"]),
        ({"limit": 2}, []),
        ({"limit": 3, "offset": 4}, []),
    ],
    ids=["a whole list", "a beginning that may go on", "an end that began before"],
)
def test_wrong_documents_of_the_right_rank_are_found(fields: dict[str, int], found: list[str]) -> None:
    """Also where all hits are one tie, unless it may go on outside of the window."""
    own, wanted = answer(1, 2, **fields), answer(3, 4, **fields)

    assert compare({}, own, wanted, distinct=False, inexact_total=False) == found
    assert compare({}, own, answer(2, 1, **fields), distinct=False, inexact_total=False) == []


@pytest.mark.parametrize(("total", "found"), [(2, ["hits"]), (3, [])], ids=["a whole list", "a beginning"])
def test_wrong_documents_of_a_federated_list_are_found(total: int, found: list[str]) -> None:
    """Scores alone are no proof."""
    own, wanted = answer(1, 2, estimatedTotalHits=total), answer(3, 4, estimatedTotalHits=total)

    assert compare_federated(own, wanted) == found
