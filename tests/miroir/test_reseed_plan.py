"""What a new log is made of, and what is lost."""

from miroir.copies import Copy
from miroir.log_wholeness import LogSight
from miroir.reseed_plan import plan_reseed, starts_left
from schemas.ids import NodeId, Position, ShardId
from schemas.posts import PositionRange
from streams.log import Bounds

OURS = ["a"]


def copies(*cursors: int) -> list[Copy]:
    """Return a copy of each shard at these cursors."""
    return [Copy(ShardId(n), NodeId("one"), Position(at), is_present=True) for n, at in enumerate(cursors)]


def sight(*bounds: tuple[int, int], topic_id: str = "a") -> LogSight:
    """Return a topic whose partitions hold that."""
    held = {ShardId(n): Bounds(Position(begins), Position(ends)) for n, (begins, ends) in enumerate(bounds)}
    return LogSight(exists=True, topic_id=topic_id, bounds=held)


def test_plan_of_a_trimmed_log_carries_what_comes_behind_the_copies() -> None:
    """Nothing is lost where the log reaches back to the copy's cursor."""
    plan = plan_reseed(copies(7, 9), sight((5, 20), (9, 9)), OURS, {})

    assert plan.carried == {0: 7, 1: 9}
    assert plan.lost == {}
    assert plan.describe_loss() == ""


def test_plan_of_a_log_trimmed_beyond_a_copy_counts_the_gap() -> None:
    """What stood between is named; the rest is still carried over."""
    plan = plan_reseed(copies(7, 9), sight((10, 20), (0, 9)), OURS, {})

    assert plan.carried == {0: 10, 1: 9}
    assert plan.lost == {0: PositionRange(Position(7), Position(10))}
    assert plan.describe_loss() == "shard 0: positions 7 to 9"


def test_plan_of_a_log_that_has_grown_partitions_counts_theirs() -> None:
    """No copy holds what stands in them, and it is not carried over: that is not for the command to decide."""
    plan = plan_reseed(copies(7, 9), sight((0, 20), (0, 9), (0, 4), (0, 0)), OURS, {})

    assert plan.carried == {0: 7, 1: 9}
    assert plan.lost == {2: PositionRange(Position(0), Position(4))}
    assert plan.describe_loss() == "no shard but partition 2: positions 0 to 3"


def test_plan_of_a_log_made_anew_carries_all_of_it() -> None:
    """Its positions are not the copies'; what the old one held behind them is lost."""
    ends = {ShardId(0): Position(12), ShardId(1): Position(9)}

    plan = plan_reseed(copies(7, 9), sight((0, 3), (0, 0), topic_id="b"), OURS, ends)

    assert plan.carried == {0: 0, 1: 0}
    assert plan.lost == {0: PositionRange(Position(7), Position(12))}


def test_plan_of_a_log_that_is_gone_has_the_copies_alone() -> None:
    """Copies that stood at the last known end lack nothing; of an end that nobody told nothing is said."""
    plan = plan_reseed(copies(7, 9), LogSight(exists=False), OURS, {ShardId(0): Position(7)})

    assert (plan.carried, plan.lost) == ({}, {})


def test_carrying_goes_on_where_it_was_unless_the_topic_is_not_that_one_any_more() -> None:
    """A trimmed one begins later, and one that was made anew, and so ends before, is carried whole; both are told."""
    held = {ShardId(n): Bounds(Position(begins), Position(ends)) for n, (begins, ends) in enumerate([(0, 7), (9, 9)])}

    assert starts_left({ShardId(0): Position(7)}, held) == ({0: 7}, "")
    starts, lost = starts_left({ShardId(0): Position(8), ShardId(1): Position(5)}, held)

    assert starts == {0: 0, 1: 9}
    assert "shard 0: positions from 8 on" in lost
    assert "shard 1: positions 5 to 8" in lost
