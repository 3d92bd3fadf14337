"""What is published of a replica, and when."""

from dataclasses import replace

import pytest

from agents.progress import (
    FORGET_S,
    NEAR_MS,
    Sight,
    at_end_ms,
    build_next_progress,
    find_forgotten,
    is_due,
    lag_ms,
)
from schemas.events import ReplicaRecord, ReplicaState
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, SettingsVersion, ShardId
from schemas.progress import REPEAT_S, Progress, build_progress_key
from streams.cursor import NO_ATTEMPT, UNTOUCHED, ShardCursor
from streams.readable import ProgressView
from tests.agents.test_window import make_operations
from tests.builders import make_index, make_topology

SEEN = Progress(
    IndexUid("films"),
    Incarnation(1),
    ShardId(0),
    NodeId("a"),
    Attempt(1),
    Position(5),
    Position(9),
    SettingsVersion(1),
    0,
)


REPLICA = ReplicaRecord(SEEN.uid, SEEN.incarnation, SEEN.shard, SEEN.node, SEEN.attempt)


def make_sight(cursor: ShardCursor | None, *, replica: ReplicaRecord = REPLICA) -> Sight:
    """Return what is seen of the replica, in a log that ends at 9."""
    return Sight(replica, cursor, Position(9), SettingsVersion(1), "key", "log")


def test_replica_that_its_node_tells_of_is_published_as_it_stands() -> None:
    """Its cursor, its attempt, and how long the oldest record that is not visible has waited."""
    found = build_next_progress(
        make_sight(ShardCursor(Position(5), Attempt(1))), None, [make_operations(5, 9)], now_ms=70
    )

    assert found is not None
    assert (found.attempt, found.cursor, found.end, found.lag_ms, found.away) == (1, 5, 9, 70, False)
    assert (found.node_key, found.log) == ("key", "log")


def test_differing_documents_are_told_of_as_long_as_the_attempt_lasts() -> None:
    """Also by an owner that has not looked yet; a copy that begins anew has none."""
    sight = replace(make_sight(ShardCursor(Position(5), Attempt(1))), differing=2)
    first = build_next_progress(sight, None, [], now_ms=1)
    next_owner = build_next_progress(replace(sight, differing=0), first, [], now_ms=2)
    unbegun = build_next_progress(make_sight(ShardCursor(Position(5), Attempt(0))), first, [], now_ms=3)

    assert [found and found.differing for found in (first, next_owner, unbegun)] == [2, 2, 0]


def test_node_that_does_not_answer_leaves_what_was_seen_before() -> None:
    """The cursor stays, the lag grows, and it is said to be away."""
    before = replace(SEEN, lag_ms=10, seen_ms=100)

    found = build_next_progress(make_sight(None), before, [], now_ms=150)

    assert found == replace(before, away=True, lag_ms=60, seen_ms=150)


def test_node_that_never_answered_lags_by_the_whole_log() -> None:
    """Under no attempt, so that nobody reads it; and its lag grows from look to look, whoever looks."""
    first = build_next_progress(make_sight(None), None, [], now_ms=100)
    assert first is not None
    second = build_next_progress(make_sight(None), first, [], now_ms=350)

    assert (first.attempt, first.cursor, first.end, first.away, first.lag_ms) == (NO_ATTEMPT, 0, 9, True, 0)
    assert second == replace(first, lag_ms=250, seen_ms=350)
    assert not is_due(second, first)


def test_placement_that_is_not_begun_is_not_read_as_an_earlier_one() -> None:
    """An older disk, or documents that are about to be dropped, would be read where they are published."""
    for cursor in (UNTOUCHED, ShardCursor(Position(8), Attempt(0))):
        found = build_next_progress(make_sight(cursor), replace(SEEN, at_end_ms=5), [], now_ms=100)

        assert found is not None
        assert (found.attempt, found.cursor, found.away, found.at_end_ms) == (NO_ATTEMPT, 0, False, 0)
        view = ProgressView(replicas={build_progress_key(found).decode(): found})
        assert view.of(REPLICA) is None
        assert view.unbegun(REPLICA) == found


def test_nothing_is_published_of_what_others_know_better_or_nobody_needs() -> None:
    """A later placement than the one we know; a replica that leaves before it has begun."""
    leaving = replace(REPLICA, state=ReplicaState.LEAVING)

    assert build_next_progress(make_sight(ShardCursor(Position(8), Attempt(2))), None, [], now_ms=1) is None
    assert build_next_progress(make_sight(None, replica=leaving), None, [], now_ms=1) is None


