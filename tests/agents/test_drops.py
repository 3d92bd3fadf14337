"""What a node drops so that placements begin."""

from hypothesis import given
from hypothesis import strategies as st

from agents.drops import find_late, may_be_read, plan_drop
from schemas.ids import Attempt, Incarnation, Position, ShardId
from streams.cursor import NO_ATTEMPT, NodeTask, ShardCursor, TaskState, fold_tasks

INCARNATION = Incarnation(7)
SHARDS = st.integers(0, 5).map(ShardId)
WANTED = st.dictionaries(SHARDS, st.integers(1, 4).map(Attempt), max_size=6)
STANDING = st.dictionaries(
    SHARDS, st.builds(ShardCursor, st.integers(0, 9).map(Position), st.integers(-1, 4).map(Attempt)), max_size=6
)


def wanted(attempt: int, *shards: int) -> dict[ShardId, Attempt]:
    """Return the same attempt for each of the shards."""
    return {ShardId(shard): Attempt(attempt) for shard in shards}


def standing(attempt: int, *shards: int) -> dict[ShardId, ShardCursor]:
    """Return cursors of these shards in the attempt."""
    return {ShardId(shard): ShardCursor(Position(9), Attempt(attempt)) for shard in shards}


def test_drop_of_every_placement_empties_the_index() -> None:
    """A rebuilt node: all of its shards begin anew, those too that another worker feeds."""
    drop = plan_drop(INCARNATION, wanted(5, 0, 1), wanted(5, 0, 1, 2), standing(3, 0, 1, 2), now_ms=8)

    assert drop.is_whole
    assert drop.attempts == wanted(5, 0, 1, 2)


def test_drop_beside_a_begun_placement_takes_its_shards_alone() -> None:
    """What is there of the other shard stays, whoever feeds it."""
    accepted = {**standing(3, 0, 1), **standing(5, 2)}

    drop = plan_drop(INCARNATION, wanted(5, 0, 1), wanted(5, 0, 1, 2), accepted, now_ms=8)

    assert not drop.is_whole
    assert drop.attempts == wanted(5, 0, 1)


def test_first_placement_may_be_read_by_nobody() -> None:
    """Only what was placed before can be believed in."""
    first = plan_drop(INCARNATION, wanted(5, 0), wanted(5, 0), {}, now_ms=8)
    again = plan_drop(INCARNATION, wanted(5, 0), wanted(5, 0, 1), standing(3, 1), now_ms=8)

    assert not may_be_read(first, {})
    assert may_be_read(again, standing(3, 1))
    assert not may_be_read(again, standing(NO_ATTEMPT, 1))


@given(WANTED, WANTED, STANDING)
def test_dropping_begins_what_is_late_and_takes_nothing_that_has_begun(
    fed: dict[ShardId, Attempt], elsewhere: dict[ShardId, Attempt], accepted: dict[ShardId, ShardCursor]
) -> None:
    """After one drop nothing fed here is late, and a placement that had begun stands where it stood."""
    placed = {**elsewhere, **fed}
    late = find_late(fed, accepted)
    if not late:
        return

    drop = plan_drop(INCARNATION, late, placed, accepted, now_ms=8)
    after = fold_tasks(accepted, [NodeTask(1, TaskState.SUCCEEDED, drop)])

    assert not find_late(fed, after)
    for shard in placed.keys() - find_late(placed, accepted).keys():
        assert after[shard] == accepted[shard]
