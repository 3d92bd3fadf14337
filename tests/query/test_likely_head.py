"""How many hits a node is asked for at first."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.likely_head import likely_length
from query.rewrite import head_length
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchRequest
from schemas.ids import NodeId, ShardId

RULES = IndexRules(index="films", primary_key="id")


def parts(*sizes: int) -> list[Part]:
    """Return parts of so many shards."""
    return [Part(NodeId(f"n{at}"), tuple(ShardId(at * 100 + n) for n in range(size))) for at, size in enumerate(sizes)]


@given(st.integers(0, 900), st.integers(0, 100), st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_never_more_than_the_whole_head(offset: int, limit: int, sizes: list[int]) -> None:
    """Whatever the window and the parts; of one part all."""
    search = SearchRequest(q="a", offset=offset, limit=limit)

    found = likely_length(search, RULES, parts(*sizes))

    assert found <= head_length(search, RULES)
    assert found == head_length(search, RULES) or len(sizes) > 1


@pytest.mark.parametrize(("limit", "sizes"), [(20, (4, 4, 4)), (20, (6, 6)), (100, (1,) * 10), (1000, (4, 4, 4))])
def test_more_than_asked_for_is_as_rare_as_said(limit: int, sizes: tuple[int, ...]) -> None:
    """By the binomial distribution itself: of a thousand searches some two need a node again."""
    share = max(sizes) / sum(sizes)
    length = likely_length(SearchRequest(q="a", limit=limit), RULES, parts(*sizes))

    above = sum(comb(limit, n) * share**n * (1 - share) ** (limit - n) for n in range(length + 1, limit + 1))

    assert length < limit
    assert above < 0.002


def test_share_is_of_what_is_asked_not_of_what_there_is() -> None:
    """Where shards are missing, those that are there hold all that is found."""
    search = SearchRequest(q="a", limit=1000)

    assert likely_length(search, RULES, parts(4, 4)) > likely_length(search, RULES, parts(4, 4, 4)) > 333


@pytest.mark.parametrize("search", [SearchRequest(), SearchRequest(q=""), SearchRequest(q="a", distinct="kind")])
def test_all_are_asked_for_where_chance_does_not_spread_them(search: SearchRequest) -> None:
    """Hits that all tie, and windows that depend on how many hits were looked at."""
    assert likely_length(search, RULES, parts(4, 4, 4)) == head_length(search, RULES)
