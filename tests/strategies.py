"""Hypothesis strategies of the values that go over the wire."""

import string

from hypothesis import strategies as st

from schemas.dead_letters import DeadLetter, encode_bytes
from schemas.events import (
    AnswerRecord,
    ClusterValue,
    ControllerRecord,
    FormerRecord,
    FormerSettings,
    IndexRecord,
    IndexState,
    NodeRecord,
    NodeState,
    PartitionerName,
    ReplicaRecord,
    ReplicaState,
    RetiredRecord,
    SettingsRecord,
)
from schemas.ids import (
    INDEX_UID_BYTES_MAX,
    NODE_ID_BYTES_MAX,
    SHARDS_MAX,
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
from schemas.posts import Checkpoint, CheckpointCursor, Drop, PositionRange, Post, PostMetadata
from schemas.progress import Progress
from schemas.requests import (
    ActivateNode,
    AddNode,
    CreateIndex,
    DeleteIndex,
    DrainNode,
    MaintainNode,
    PauseIndex,
    RebuildNode,
    RemoveNode,
    ReplaceLog,
    ReplaceNode,
    Request,
    ResumeIndex,
    RetireFormer,
    SetPrimaryKey,
    UpdateIndex,
    UpdateSettings,
)
from schemas.tasks import TaskRecord

_WORD = string.ascii_letters + string.digits + "_-"
_OFFSET_MAX = 2**63 - 1

index_uids = st.text(_WORD, min_size=1, max_size=INDEX_UID_BYTES_MAX).map(IndexUid)
node_ids = st.text(_WORD + ".", min_size=1, max_size=NODE_ID_BYTES_MAX).map(NodeId)
document_ids = st.text(_WORD, min_size=1, max_size=511)
numbers = st.integers(0, _OFFSET_MAX)
offsets = numbers.map(Offset)
positions = numbers.map(Position)
incarnations = numbers.map(Incarnation)
attempts = numbers.map(Attempt)
times_ms = st.integers(0, 2**42)
versions = numbers.map(SettingsVersion)
shard_ids = st.integers(0, SHARDS_MAX - 1).map(ShardId)
partitions = st.integers(0, SHARDS_MAX - 1).map(Partition)
texts = st.text(max_size=40)
weights = st.floats(min_value=0.001, max_value=1000)
groups = st.sets(st.integers(0, 9), min_size=1, max_size=3).map(lambda found: tuple(sorted(found)))

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=6)

node_records = st.builds(
    NodeRecord,
    id=node_ids,
    url=texts,
    weight=weights,
    zone=texts,
    group=st.integers(0, 9),
    state=st.sampled_from(NodeState),
    worker_key=texts,
    search_key=texts,
    fence_key=texts,
    seat=texts,
    failed_ms=numbers,
    failures=st.integers(0, 99),
)
index_records = st.builds(
    IndexRecord,
    uid=index_uids,
    incarnation=incarnations,
    topic=texts,
    shards=st.integers(1, SHARDS_MAX),
    replication=st.integers(1, 9),
    settings_version=versions,
    created_ms=numbers,
    updated_ms=numbers,
    topic_owned=st.booleans(),
    partitioner=st.sampled_from(PartitionerName),
    primary_key=st.none() | texts,
    state=st.sampled_from(IndexState),
    reason=texts,
    groups=groups,
)
settings_records = st.builds(
    SettingsRecord,
    uid=index_uids,
    incarnation=incarnations,
    version=versions,
    settings=json_objects,
    former=st.none() | st.builds(FormerSettings, version=versions, settings=json_objects),
)
replica_records = st.builds(
    ReplicaRecord,
    uid=index_uids,
    incarnation=incarnations,
    shard=shard_ids,
    node=node_ids,
    attempt=attempts,
    state=st.sampled_from(ReplicaState),
)
retired_records = st.builds(
    RetiredRecord, uid=index_uids, incarnation=incarnations, topic=texts, topic_owned=st.booleans()
)
cursors = st.dictionaries(shard_ids, positions, max_size=3)
former_records = st.builds(FormerRecord, index=index_records, answers=st.booleans(), carried=cursors, seeded=cursors)
answer_records = st.builds(AnswerRecord, offset=offsets, accepted=st.booleans(), code=texts, message=texts)
controller_records = st.builds(ControllerRecord, requests_cursor=positions)

