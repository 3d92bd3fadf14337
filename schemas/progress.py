"""The progress topic: what the owner of a partition last saw of each of its replicas.

What always holds: keyed by replica, the last record wins; it is an observation, never a promise. Readability, tokens,
task status, lag and ETAs are derived from it. Who calls it: workers publish, query services and the controller fold. It
must not know: what a bound on the lag is.
"""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, SettingsVersion, ShardId
from schemas.wire import STRICT, build, parse

REPEAT_S = 30.0
"""An unchanged replica's progress is published again after this long, so that its age says whether its owner lives."""

FRESH_MS = int(2 * REPEAT_S * 1000)
"""A worker that is alive tells of a replica at least so often; older news may be those of a dead worker."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a replica stands.

    Attributes:
        attempt: the placement its documents belong to; -1 where the node has not begun the present one, so that the
            replica lags behind from the beginning.
        cursor: the *visible* one: its tasks have finished; exclusive.
        end: the log's end when this was seen; exclusive.
        settings_version: what the node's index has.
        seen_ms: when this was seen; milliseconds since 1970.
        at_end_ms: when the replica last stood at the end; 0 where it never did since its attempt began, or has stood
            lower than before since.
        away: the node does not answer its owner, so that this is what was seen before. It may return with another disk.
        lag_ms: age of the oldest record that is not visible; 0 at the end.
        log: the id of the topic that the index was begun on, so that one made anew under its name is told apart; empty
            where the broker is too old to tell.
        node_key: the worker key's uid, hence the node's incarnation, that this was seen with.
        differing: documents of this attempt that were looked at and are not what the log says.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    incarnation: Incarnation
    shard: ShardId
    node: NodeId
    attempt: Attempt
    cursor: Position
    end: Position
    settings_version: SettingsVersion
    seen_ms: int
    at_end_ms: int = 0
    lag_ms: int = 0
    node_key: str = ""
    away: bool = False
    log: str = ""
    differing: int = 0


def build_progress_key(progress: Progress) -> bytes:
    """Return the key under which the replica's progress stands."""
    return f"{progress.uid}/{progress.incarnation}/{progress.shard}/{progress.node}".encode()


def build_progress(progress: Progress) -> bytes:
    """Return the record's value."""
    return build(progress)


def parse_progress(data: bytes) -> Progress:
    """Return what a record's value holds.

    Raises:
        InvalidInputError: it is not of this form.
    """
    return parse(Progress, data)
