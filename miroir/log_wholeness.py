"""Whether the log of an index still holds all of its documents: compacted it does, trimmed or made anew it does not.

What always holds: compaction leaves holes and moves no beginning; whatever moves it has taken records that may have
been the only ones of their ids. Who calls it: ``backup``, ``log reseed``. It must not know: brokers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.ids import ShardId
from streams.log import Bounds


@dataclass(frozen=True, slots=True)
class LogSight:
    """The log of an index as it was looked at.

    Attributes:
        exists: whether its topic does.
        topic_id: the topic's; empty where the broker does not tell.
        bounds: what each partition holds; of a topic that exists.
    """

    exists: bool
    topic_id: str = ""
    bounds: Mapping[ShardId, Bounds] | None = None


def log_is_ours(sight: LogSight, begun_on: Sequence[str]) -> bool:
    """Return whether the topic is there and the one that the index was begun on: its positions are the cursors'.

    Args:
        sight: the topic.
        begun_on: ids of the topic that were published of its replicas; empty where nobody told.
    """
    return sight.exists and (not sight.topic_id or not begun_on or sight.topic_id in begun_on)


def log_fault(topic: str, shards: int, sight: LogSight, begun_on: Sequence[str]) -> str:
    """Return why the log alone does not give all documents; empty where it does.

    Args:
        topic: its name.
        shards: of the index.
        sight: the topic.
        begun_on: as in ``log_is_ours``.
    """
    if not sight.exists:
        return f"topic {topic}: does not exist"
    if not log_is_ours(sight, begun_on):
        return f"topic {topic}: was deleted and made anew, its id is {sight.topic_id}, {begun_on[0]} was expected"
    bounds = sight.bounds or {}
    if len(bounds) != shards:
        return f"topic {topic}: {shards} partitions expected, {len(bounds)} found"
    trimmed = [f"{shard} begins at {held.beginning}" for shard, held in sorted(bounds.items()) if held.beginning > 0]
    return f"topic {topic}: was trimmed: partition {', '.join(trimmed)}" if trimmed else ""
