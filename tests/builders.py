"""Values that many tests need, made with as little said as possible."""

from collections.abc import Mapping, Sequence

from schemas.events import ClusterValue, IndexRecord, NodeRecord, NodeState, ReplicaRecord, build_key, build_value
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
from streams.log import LogBatch, LogRecord
from streams.topics import CLUSTER
from streams.topology import Topology, build_topology

UID = IndexUid("films")
INCARNATION = Incarnation(7)


def make_node(node: str, *, weight: float = 1.0, zone: str = "", state: NodeState = NodeState.ACTIVE) -> NodeRecord:
    """Return a node that holds shards."""
    return NodeRecord(NodeId(node), f"http://{node}:7700", weight, zone, 0, state, f"worker-{node}", f"search-{node}")


def make_index(
    uid: str = UID, *, incarnation: int = INCARNATION, shards: int = 2, replication: int = 2, primary_key: str = "id"
) -> IndexRecord:
    """Return an index whose log is applied."""
    return IndexRecord(
        IndexUid(uid),
        Incarnation(incarnation),
        f"miroir.docs.{uid}",
        shards,
        replication,
        SettingsVersion(incarnation),
        created_ms=1000,
        updated_ms=1000,
        primary_key=primary_key,
    )


def make_replica(
    node: str, *, shard: int = 0, attempt: int = 1, uid: str = UID, incarnation: int = INCARNATION
) -> ReplicaRecord:
    """Return the placement of a shard on a node."""
    return ReplicaRecord(IndexUid(uid), Incarnation(incarnation), ShardId(shard), NodeId(node), Attempt(attempt))


def make_progress(replica: ReplicaRecord, cursor: int, *, attempt: int | None = None) -> Progress:
    """Return the progress of a placement whose visible cursor is ``cursor``."""
    return Progress(
        replica.uid,
        replica.incarnation,
        replica.shard,
        replica.node,
        replica.attempt if attempt is None else Attempt(attempt),
        Position(cursor),
        Position(cursor),
        SettingsVersion(replica.incarnation),
        seen_ms=1000,
        at_end_ms=1000,
    )


def make_batch(
    rows: Sequence[tuple[str | bytes | None, bytes | None]],
    *,
    start: int = 0,
    topic: str = CLUSTER,
    partition: int = 0,
    holes: Mapping[int, int] | None = None,
) -> LogBatch:
    """Return keys and values as consecutive records of one partition from ``start`` on.

    Args:
        rows: each record's key and value.
        start: the first record's offset.
        topic: where they stand.
        partition: where they stand.
        holes: how many offsets are missing before the row of this number.
    """
    records = []
    offset = start
    for number, (key, value) in enumerate(rows):
        offset += (holes or {}).get(number, 0)
        data = key.encode() if isinstance(key, str) else key
        records.append(LogRecord(Offset(offset), 1000 + offset, data, value))
        offset += 1
    return LogBatch(topic, Partition(partition), Position(start), Position(offset), tuple(records))


def make_cluster_batch(values: Sequence[ClusterValue], *, start: int = 0) -> LogBatch:
    """Return the cluster topic's records of these values."""
    return make_batch([(build_key(value), build_value(value)) for value in values], start=start)


def make_topology(*values: ClusterValue) -> Topology:
    """Return the cluster in which these entities stand."""
    return build_topology({build_key(value): value for value in values})
