"""Records of our own topics that cannot be read: which they are, and what is left."""

from collections.abc import Sequence
from functools import partial

import pytest

from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key
from schemas.errors import InvalidInputError
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Offset, Partition, Position, SettingsVersion, ShardId
from schemas.progress import Progress, build_progress, build_progress_key
from schemas.tasks import TaskRecord, build_task
from streams.log import LogBatch
from streams.readable import ProgressView, fold_progress
from streams.skipping import count_topics, fold_readable, split_readable
from streams.topics import CLUSTER, DEAD, PROGRESS, TASKS
from streams.topology import Topology, fold_cluster
from tests.builders import make_batch

UID = IndexUid("films")
SEEN = Progress(
    UID, Incarnation(3), ShardId(0), NodeId("n1"), Attempt(4), Position(5), Position(6), SettingsVersion(3), 0
)
LETTER = DeadLetter("t", Partition(0), Offset(7), UID, Incarnation(3), "invalid_id", "", None, None, 0)
TASK = TaskRecord("indexCreation", UID, None, 0)

PROGRESS_ROW = (build_progress_key(SEEN), build_progress(SEEN))
DEAD_ROW = (build_dead_letter_key(LETTER), build_dead_letter(LETTER))
TASK_ROW = (None, build_task(TASK))


@pytest.mark.parametrize(
    ("topic", "good", "bad"),
    [
        (PROGRESS, PROGRESS_ROW, (b"films/3/0/n2", b"{")),
        (PROGRESS, PROGRESS_ROW, (b"films/3/0/n2", build_progress(SEEN)[:-1] + b',"newer":1}')),
        (TASKS, TASK_ROW, (None, b"no task")),
        (DEAD, DEAD_ROW, (b"t/0/8", b"\xff")),
        (DEAD, DEAD_ROW, (b"another key", build_dead_letter(LETTER))),
        (DEAD, DEAD_ROW, (None, build_dead_letter(LETTER))),
        (DEAD, DEAD_ROW, (b"\xff", None)),
    ],
    ids=["progress", "newer progress", "task", "letter", "letter under another key", "no key", "key that is no text"],
)
def test_record_that_cannot_be_read_is_named_and_left_out(
    topic: str, good: tuple[bytes | None, bytes], bad: tuple[bytes | None, bytes | None]
) -> None:
    """The others stay, and so do the batch's positions, whatever its last record was."""
    batch = make_batch([good, (b"gone", None), bad], topic=topic, start=40)

    (left,), (skipped,) = split_readable([batch])

    assert (skipped.topic, skipped.partition, skipped.offset) == (topic, 0, 42)
    assert skipped.reason
    assert [record.offset for record in left.records] == [40, 41]
    assert (left.start, left.end) == (batch.start, batch.end)
    assert split_readable([left]) == ([left], [])


def test_fold_takes_the_others() -> None:
    """Of several batches, and up to the end of each."""
    broken, whole = ([(b"x", b"{"), PROGRESS_ROW, (b"y", b"[]")], [PROGRESS_ROW])
    batches = [make_batch(broken, topic=PROGRESS), make_batch(whole, topic=PROGRESS, start=3)]

    view, skipped = fold_readable(batches, partial(fold_progress, ProgressView()))

    assert view == fold_progress(ProgressView(), [make_batch([PROGRESS_ROW], topic=PROGRESS, start=3)])
    assert [each.offset for each in skipped] == [0, 2]
    assert count_topics(skipped) == {PROGRESS: 2}


def test_fold_of_what_can_be_read_is_done_once() -> None:
    """A good record is parsed where it is folded, and nowhere else."""
    folded: list[Sequence[LogBatch]] = []
    batches = [make_batch([PROGRESS_ROW], topic=PROGRESS)]

    assert fold_readable(batches, folded.append) == (None, ())
    assert folded == [batches]


def test_cluster_record_is_never_passed_over() -> None:
    """Half a cluster is worse than none: the fold stops there, whoever calls it."""
    batch = make_batch([("node/n1", b"{")], topic=CLUSTER)

    assert split_readable([batch]) == ([batch], [])
    with pytest.raises(InvalidInputError):
        fold_readable([batch], partial(fold_cluster, Topology()))
