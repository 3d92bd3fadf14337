"""Copies that are made get their share of a node's time, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.batching import PostLimits
from agents.operations import Operation, OperationBatch
from agents.replay_pace import (
    POST_S,
    RECORDS_MIN,
    REST_MAX_S,
    Allowed,
    ReplayPace,
    Rest,
    decide_replay,
    fold_finished,
    fold_sent,
    is_limited,
    take_limited,
)
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Offset, Position, SettingsVersion, ShardId
from schemas.progress import Progress
from streams.readable import ProgressView
from streams.topology import build_topology

UID = IndexUid("films")
ONE = Incarnation(1)
SHARD = ShardId(0)
LIMITS = PostLimits(50_000, 16_000_000, 0.05)
RECORDS_MAX = LIMITS.records_max


def simulate(pace: ReplayPace, *, records_per_s: float, task_s: float, posts: int) -> tuple[float, float, int]:
    """Let a node work off so many posts; return how long it worked, how long it rested, and the last post's size."""
    now_s = worked_s = rested_s = 0.0
    sent = 0
    for number in range(posts):
        match decide_replay(pace, now_s=now_s):
            case Rest(float() as wait_s):
                rested_s += wait_s
                now_s = pace.rest_until_s
            case _:
                pass
        allowed = decide_replay(pace, now_s=now_s)
        assert isinstance(allowed, Allowed)
        sent = allowed.records
        pace = fold_sent(pace, ONE, f"p{number}", records=sent, now_s=now_s)
        assert decide_replay(pace, now_s=now_s) == Rest(None)
        took_s = task_s + sent / records_per_s
        now_s, worked_s = now_s + took_s, worked_s + took_s
        pace = fold_finished(pace, records_max=RECORDS_MAX, now_s=now_s)
    return worked_s, rested_s, sent


@given(st.floats(0.2, 1.0), st.floats(1_000, 50_000), st.floats(0.0, 0.2))
def test_node_rests_as_its_share_says(share: float, records_per_s: float, task_s: float) -> None:
    """Whatever a node's speed, it works for its share of the time (the rest after the last post is not counted)."""
    worked_s, rested_s, _ = simulate(ReplayPace(share), records_per_s=records_per_s, task_s=task_s, posts=50)
    assert worked_s / (worked_s + rested_s) == pytest.approx(share, rel=0.05)


@given(st.floats(10_000, 50_000), st.floats(0.0, 0.2))
def test_posts_become_as_large_as_the_node_works_off_in_time(records_per_s: float, task_s: float) -> None:
    """A fast node is sent more at once; one whose least post takes less than wanted is kept no longer than that."""
    _, _, records = simulate(ReplayPace(0.5), records_per_s=records_per_s, task_s=task_s, posts=30)
    assert task_s + records / records_per_s == pytest.approx(POST_S, rel=0.1)


def test_slow_post_halves_the_next_and_rests_no_longer_than_the_limit() -> None:
    """A post that waited for a change of settings says little of the node."""
    pace = fold_sent(ReplayPace(0.5, records=4000), ONE, "p", records=4000, now_s=0.0)

    after = fold_finished(pace, records_max=RECORDS_MAX, now_s=500.0)

    assert after.records == 2000
    assert decide_replay(after, now_s=500.0) == Rest(REST_MAX_S)


def test_posts_never_become_too_small_to_be_worth_a_task() -> None:
    """However slow the node."""
    pace = fold_sent(ReplayPace(0.5, records=RECORDS_MIN), ONE, "p", records=RECORDS_MIN, now_s=0.0)
    assert fold_finished(pace, records_max=RECORDS_MAX, now_s=60.0).records == RECORDS_MIN


def batch(start: int, end: int) -> OperationBatch:
    """Return a batch with one operation at every position."""
    operations = tuple(Operation(Offset(at), 0, str(at), b"{}") for at in range(start, end))
    return OperationBatch(Position(start), Position(end), operations, end - start, 0, end - start)


@given(st.integers(0, 300), st.integers(20, 500))
def test_large_batch_is_sent_in_parts(cursor: int, records: int) -> None:
    """Each part begins at the cursor, so that the parts come to an end, and holds no more than it may."""
    held = batch(0, 300)
    sent = []
    at = cursor
    while at < held.end:
        part = take_limited({SHARD: (Position(at), [held])}, LIMITS, records)[SHARD]
        assert part.range.start == at < part.range.end
        assert len(part.operations) <= records
        sent += [operation.offset for operation in part.operations]
        at = part.range.end

    assert sent == list(range(cursor, 300))


def placed(*whole: bool | None) -> tuple[list[ReplicaRecord], ProgressView]:
    """Return copies of one shard of which progress says whether they have ever been whole; None: nothing is known."""
    replicas = [ReplicaRecord(UID, ONE, SHARD, NodeId(f"n{at}"), Attempt(3)) for at in range(len(whole))]
    seen = {
        f"{UID}/{ONE}/{SHARD}/{replica.node}": Progress(
            UID, ONE, SHARD, replica.node, replica.attempt, Position(1), Position(9), SettingsVersion(1), 0, int(known)
        )
        for replica, known in zip(replicas, whole, strict=True)
        if known is not None
    }
    return replicas, ProgressView(replicas=seen)


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        ((False, True), True),
        ((None, True), True),
        ((False, False), False),
        ((False, None), False),
        ((False,), False),
        ((True, True), False),
        ((True, False), False),
    ],
)
def test_only_a_copy_that_others_can_wait_for_is_limited(copies: tuple[bool | None, ...], expected: bool) -> None:  # noqa: FBT001 - a case
    """The first of these copies: being made while another serves; a lagging one is live traffic that comes late."""
    replicas, progress = placed(*copies)
    index = IndexRecord(UID, ONE, "t", 1, 2, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id")
    topology = build_topology(
        {f"index/{UID}": index} | {f"replica/{r.uid}/{r.incarnation}/{r.shard}/{r.node}": r for r in replicas}
    )
    assert is_limited(topology, progress, replicas[0]) is expected


def test_node_to_which_every_post_costs_a_second_is_still_filled_faster_than_clients_write() -> None:
    """Posts do not shrink to where the cost of each, and the rest after it, leave nothing for documents."""
    pace, now_s, sent = ReplayPace(0.5), 0.0, 0
    while now_s < 60.0:
        pace = fold_sent(pace, ONE, "p", records=pace.records, now_s=now_s)
        sent += pace.sent_records
        pace = fold_finished(pace, records_max=RECORDS_MAX, now_s=now_s + 1.0 + pace.sent_records / 5000)
        now_s = pace.rest_until_s

    assert sent / now_s > 300
