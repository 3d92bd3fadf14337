"""Whether the log of an index is still the one that it was begun on.

Positions mean something in one log only. A topic that was deleted, or made anew under its name, stops its index loudly;
in a longer new log the replicas would else go on silently in the middle of other records. What always holds: a log is
known by the id of its topic, first from what was published of the index's replicas, else from the first look. Who
calls it: the worker, once a second, and decisions about copies that are gone without their log. It must not know:
brokers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.events import IndexRecord, IndexState
from schemas.ids import Incarnation
from schemas.progress import Progress

MISSING_LOOKS = 6
"""So many looks in a row, a second apart, find no topic before its index is stopped: a broker that has just started, or
that has just been told of the topic, may not know it for a moment."""

RESEED = "miroir log reseed"
"""The command that cures a log, as every reason of a pause for the log's sake has it."""

CURE = f"searches go on from the copies; `{RESEED} {{uid}}` makes a new log of their documents"


@dataclass(frozen=True, slots=True)
class KnownLogs:
    """What is known of the logs of indexes.

    Attributes:
        ids: of each index the id of the topic that it was begun on; none where the broker does not tell.
        missed: how many looks in a row have found no topic; only indexes of which there was one.
    """

    ids: Mapping[Incarnation, str] = field(default_factory=dict)
    missed: Mapping[Incarnation, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogFault:
    """An index whose log is another one, or gone, and what to tell people."""

    index: IndexRecord
    reason: str


def is_paused_for_log(index: IndexRecord) -> bool:
    """Return whether the index is paused because its log is gone, was trimmed or made anew, or is just being made anew.

    The record has no word for the cause but its reason, and that names the cure. A log may also be lost while the index
    is paused for something else: of several reasons the first stays.
    """
    return index.state is IndexState.PAUSED and RESEED in index.reason


def note_published(known: KnownLogs, replicas: Iterable[Progress]) -> KnownLogs:
    """Return what is known after the progress of replicas: what their owner began on counts before any look."""
    ids = {**{each.incarnation: each.log for each in replicas if each.log}, **known.ids}
    return KnownLogs(ids, known.missed)


def look_at_logs(
    known: KnownLogs, indexes: Iterable[IndexRecord], topics: Mapping[str, str]
) -> tuple[KnownLogs, Sequence[LogFault]]:
    """Return what is known after a look at the topics of these indexes, and the indexes to stop.

    Args:
        known: before it.
        indexes: those that are applied.
        topics: the id of each topic that exists; empty where the broker does not tell.
    """
    ids, missed, faults = dict(known.ids), dict[Incarnation, int](), []
    for index in indexes:
        found = topics.get(index.topic)
        if found is None:
            missed[index.incarnation] = known.missed.get(index.incarnation, 0) + 1
            if missed[index.incarnation] >= MISSING_LOOKS:
                faults.append(LogFault(index, f"topic {index.topic}: does not exist; {CURE.format(uid=index.uid)}"))
        elif found and (begun := ids.setdefault(index.incarnation, found)) != found:
            reason = f"topic {index.topic}: was deleted and made anew, its id is {found}, {begun} was expected; "
            faults.append(LogFault(index, reason + CURE.format(uid=index.uid)))
    return KnownLogs(ids, missed), faults
