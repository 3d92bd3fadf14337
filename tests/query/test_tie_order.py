"""Where hits that tie stand, held against the merge that places them one by one."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from query.merge import merge_hits
from query.search import Window
from query.tie_order import Run, TieOrder


@st.composite
def id_lists(draw: st.DrawFn) -> list[list[int | str]]:
    """Up to four lists of ids, each in an order of its own; numbers, texts, or both."""
    kinds = draw(st.sampled_from([(int,), (str,), (int, str)]))
    ids = draw(st.lists(st.integers(0, 60), unique=True, max_size=40))
    named = [kinds[number % len(kinds)](number) for number in ids]
    owners = draw(st.lists(st.integers(0, 3), min_size=len(named), max_size=len(named)))
    lists = [[each for each, owner in zip(named, owners, strict=True) if owner == node] for node in range(4)]
    return [sorted(own, key=str) if draw(st.booleans()) else own for own in lists]


def _hits(ids: Sequence[int | str]) -> list[dict[str, Any]]:
    return [{"id": identity, "_rankingScoreDetails": {}} for identity in ids]


@given(id_lists(), st.data())
def test_part_of_a_tie_is_that_of_the_merge(lists: list[list[int | str]], data: st.DataObject) -> None:
    """Any part, and what comes before it in each list, is what merging all of them gives."""
    hits = [_hits(own) for own in lists]
    size = sum(map(len, lists))
    offset = data.draw(st.integers(0, max(0, size - 1)))
    part = Window(offset, data.draw(st.integers(1, max(1, size - offset))))
    order = TieOrder(hits, "id")
    tie = [Run(number, 0, len(own)) for number, own in enumerate(lists) if own]
    whole = merge_hits(hits, Window(0, size), primary_key="id")
    entries = list(zip(whole.sources, whole.places, strict=True))

    for _ in range(2):  # the second time from what was kept
        before, within = order.cut(tie, part)

        assert within == entries[part.offset : part.offset + part.limit]
        sources = whole.sources[: part.offset]
        assert list(before) == [sources.count(run.source) for run in tie]


def test_run_within_a_list_begins_anew() -> None:
    """A larger id in front of a run does not count for it: what ties begins there."""
    order = TieOrder([_hits([9, 1, 2]), _hits([3])], "id")

    before, within = order.cut([Run(0, 1, 2), Run(1, 0, 1)], Window(1, 2))

    assert (list(before), within) == ([1, 0], [(0, 2), (1, 0)])


def test_ids_that_are_equal_stand_in_the_order_of_the_lists() -> None:
    """The same id on two nodes, as during a move, has a place all the same."""
    order = TieOrder([_hits([1, 2]), _hits([1, 2])], "id")

    parts = [order.cut([Run(0, 0, 2), Run(1, 0, 2)], Window(offset, 1)) for offset in range(4)]

    assert [within for _, within in parts] == [[(0, 0)], [(1, 0)], [(0, 1)], [(1, 1)]]
    assert [list(before) for before, _ in parts] == [[0, 0], [1, 0], [1, 1], [2, 1]]
