"""Counts of fields out of what nodes count over all their copies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.field_counts import estimate_field_counts, see_copies
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, SettingsVersion, ShardId
from schemas.progress import Progress
from streams.marker import MARKER_FIELD

counts = st.dictionaries(st.sampled_from(["id", "title", "year"]), st.integers(1, 1000), min_size=1)


@given(counts, st.integers(1, 4))
def test_field_counts_of_equal_copies_are_exact(true: dict[str, int], copies: int) -> None:
    """Where every document has as many copies, the counts are the documents' own, without the marker."""
    documents = max(true.values())
    on_each = {**true, MARKER_FIELD: documents}

    found = estimate_field_counts([on_each] * copies, documents=documents, held=documents * copies)

    assert found == true


def test_field_counts_of_nothing_are_empty() -> None:
    """An empty index has no fields."""
    assert estimate_field_counts([{}, {}], documents=0, held=0) == {}


def _progress(cursor: int, end: int = 10, *, away: bool = False) -> Progress:
    return Progress(
        IndexUid("i"),
        Incarnation(1),
        ShardId(0),
        NodeId("a"),
        Attempt(0),
        Position(cursor),
        Position(end),
        SettingsVersion(1),
        seen_ms=1,
        away=away,
    )


def test_copies_at_the_end_and_alike_are_exact() -> None:
    """Every shard with equally many copies, all at the end."""
    copies = [[_progress(10), _progress(10)], [_progress(10), _progress(10)]]

    assert see_copies(copies, leaving=False).are_exact
    assert not see_copies([copies[0][:1], copies[1]], leaving=False).are_exact


def test_copies_beside_others_that_leave_are_not_exact() -> None:
    """Nodes count what is being dropped as long as it is there."""
    assert not see_copies([[_progress(10)]], leaving=True).are_exact


@pytest.mark.parametrize("copies", [[], [None], [_progress(9)], [_progress(10), _progress(10, away=True)]])
def test_copies_behind_or_unseen_lag(copies: list[Progress | None]) -> None:
    """One copy that may not have everything is enough."""
    assert see_copies([[_progress(10)], copies], leaving=False).lagging == (1,)
