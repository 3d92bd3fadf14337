"""Client tasks: read back as built, ranges and all."""

import pytest
from hypothesis import given

from schemas.errors import InvalidInputError
from schemas.ids import Incarnation, IndexUid, Partition, Position
from schemas.tasks import TaskRecord, build_task, parse_task
from tests.strategies import tasks


@given(tasks)
def test_task_is_read_back_as_it_was_built(task: TaskRecord) -> None:
    """Parse of build is identity; partitions are numbers again."""
    assert parse_task(build_task(task)) == task


def test_ranges_stand_under_their_partitions_as_text() -> None:
    """JSON has no other keys; this form is persisted."""
    ranges = {Partition(3): (Position(5), Position(9))}
    task = TaskRecord("documentAdditionOrUpdate", IndexUid("films"), Incarnation(7), 1000, ranges=ranges)

    assert b'"ranges":{"3":[5,9]}' in build_task(task)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"{}", "type"),
        (b'{"type": "x", "index": null, "incarnation": null, "enqueued_ms": "now"}', "enqueued_ms"),
        (b'{"type": "x", "index": null, "incarnation": null, "enqueued_ms": 1, "ranges": {"a": [1, 2]}}', "ranges.a.*"),
        (b'{"type": "x", "index": null, "incarnation": null, "enqueued_ms": 1, "ranges": {"3": [1]}}', "ranges.3.*"),
        (b'{"type": "x", "index": null, "incarnation": null, "enqueued_ms": 1, "done": true}', "done"),
    ],
    ids=["missing", "wrong type", "partition no number", "half a range", "unknown field"],
)
def test_malformed_task_names_the_field(data: bytes, where: str) -> None:
    """A record of another form is never half read."""
    with pytest.raises(InvalidInputError, match=f"^TaskRecord: {where}: "):
        parse_task(data)
