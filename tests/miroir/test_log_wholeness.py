"""Whether a log still holds everything."""

import pytest

from miroir.log_wholeness import LogSight, log_fault, log_is_ours
from schemas.ids import Position, ShardId
from streams.log import Bounds


def sight(*beginnings: int, topic_id: str = "a") -> LogSight:
    """Return a topic whose partitions begin there."""
    bounds = {ShardId(n): Bounds(Position(each), Position(9)) for n, each in enumerate(beginnings)}
    return LogSight(exists=True, topic_id=topic_id, bounds=bounds)


@pytest.mark.parametrize(
    ("seen", "begun_on", "said"),
    [
        pytest.param(sight(0, 0), ["a"], "", id="whole"),
        pytest.param(sight(0, 0), [], "", id="nobody told on which it was begun"),
        pytest.param(sight(0, 0, topic_id=""), ["a"], "", id="the broker does not tell"),
        pytest.param(LogSight(exists=False), ["a"], "topic t: does not exist", id="gone"),
        pytest.param(sight(0, 0, topic_id="b"), ["a"], "was deleted and made anew, its id is b, a was", id="another"),
        pytest.param(sight(0), ["a"], "2 partitions expected, 1 found", id="fewer partitions"),
        pytest.param(sight(0, 4), ["a"], "was trimmed: partition 1 begins at 4", id="trimmed"),
    ],
)
def test_log_fault_names_what_is_wrong(seen: LogSight, begun_on: list[str], said: str) -> None:
    """Only a log that begins at 0, and is the one the index was begun on, is whole."""
    fault = log_fault("t", 2, seen, begun_on)

    assert fault.startswith("topic t: ") if said else not fault
    assert said in fault


def test_log_trimmed_is_still_ours() -> None:
    """Its positions are those of the cursors; of a topic made anew they are not."""
    assert log_is_ours(sight(0, 4), ["a"])
    assert not log_is_ours(sight(0, 0, topic_id="b"), ["a"])
    assert not log_is_ours(LogSight(exists=False), ["a"])
