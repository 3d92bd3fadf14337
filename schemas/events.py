"""The cluster topic: entities and their whole state, the last write of a key wins.

============================================== ===========================================================
key                                            value
============================================== ===========================================================
``node/<id>``                                  ``NodeRecord``
``index/<uid>``                                ``IndexRecord``
``settings/<uid>``                             ``SettingsRecord``
``replica/<uid>/<incarnation>/<shard>/<node>`` ``ReplicaRecord``
``retired/<incarnation>``                      ``RetiredRecord``: a deleted index whose remains must go
``former/<uid>``                               ``FormerRecord``: what the index was before it got another log
``answer/<offset>``                            ``AnswerRecord``: what became of one request
``controller``                                 ``ControllerRecord``: how far requests are answered
============================================== ===========================================================

What always holds: the controller is the only writer; a null value removes the entity. Who calls it: the fold
(``streams/topology.py``) and the controller's decisions. It must not know: which change is legal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict

from schemas.errors import InvalidInputError
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Offset, Position, SettingsVersion, ShardId
from schemas.wire import STRICT, build, parse


class NodeState(StrEnum):
    """What a node is to the cluster."""

    JOINING = "joining"
    """Accepted; its keys are not made yet. It holds nothing."""
    ACTIVE = "active"
    """Holds replicas and is given new ones."""
    DRAINING = "draining"
    """Holds replicas until others have them; is given no new ones."""
    MAINTENANCE = "maintenance"
    """Away for a while; keeps its replicas."""
    FAILED = "failed"
    """Away for longer than agreed; its replicas are made elsewhere."""
    REMOVED = "removed"
    """Holds nothing; gone once our keys on it are deleted."""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A Meilisearch process.

    Attributes:
        weight: its share of shards relative to others; above 0.
        zone: copies of a shard avoid sharing one; "" is a zone like any other.
        worker_key: uid of the key that workers use; made when the node joins, and so the node's incarnation. Empty
            while it joins.
        search_key: uid of the key that query services use; replaced before a copy is dropped.
        fence_key: uid of the key that will be the next search key. Made only after all former ones are deleted: whoever
            finds it working knows that they are dead.
        seat: what placement hashes: the id, or that of the node which this one replaces. Empty for the id.
        failed_ms: when it was last declared failed; 0 for never.
        failures: how often it was declared failed without a quiet time between.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    url: str
    weight: float = 1.0
    zone: str = ""
    group: int = 0
    state: NodeState = NodeState.JOINING
    worker_key: str = ""
    search_key: str = ""
    fence_key: str = ""
    seat: str = ""
    failed_ms: int = 0
    failures: int = 0


class IndexState(StrEnum):
    """Whether an index's log is applied."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Nothing is applied until somebody resumes it; searches go on. ``reason`` says why and what to do."""


class PartitionerName(StrEnum):
    """How a producer maps a key to a partition; a property of the index."""

    MURMUR2 = "murmur2"
    """Java, aiokafka, kafka-python."""
    CRC32 = "crc32"
    """librdkafka's default ``consistent_random``: confluent-kafka, Go, .NET."""


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """An index and its log.

    Attributes:
        incarnation: the offset of the request that created it.
        topic: where its documents are.
        topic_owned: whether we made the topic, and delete it with the index.
        primary_key: None until it is given or inferred; nothing is applied before.
        settings_version: of its ``SettingsRecord``.
        replication: copies of each shard in each of its groups.
        created_ms: time of the request; milliseconds since 1970.
        groups: the replica groups that hold it, rising; at least one.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    incarnation: Incarnation
    topic: str
    shards: int
    replication: int
    settings_version: SettingsVersion
    created_ms: int
    updated_ms: int
    topic_owned: bool = True
    partitioner: PartitionerName = PartitionerName.MURMUR2
    primary_key: str | None = None
    state: IndexState = IndexState.ACTIVE
    reason: str = ""
    groups: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class FormerSettings:
    """What an index's settings were before the present ones."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    version: SettingsVersion
    settings: Mapping[str, Any]  # Meilisearch owns the shape