cluster_values: st.SearchStrategy[ClusterValue] = st.one_of(
    node_records,
    index_records,
    settings_records,
    replica_records,
    retired_records,
    former_records,
    answer_records,
    controller_records,
)

requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(
        AddNode,
        id=node_ids,
        url=texts,
        weight=st.none() | weights,
        zone=st.none() | texts,
        group=st.none() | st.integers(0, 9),
    ),
    st.builds(
        RebuildNode,
        id=node_ids,
        uid=st.none() | index_uids,
        shards=st.lists(shard_ids, max_size=3).map(tuple),
        attempt=st.none() | attempts,
    ),
    st.builds(DrainNode, id=node_ids),
    st.builds(MaintainNode, id=node_ids),
    st.builds(ActivateNode, id=node_ids),
    st.builds(RemoveNode, id=node_ids, force=st.booleans(), forget=st.booleans()),
    st.builds(ReplaceNode, id=node_ids, by=node_ids, url=texts),
    st.builds(UpdateIndex, uid=index_uids, replication=st.none() | st.integers(1, 9), groups=st.none() | groups),
    st.builds(
        CreateIndex,
        uid=index_uids,
        primary_key=st.none() | texts,
        shards=st.integers(1, SHARDS_MAX),
        replication=st.integers(1, 9),
        partitioner=st.sampled_from(PartitionerName),
        topic=st.none() | texts,
        groups=groups,
    ),
    st.builds(DeleteIndex, uid=index_uids),
    st.builds(SetPrimaryKey, uid=index_uids, primary_key=texts, inferred=st.booleans()),
    st.builds(UpdateSettings, uid=index_uids, patch=json_objects),
    st.builds(PauseIndex, uid=index_uids, reason=texts, incarnation=st.none() | incarnations),
    st.builds(ResumeIndex, uid=index_uids),
    st.builds(ReplaceLog, uid=index_uids, topic=texts, incarnation=incarnations, carried=cursors, seeded=cursors),
    st.builds(RetireFormer, uid=index_uids, incarnation=incarnations, remove=st.booleans()),
)

progresses = st.builds(
    Progress,
    uid=index_uids,
    incarnation=incarnations,
    shard=shard_ids,
    node=node_ids,
    attempt=attempts,
    cursor=positions,
    end=positions,
    settings_version=versions,
    seen_ms=numbers,
    at_end_ms=numbers,
    lag_ms=numbers,
    node_key=texts,
    away=st.booleans(),
    log=texts,
)

tasks = st.builds(
    TaskRecord,
    type=texts,
    index=st.none() | index_uids,
    incarnation=st.none() | incarnations,
    enqueued_ms=numbers,
    request=st.none() | offsets,
    ranges=st.dictionaries(partitions, st.tuples(positions, positions), max_size=5),
    details=json_objects,
    custom_metadata=st.none() | texts,
    error_code=texts,
    error_message=texts,
)

dead_letters = st.builds(
    DeadLetter,
    topic=texts,
    partition=partitions,
    offset=offsets,
    uid=index_uids,
    incarnation=incarnations,
    reason=texts,
    message=texts,
    key=st.none() | st.binary(max_size=40).map(encode_bytes),
    value=st.none() | st.binary(max_size=40).map(encode_bytes),
    timestamp_ms=numbers,
    closed=texts,
)

position_ranges = st.tuples(positions, positions).map(
    lambda pair: PositionRange(Position(min(pair)), Position(max(pair)))
)


@st.composite
def posts(draw: st.DrawFn) -> Post:
    """Return any part of any post."""
    parts = draw(st.integers(1, 5))
    return Post(
        draw(incarnations),
        draw(texts),
        draw(st.integers(0, parts - 1)),
        parts,
        draw(st.dictionaries(shard_ids, position_ranges, min_size=1, max_size=5)),
        draw(st.dictionaries(shard_ids, times_ms, max_size=5)),
    )


post_metadata: st.SearchStrategy[PostMetadata] = st.one_of(
    posts(),
    st.builds(Drop, incarnations, st.dictionaries(shard_ids, attempts, max_size=5), st.booleans(), times_ms),
    st.builds(
        Checkpoint,
        incarnations,
        st.integers(-1, 2**32),
        st.dictionaries(shard_ids, st.builds(CheckpointCursor, positions, attempts, times_ms), max_size=5),
    ),
)
