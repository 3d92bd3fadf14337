"""Task status, derived from answers, progress and dead letters."""

from collections.abc import Mapping
from typing import Any

import pytest

from query.dead_letters import DeadLetters
from query.task_status import Outcome, StatusView, TaskStatus, derive_outcome
from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key
from schemas.events import AnswerRecord, ClusterValue, ControllerRecord, IndexRecord, ReplicaRecord, build_key
from schemas.ids import (
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    Offset,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
)
from schemas.progress import Progress
from schemas.tasks import TaskRecord
from streams.log import LogBatch, LogRecord
from streams.readable import ProgressView
from streams.topics import DEAD
from streams.topology import build_topology

UID = IndexUid("i")
INDEX = IndexRecord(UID, Incarnation(3), "docs", 2, 2, SettingsVersion(9), 0, 0, primary_key="id")
ANSWERED = ControllerRecord(Position(10))


def _task(kind: str = "documentAdditionOrUpdate", **fields: Any) -> TaskRecord:
    return TaskRecord(**{"type": kind, "index": UID, "incarnation": Incarnation(3), "enqueued_ms": 5, **fields})


def _documents(end: int = 8) -> TaskRecord:
    return _task(ranges={Partition(0): (Position(2), Position(end))})


def _view(
    cursors: Mapping[str, int] | None = None,
    *,
    values: tuple[ClusterValue, ...] = (INDEX, ANSWERED),
    version: int = 9,
    attempt: int = 0,
    away: tuple[str, ...] = (),
    dead: tuple[DeadLetter, ...] = (),
) -> StatusView:
    """An index of two shards with copies on these nodes, the first shard's standing at these cursors."""
    nodes = [NodeId(node) for node in (cursors or {"a": 8, "b": 8})]
    replicas = [
        ReplicaRecord(UID, INDEX.incarnation, ShardId(shard), node, Attempt(0)) for shard in (0, 1) for node in nodes
    ]
    seen = {
        f"i/3/{shard}/{node}": Progress(
            UID, INDEX.incarnation, ShardId(shard), node, Attempt(attempt), Position((cursors or {}).get(node, 8)),
            Position(8), SettingsVersion(version), 70, at_end_ms=1,
        )
        for shard in (0, 1)
        for node in nodes
    }  # fmt: skip
    letters = DeadLetters()
    records = [LogRecord(Offset(n), 0, build_dead_letter_key(d), build_dead_letter(d)) for n, d in enumerate(dead)]
    letters.fold([LogBatch(DEAD, Partition(0), Position(0), Position(len(records)), tuple(records))])
    topology = build_topology({build_key(value): value for value in (*values, *replicas)})
    return StatusView(topology, ProgressView(replicas=seen), letters, frozenset(map(NodeId, away)))


def _status(task: TaskRecord, view: StatusView) -> TaskStatus:
    return derive_outcome(task, view).status


def test_documents_visible_on_every_readable_copy_have_succeeded() -> None:
    """A post is done when every copy that is read shows its end, and says when that was seen."""
    assert derive_outcome(_documents(), _view({"a": 8, "b": 9})) == Outcome(TaskStatus.SUCCEEDED, seen_ms=70)


@pytest.mark.parametrize("cursors", [{"a": 7, "b": 8}, {"a": 7, "b": 7}], ids=["one behind", "both behind"])
def test_documents_not_visible_on_a_copy_are_processing(cursors: dict[str, int]) -> None:
    """One copy that is read and lacks the end keeps the post waiting."""
    assert _status(_documents(), _view(cursors)) is TaskStatus.PROCESSING


def test_documents_missing_on_unreachable_node_do_not_wait_for_it() -> None:
    """A copy whose node nobody reaches is not read, and not waited for while another shows the post."""
    assert _status(_documents(), _view({"a": 7, "b": 8}, away=("a",))) is TaskStatus.SUCCEEDED
    assert _status(_documents(), _view({"a": 7, "b": 7}, away=("a", "b"))) is TaskStatus.PROCESSING


def test_documents_seen_by_another_attempt_do_not_count() -> None:
    """Progress of an earlier placement says nothing; at least one copy must have the post."""
    assert _status(_documents(), _view(attempt=1)) is TaskStatus.PROCESSING


def test_documents_without_any_range_have_succeeded() -> None:
    """A post of no documents is done at once."""
    assert _status(_task(), _view()) is TaskStatus.SUCCEEDED


def test_documents_of_a_deleted_index_have_succeeded() -> None:
    """What happened to an index that is gone, or has a successor, is over."""
    assert _status(_documents(99), _view(values=(ANSWERED,))) is TaskStatus.SUCCEEDED
    assert _status(_task(incarnation=Incarnation(2)), _view({"a": 0})) is TaskStatus.SUCCEEDED


