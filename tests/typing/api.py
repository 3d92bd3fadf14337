"""The shapes that other rooms build on, pinned by the type checker; never run.

A change that breaks a line here breaks whoever was written against it. mypy checks the file with all others.
"""

from collections.abc import Mapping, Sequence
from typing import assert_type

from agents.nodes.writer import HttpNodeWriter
from agents.ports import NodeWriter
from agents.posts import PostPart, ShardSlice, build_parts
from agents.tail import NodeTail, TaskView, fold_page, start_tail
from schemas.config import Settings, parse_settings
from schemas.document_ids import parse_id, parse_key
from schemas.documents import parse_document
from schemas.events import ClusterValue, IndexRecord, PartitionerName, ReplicaRecord, build_key, parse_value
from schemas.ids import (
    Attempt,
    Epoch,
    Incarnation,
    IndexUid,
    NodeId,
    NodeIndexUid,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
    node_index_uid,
    parse_index_uid,
    parse_node_id,
    parse_node_index_uid,
)
from schemas.kafka import KafkaConfig
from schemas.posts import Checkpoint, Drop, Post, PostMetadata, build_metadata, parse_metadata
from schemas.progress import Progress, build_progress, parse_progress
from schemas.requests import CreateIndex, Request, build_request, parse_request
from schemas.tasks import TaskRecord, parse_task
from streams.cursor import IndexCursors, NodeTask, fold_tasks
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.transactions import KafkaTransactions
from streams.kafka.writer import KafkaLogWriter
from streams.log import LogAdmin, LogBatch, LogReader, LogTransactions, LogWriter
from streams.marker import marker_of, shard_of, shards_filter, splice_marker
from streams.partitioning import partition_of
from streams.placement import Candidate, place
from streams.readable import ProgressView, fold_progress, readable_replicas
from streams.topology import Topology, fold_cluster
from tests.fakes.node import FakeNode, FakeNodeWriter

# --- Names: a plain number or text is none of them until it was parsed or made one. ---

assert_type(parse_index_uid("films"), IndexUid)
assert_type(parse_node_id("n1"), NodeId)
assert_type(node_index_uid(IndexUid("films"), Incarnation(7)), NodeIndexUid)
assert_type(parse_node_index_uid("films__7"), tuple[IndexUid, Incarnation] | None)
node_index_uid("films", Incarnation(7))  # type: ignore[arg-type]
node_index_uid(IndexUid("films"), Position(7))  # type: ignore[arg-type]


def pin_records(key: bytes, data: bytes) -> None:
    """Records: parsed to their kind, built from it."""
    assert_type(parse_key(key), str)
    assert_type(parse_id(7), str)
    assert_type(parse_document("7", data, "id"), bytes)
    assert_type(parse_value("node/n1", data), ClusterValue | None)
    assert_type(parse_request(data), Request)
    assert_type(build_request(CreateIndex(IndexUid("films"))), bytes)
    assert_type(parse_progress(data), Progress)
    assert_type(parse_task(data), TaskRecord)
    assert_type(parse_metadata(None), Post | Drop | Checkpoint | None)


def pin_building(value: ClusterValue, metadata: PostMetadata, progress: Progress) -> None:
    """Keys of the cluster topic and metadata of tasks are text; values are bytes."""
    assert_type(build_key(value), str)
    assert_type(build_metadata(metadata), str)
    assert_type(build_progress(progress), bytes)


def pin_settings() -> None:
    """Settings are parsed once, and make the way to Kafka."""
    settings = parse_settings({"MIROIR_KAFKA": "kafka:9092"}, None)
    assert_type(settings, Settings)
    assert_type(settings.kafka_config("worker"), KafkaConfig)


def pin_folds(batches: Sequence[LogBatch], tasks: Sequence[NodeTask], views: Sequence[TaskView]) -> None:
    """Folds: from a state and records to a state of the same kind."""
    topology = fold_cluster(Topology(), batches)
    assert_type(topology, Topology)
    assert_type(topology.epoch, Epoch)
    assert_type(topology.index(IndexUid("films")), IndexRecord)
    assert_type(topology.replicas_of(IndexUid("films"), ShardId(0)), tuple[ReplicaRecord, ...])
    view = fold_progress(ProgressView(), batches)
    assert_type(view, ProgressView)
    assert_type(fold_tasks({}, tasks), IndexCursors)
    assert_type(start_tail(views), NodeTail)
    assert_type(fold_page(start_tail(views), views), NodeTail | None)
    index = topology.index(IndexUid("films"))
    assert_type(readable_replicas(topology, view, index, ShardId(0), lag_records_max=1), tuple[NodeId, ...])


def pin_functions(slices: Mapping[ShardId, ShardSlice]) -> None:
    """What is computed from values alone."""
    assert_type(partition_of(b"7", 12, PartitionerName.MURMUR2), Partition)
    nodes = [Candidate(NodeId("n1"))]
    placed = place(IndexUid("films"), Incarnation(7), shards=12, replication=2, nodes=nodes)
    assert_type(placed, Mapping[ShardId, tuple[NodeId, ...]])
    assert_type(marker_of(ShardId(0)), str)
    assert_type(shard_of("x"), ShardId | None)
    assert_type(shards_filter([ShardId(0)]), str)
    assert_type(splice_marker(b"{}", ShardId(0)), bytes)
    assert_type(build_parts("w-1", Incarnation(7), slices), Sequence[PostPart])
    Attempt(1) + "1"  # type: ignore[operator]


async def pin_ports(config: KafkaConfig, writer: NodeWriter) -> None:
    """What implements a port is one, the fake as the real."""
    writers: list[NodeWriter] = [
        FakeNodeWriter(FakeNode()),
        HttpNodeWriter(NodeId("n1"), "http://n1:7700", "key", timeout_s=1.0),
    ]
    readers: list[LogReader] = [KafkaLogReader(config)]
    appenders: list[LogWriter] = [KafkaLogWriter(config)]
    admins: list[LogAdmin] = [KafkaLogAdmin(config)]
    transactions: list[LogTransactions] = [KafkaTransactions(config, "controller")]
    assert_type((writers, readers, appenders, admins, transactions)[0], list[NodeWriter])
    assert_type(await writer.tasks_from(0), Sequence[TaskView])
    assert_type(await writer.settings_version(NodeIndexUid("films__7")), SettingsVersion | None)
