"""What a node drops so that placements begin."""

from hypothesis import given
from hypothesis import strategies as st

from agents.drops import find_late, may_be_read, plan_drop
from schemas.ids import Attempt, Incarnation, Position, ShardId
from schemas.posts import Drop
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
    drop = plan_drop(INCARNATION, wanted(5, 0, 1), wanted(5, 0, 1, 2), standing(3, 0, 1, 2), now_ms=8, waits=True)

    assert drop is not None
    assert drop.is_whole
    assert drop.attempts == wanted(5, 0, 1, 2)


def test_drop_beside_a_begun_placement_takes_its_shards_alone() -> None:
    """What is there of the other shard stays, whoever feeds it."""
    accepted = {**standing(3, 0, 1), **standing(5, 2)}

    drop = plan_drop(INCARNATION, wanted(5, 0, 1), wanted(5, 0, 1, 2), accepted, now_ms=8, waits=True)

    assert drop is not None
    assert not drop.is_whole
    assert drop.attempts == wanted(5, 0, 1)


def test_first_placement_may_be_read_by_nobody() -> None:
    """Only what was placed before can be believed in."""
    first = plan_drop(INCARNATION, wanted(5, 0), wanted(5, 0), {}, now_ms=8, waits=True)
    again = plan_drop(INCARNATION, wanted(5, 0), wanted(5, 0, 1), standing(3, 1), now_ms=8, waits=True)

    assert first is not None
    assert again is not None
    assert not may_be_read(first, {})
    assert may_be_read(again, standing(3, 1))
    assert not may_be_read(again, standing(NO_ATTEMPT, 1))


def test_only_the_feeder_of_the_first_placement_empties_the_index() -> None:
    """The others wait for it, and drop their own where that takes too long; of one attempt the smallest is first."""
    placed = {**wanted(5, 1, 2), **wanted(6, 0)}

    def plan(*late: int, waits: bool) -> Drop | None:
        own = {ShardId(shard): placed[ShardId(shard)] for shard in late}
        return plan_drop(INCARNATION, own, placed, {}, now_ms=8, waits=waits)

    assert plan(1, waits=True) == Drop(INCARNATION, placed, is_whole=True, at_ms=8)
    assert plan(0, 2, waits=True) is None
    assert plan(0, 2, waits=False) == Drop(INCARNATION, {**wanted(6, 0), **wanted(5, 2)}, is_whole=False, at_ms=8)


@given(
    st.dictionaries(SHARDS, st.tuples(st.integers(1, 4).map(Attempt), st.booleans()), min_size=1),
    STANDING,
    STANDING,
)
def test_two_workers_with_views_of_their_own_never_empty_what_the_other_has_begun(
    owned: dict[ShardId, tuple[Attempt, bool]], seen: dict[ShardId, ShardCursor], seen_later: dict[ShardId, ShardCursor]
) -> None:
    """However old a view of the node is, at most one of two that know the same placements empties the index."""
    placed = {shard: attempt for shard, (attempt, _) in owned.items()}
    drops = []
    for is_mine, view in ((True, seen), (False, seen_later)):
        late = find_late({shard: attempt for shard, (attempt, mine) in owned.items() if mine is is_mine}, view)
        if late:
            drops.append(plan_drop(INCARNATION, late, placed, view, now_ms=8, waits=True))

    assert sum(drop is not None and drop.is_whole for drop in drops) <= 1


@given(WANTED, WANTED, STANDING, st.booleans())
def test_dropping_begins_what_is_late_and_takes_nothing_that_has_begun(
    fed: dict[ShardId, Attempt],
    elsewhere: dict[ShardId, Attempt],
    accepted: dict[ShardId, ShardCursor],
    waits: bool,  # noqa: FBT001 - Hypothesis passes by position
) -> None:
    """After one drop nothing fed here is late, and a placement that had begun stands where it stood."""
    placed = {**elsewhere, **fed}
    late = find_late(fed, accepted)
    if not late:
        return

    drop = plan_drop(INCARNATION, late, placed, accepted, now_ms=8, waits=waits)
    if drop is None:
        assert waits
        return
    after = fold_tasks(accepted, [NodeTask(1, TaskState.SUCCEEDED, drop)])

    assert not find_late(fed, after)
    for shard in placed.keys() - find_late(placed, accepted).keys():
        assert after[shard] == accepted[shard]