def _letter(offset: int) -> DeadLetter:
    return DeadLetter(
        "docs", Partition(0), Offset(offset), UID, INDEX.incarnation, "invalid_geo", f"bad {offset}", None, None, 0
    )


def test_documents_with_dead_letters_fail_once_visible() -> None:
    """The first dead letter inside the range is the reason; one outside is another post's."""
    dead = (_letter(1), _letter(5), _letter(3), _letter(8))
    outcome = derive_outcome(_documents(), _view(dead=dead))

    assert (outcome.status, outcome.code) == (TaskStatus.FAILED, "invalid_document_geo_field")
    assert (outcome.message, outcome.refused) == ("bad 3", 2)
    assert _status(_documents(9), _view(dead=dead)) is TaskStatus.PROCESSING


def test_dead_letters_between_a_posts_own_records_are_another_posts() -> None:
    """Two posts at one time lie in one partition by turns; each fails for its own records only."""
    mine = ((Position(2), Position(4)), (Position(6), Position(8)))
    task = _task(ranges={Partition(0): (Position(2), Position(8))}, pieces={Partition(0): mine})

    assert _status(task, _view(dead=(_letter(4), _letter(5)))) is TaskStatus.SUCCEEDED
    assert derive_outcome(task, _view(dead=(_letter(4), _letter(7)))).message == "bad 7"


def test_refused_post_has_failed() -> None:
    """A post that was refused before anything was produced says why."""
    outcome = derive_outcome(_task(error_code="invalid_document_id", error_message="no"), _view())

    assert outcome == Outcome(TaskStatus.FAILED, "invalid_document_id", "no")


def test_request_without_answer_is_enqueued() -> None:
    """The controller has not come to it."""
    assert _status(_task("settingsUpdate", request=Offset(12)), _view()) is TaskStatus.ENQUEUED


def test_request_refused_has_failed() -> None:
    """The answer's code and words are the task's error."""
    refused = AnswerRecord(Offset(4), accepted=False, code="index_already_exists", message="there")
    task = _task("indexCreation", request=Offset(4), incarnation=None)

    assert derive_outcome(task, _view(values=(INDEX, ANSWERED, refused))) == Outcome(
        TaskStatus.FAILED, "index_already_exists", "there"
    )


@pytest.mark.parametrize(
    ("kind", "request_offset", "version", "status"),
    [
        ("settingsUpdate", 9, 9, TaskStatus.SUCCEEDED),
        ("settingsUpdate", 9, 8, TaskStatus.PROCESSING),
        ("settingsUpdate", 6, 8, TaskStatus.SUCCEEDED),
        ("indexUpdate", 9, 8, TaskStatus.PROCESSING),
        ("indexCreation", 3, 3, TaskStatus.SUCCEEDED),
        ("indexCreation", 3, -1, TaskStatus.PROCESSING),
        ("indexDeletion", 9, 9, TaskStatus.PROCESSING),
    ],
)
def test_request_accepted_waits_for_nodes_to_have_its_version(
    kind: str, request_offset: int, version: int, status: TaskStatus
) -> None:
    """Settings and new indexes are done when every copy that is read has that version or a later one."""
    incarnation = None if kind == "indexCreation" else INDEX.incarnation
    task = _task(kind, request=Offset(request_offset), incarnation=incarnation)

    assert _status(task, _view(version=version)) is status


def test_request_about_an_index_without_primary_key_waits_for_nobody() -> None:
    """Nobody applies anything to it, so nobody reports on it."""
    index = IndexRecord(UID, Incarnation(3), "docs", 2, 2, SettingsVersion(9), 0, 0)
    task = _task("settingsUpdate", request=Offset(9))

    assert _status(task, _view(values=(index, ANSWERED), version=-1)) is TaskStatus.SUCCEEDED


def test_deletion_accepted_and_folded_has_succeeded() -> None:
    """The index is gone, or another stands under its name."""
    assert _status(_task("indexDeletion", request=Offset(9)), _view(values=(ANSWERED,))) is TaskStatus.SUCCEEDED
    assert _status(_task("indexDeletion", request=Offset(2)), _view()) is TaskStatus.SUCCEEDED


def test_settings_of_an_index_just_made_anew_are_waited_for() -> None:
    """Whoever wrote the task still saw the index before: what the request was for follows from the request."""
    task = _task("settingsUpdate", request=Offset(9), incarnation=Incarnation(1))

    assert _status(task, _view(version=8)) is TaskStatus.PROCESSING
    assert _status(task, _view(version=9)) is TaskStatus.SUCCEEDED


def test_request_that_changed_nothing_has_succeeded() -> None:
    """An accepted request newer than the settings' version has made none, so nobody is waited for."""
    task = _task("indexUpdate", request=Offset(9))
    index = IndexRecord(UID, Incarnation(3), "docs", 2, 2, SettingsVersion(3), 0, 0)

    assert _status(task, _view(values=(index, ANSWERED), version=3)) is TaskStatus.SUCCEEDED