@dataclass(frozen=True, slots=True)
class SettingsRecord:
    """The user's settings of an index: whole, with every default filled in, without what we add on nodes.

    Attributes:
        former: what is put again where nodes refuse these; None where there is nothing to go back to.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    incarnation: Incarnation
    version: SettingsVersion
    settings: Mapping[str, Any]  # Meilisearch owns the shape
    former: FormerSettings | None = None


class ReplicaState(StrEnum):
    """What a placement is for."""

    PLACED = "placed"
    """Fed, and read once it is whole."""
    LEAVING = "leaving"
    """Read by nobody; dropped, then forgotten."""


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """One placement of a shard on a node."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    incarnation: Incarnation
    shard: ShardId
    node: NodeId
    attempt: Attempt
    state: ReplicaState = ReplicaState.PLACED


@dataclass(frozen=True, slots=True)
class RetiredRecord:
    """A deleted index: its indexes on nodes, and its topic where it is ours, are still to be removed."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    incarnation: Incarnation
    topic: str
    topic_owned: bool


@dataclass(frozen=True, slots=True)
class FormerRecord:
    """An index as it was before it got another log: its copies are there still, and stand still.

    Attributes:
        index: its record.
        answers: whether searches are answered by it, because the present copies are not whole yet.
        carried: of each partition of its topic up to where the present one has its records; empty where it has no more.
        seeded: of each partition of the present topic where it ended before anybody else could write to it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    index: IndexRecord
    answers: bool = True
    carried: Mapping[ShardId, Position] = field(default_factory=dict)
    seeded: Mapping[ShardId, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """What became of the request at ``offset``; ``code`` and ``message`` are empty where it was accepted."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    offset: Offset
    accepted: bool
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ControllerRecord:
    """Every request before position ``requests_cursor`` has been answered."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    requests_cursor: Position


ClusterValue = (
    NodeRecord
    | IndexRecord
    | SettingsRecord
    | ReplicaRecord
    | RetiredRecord
    | FormerRecord
    | AnswerRecord
    | ControllerRecord
)

CONTROLLER_KEY = "controller"

_KINDS: Mapping[str, type[ClusterValue]] = {
    "node": NodeRecord,
    "index": IndexRecord,
    "settings": SettingsRecord,
    "replica": ReplicaRecord,
    "retired": RetiredRecord,
    "former": FormerRecord,
    "answer": AnswerRecord,
    CONTROLLER_KEY: ControllerRecord,
}


def build_key(value: ClusterValue) -> str:
    """Return the key under which the value stands."""
    match value:
        case NodeRecord():
            return f"node/{value.id}"
        case IndexRecord():
            return f"index/{value.uid}"
        case SettingsRecord():
            return f"settings/{value.uid}"
        case ReplicaRecord():
            return f"replica/{value.uid}/{value.incarnation}/{value.shard}/{value.node}"
        case RetiredRecord():
            return f"retired/{value.incarnation}"
        case FormerRecord():
            return f"former/{value.index.uid}"
        case AnswerRecord():
            return f"answer/{value.offset}"
        case ControllerRecord():
            return CONTROLLER_KEY


def build_value(value: ClusterValue) -> bytes:
    """Return the record's value."""
    return build(value)


def parse_value(key: str, data: bytes) -> ClusterValue | None:
    """Return what stands under the key; None for a kind that this version does not know.

    Raises:
        InvalidInputError: the value is not of the kind's form, or stands under another key than its own.
    """
    kind = _KINDS.get(key.partition("/")[0])
    if kind is None:
        return None
    value: ClusterValue = parse(kind, data)
    if build_key(value) != key:
        raise InvalidInputError(f"cluster record {key!r}: holds the state of {build_key(value)!r}")
    return value
