"""Whether a log is still the one that an index was begun on."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from agents.log_identity import (
    CURE,
    MISSING_LOOKS,
    KnownLogs,
    LogFault,
    is_paused_for_log,
    look_at_logs,
    note_published,
)
from miroir.reseed import PAUSE_REASON
from schemas.events import IndexState
from tests.builders import make_index, make_progress, make_replica

INDEX = make_index()
OTHER = make_index("books", incarnation=8)
BOTH = {INDEX.topic: "id-1", OTHER.topic: "id-2"}


def looked(*topics: Mapping[str, str], known: KnownLogs | None = None) -> list[LogFault]:
    """Return what the last of these looks at both indexes finds."""
    known = known or KnownLogs()
    faults: list[LogFault] = []
    for each in topics:
        known, found = look_at_logs(known, [INDEX, OTHER], each)
        faults = list(found)
    return faults


def test_same_topic_is_no_fault_however_often_it_is_looked_at() -> None:
    """The first look says which log it is."""
    assert looked(*[BOTH] * (MISSING_LOOKS + 1)) == []


def test_topic_made_anew_stops_its_index_alone() -> None:
    """Another id under the same name is another log."""
    (fault,) = looked(BOTH, {**BOTH, INDEX.topic: "id-3"})

    assert fault.index == INDEX
    assert "made anew, its id is id-3, id-1 was expected" in fault.reason
    assert f"miroir log reseed {INDEX.uid}" in fault.reason


def test_published_id_counts_before_the_first_look() -> None:
    """A worker that never saw the old log knows it from its replicas' progress."""
    replica = make_replica("a", uid=INDEX.uid, incarnation=INDEX.incarnation)
    known = note_published(KnownLogs(), [replace(make_progress(replica, 5), log="id-0")])

    (fault,) = looked(BOTH, known=known)

    assert fault.index == INDEX


def test_missing_topic_stops_its_index_after_some_looks_in_a_row() -> None:
    """A broker that has just started may not know it for a moment; the other index goes on."""
    gone = {OTHER.topic: "id-2"}

    assert looked(*[gone] * (MISSING_LOOKS - 1)) == []
    assert looked(*[gone] * (MISSING_LOOKS - 1), BOTH, gone) == []
    (fault,) = looked(*[gone] * MISSING_LOOKS)
    assert fault.index == INDEX
    assert "does not exist" in fault.reason


def test_broker_that_tells_no_ids_is_no_reason_to_stop() -> None:
    """Kafka before 3.1 has none."""
    assert looked(BOTH, {INDEX.topic: "", OTHER.topic: ""}) == []


@pytest.mark.parametrize(
    ("reason", "state", "expected"),
    [
        (CURE.format(uid=INDEX.uid), IndexState.PAUSED, True),
        (PAUSE_REASON, IndexState.PAUSED, True),
        (CURE.format(uid=INDEX.uid), IndexState.ACTIVE, False),
        ("paused by an operator", IndexState.PAUSED, False),
        (f"1000 bad records in a row; `miroir index resume {INDEX.uid}`", IndexState.PAUSED, False),
    ],
)
def test_pause_for_the_log_is_told_from_others(reason: str, state: IndexState, expected: bool) -> None:  # noqa: FBT001
    """Whoever stops an index for its log names the command that cures it; nobody else does."""
    assert is_paused_for_log(replace(INDEX, state=state, reason=reason)) is expected
