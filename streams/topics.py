"""The topics: names, partitions, compaction and retention of each.

What always holds: a docs topic is compacted and never trimmed; Kafka takes ``.`` and ``_`` for the same in metric
names, so a name may be refused beside another. Who calls it: whoever creates topics, and ``miroir doctor`` and
``topics plan``. It must not know: a client library.
"""

from collections.abc import Mapping, Sequence

from schemas.ids import Incarnation, IndexUid
from streams.log import TopicFound, TopicSpec

REQUESTS = "miroir.requests"
CLUSTER = "miroir.cluster"
PROGRESS = "miroir.progress"
TASKS = "miroir.tasks"
DEAD = "miroir.dead"

_DAY_MS = 24 * 60 * 60 * 1000

TOMBSTONES_KEPT_MS = 30 * _DAY_MS
"""``delete.retention.ms`` of docs topics: a replica that stood at the end longer ago is rebuilt, not caught up."""

_COMPACT: Mapping[str, str] = {"cleanup.policy": "compact"}

_DOCS: Mapping[str, str] = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(TOMBSTONES_KEPT_MS),
    "min.compaction.lag.ms": str(_DAY_MS),
}


RECORD_LIMIT = "max.message.bytes"
"""Kafka's name of the largest batch, and so record, that a topic takes."""

RECORD_LIMIT_BYTES = 1024 * 1024 + 12
"""What Kafka takes where nobody has changed it."""

OWN_PREFIX = "miroir."
"""How the names of all topics begin that we make: what permissions are granted on."""

INDEX_TOPIC_PREFIXES = ("miroir.docs.", "miroir.gen.")
"""How the names begin that we give to topics of indexes."""


def own_topics() -> Sequence[TopicSpec]:
    """Return the topics that every cluster needs, each of a single partition."""
    return (
        TopicSpec(REQUESTS, 1, {"cleanup.policy": "delete", "retention.ms": str(28 * _DAY_MS)}),
        TopicSpec(CLUSTER, 1, {**_COMPACT, "min.compaction.lag.ms": str(_DAY_MS)}),
        TopicSpec(PROGRESS, 1, _COMPACT),
        TopicSpec(TASKS, 1, {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS)}),
        TopicSpec(DEAD, 1, _COMPACT),
    )


def docs_topic_name(index: IndexUid, incarnation: Incarnation, *, taken: bool) -> str:
    """Return the name of an index's topic; with the incarnation in it where the plain name is taken."""
    return f"miroir.gen.{incarnation}.{index}" if taken else f"miroir.docs.{index}"


def docs_topic(name: str, shards: int, *, like: TopicFound | None = None) -> TopicSpec:
    """Return the topic of an index with so many shards.

    Args:
        name: its name.
        shards: its partitions.
        like: a topic whose records it is to take: where that one's limit was raised, it has the same.
    """
    told = "" if like is None else like.configs.get(RECORD_LIMIT, "")
    is_raised = told.isascii() and told.isdigit() and int(told) > RECORD_LIMIT_BYTES
    return TopicSpec(name, shards, {**_DOCS, RECORD_LIMIT: told} if is_raised else _DOCS)


def tombstones_kept_ms(name: str, found: TopicFound | None) -> int:
    """Return how long an index's topic keeps tombstones.

    Args:
        name: of the topic.
        found: what the broker tells of it. Where it does not, one with a name of ours keeps them as ours do, another
            one as Kafka does by itself: rather are too many copies made anew than that a deleted document stays.
    """
    told = "" if found is None else found.configs.get("delete.retention.ms", "")
    if told.isascii() and told.isdigit():
        return int(told)
    return TOMBSTONES_KEPT_MS if name.startswith(INDEX_TOPIC_PREFIXES) else _DAY_MS


def topic_faults(wanted: TopicSpec, found: TopicFound) -> Sequence[str]:
    """Return what is wrong with a topic that exists, each a sentence with the cure; empty where all is well.

    A broker that does not tell its configuration (no permission) is not blamed for it.
    """
    faults = []
    if found.partitions != wanted.partitions:
        faults.append(
            f"topic {wanted.name}: {wanted.partitions} partitions expected, {found.partitions} found;"
            " the number must equal the index's shards and may never change"
        )
    policy = found.configs.get("cleanup.policy")
    wanted_policy = wanted.configs["cleanup.policy"]
    if policy is not None and policy != wanted_policy:
        faults.append(
            f"topic {wanted.name}: cleanup.policy={wanted_policy} expected, {policy} found;"
            f" set it with: kafka-configs --alter --topic {wanted.name} --add-config cleanup.policy={wanted_policy}"
        )
    return tuple(faults)