def test_records_of_replicas_that_are_placed_no_more_are_forgotten() -> None:
    """Once nobody has published of them for so long that no worker can know better."""
    old = replace(SEEN, seen_ms=0)
    elsewhere = replace(SEEN, node=NodeId("b"), seen_ms=0)
    fresh = replace(SEEN, node=NodeId("c"), seen_ms=1000)
    view = ProgressView(replicas={build_progress_key(each).decode(): each for each in (old, elsewhere, fresh)})
    topology = make_topology(make_index(incarnation=1), REPLICA)
    now_ms = int(FORGET_S * 1000) + 1

    assert find_forgotten(view, topology, now_ms=now_ms) == [build_progress_key(elsewhere).decode()]
    assert find_forgotten(view, topology, now_ms=now_ms - 1) == []


def test_unchanged_progress_is_published_again_only_after_a_while() -> None:
    """Its age says whether its owner lives."""
    later = replace(SEEN, seen_ms=int(REPEAT_S * 1000))

    assert not is_due(replace(SEEN, seen_ms=100), SEEN)
    assert is_due(later, SEEN)


def test_moved_cursor_is_news() -> None:
    """Whatever searches or tokens depend on is published at once."""
    assert is_due(replace(SEEN, cursor=Position(6)), SEEN)
    assert is_due(replace(SEEN, settings_version=SettingsVersion(2)), SEEN)
    assert is_due(SEEN, None)


def test_lag_is_the_age_of_the_oldest_record_not_visible() -> None:
    """At the end there is none; before what is held it only grows."""
    batch = make_operations(5, 9)

    assert lag_ms(Position(9), Position(9), [batch], now_ms=500, known_ms=7) == 0
    assert lag_ms(Position(6), Position(9), [batch], now_ms=500, known_ms=7) == 500
    assert lag_ms(Position(6), Position(9), [], now_ms=500, known_ms=7) == 7


@pytest.mark.parametrize(
    ("cursor", "before", "expected"),
    [
        pytest.param(9, None, 500, id="at the end"),
        pytest.param(5, None, 0, id="never seen before"),
        pytest.param(6, replace(SEEN, at_end_ms=100), 100, id="caught up once, behind now"),
        pytest.param(4, replace(SEEN, at_end_ms=100), 0, id="lower than before: another disk, or a late post"),
        pytest.param(6, SEEN, 0, id="not caught up yet"),
    ],
)
def test_replica_counts_as_caught_up_once_it_stood_at_the_end(
    cursor: int, before: Progress | None, expected: int
) -> None:
    """Since its attempt began, and since it last stepped back."""
    assert at_end_ms(Position(cursor), Position(9), before, now_ms=500) == expected


WRITTEN_MS = 10_000


@pytest.mark.parametrize(
    ("held", "age_ms", "expected"),
    [
        pytest.param((5, 9), NEAR_MS, WRITTEN_MS, id="what comes next is held, and fresh"),
        pytest.param((5, 9), NEAR_MS + 1, 0, id="held, but too old"),
        pytest.param((7, 9), NEAR_MS, 0, id="what comes next is not held"),
        pytest.param(None, NEAR_MS, 0, id="nothing is held"),
    ],
)
def test_replica_that_lacks_only_the_last_moments_stood_at_the_end(
    held: tuple[int, int] | None, age_ms: int, expected: int
) -> None:
    """While writes go on all the time, no copy is ever at the end of this moment."""
    batches = []
    if held is not None:
        batch = make_operations(*held)
        batches = [replace(batch, operations=tuple(o._replace(timestamp_ms=WRITTEN_MS) for o in batch.operations))]

    sight = make_sight(ShardCursor(Position(5), Attempt(1)))
    found = build_next_progress(sight, None, batches, now_ms=WRITTEN_MS + age_ms)

    assert found is not None
    assert found.at_end_ms == expected


def test_copy_without_what_was_there_before_it_is_not_near_the_end_however_young_that_is() -> None:
    """A copy made seconds after a load is empty, while others show all of it."""
    batch = make_operations(0, 9)
    fresh = [replace(batch, operations=tuple(o._replace(timestamp_ms=WRITTEN_MS) for o in batch.operations))]

    def is_at_end(cursor: int) -> bool:
        sight = make_sight(ShardCursor(Position(cursor), Attempt(1)))
        found = build_next_progress(sight, None, fresh, now_ms=WRITTEN_MS + 1, first_end=Position(7))
        return found is not None and found.at_end_ms > 0

    assert [is_at_end(cursor) for cursor in (0, 6, 7, 8)] == [False, False, True, True]


def test_first_time_at_the_end_is_news() -> None:
    """It makes the replica readable."""
    assert is_due(replace(SEEN, at_end_ms=7, seen_ms=1), SEEN)
    assert not is_due(replace(SEEN, at_end_ms=8), replace(SEEN, at_end_ms=7))
