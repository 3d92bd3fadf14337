"""What becomes of requests about indexes: create, delete, primary key, pause, resume.

What always holds: deciding the same request again over what a torn commit left gives the same index. So an index whose
incarnation is the request's own offset is the request's own work, not somebody else's in its way. Who calls it:
``agents/controller.py``. It must not know: nodes beyond their records, or who asks.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from agents.decision import Decision, Sights, accept, refuse
from schemas.documents import RESERVED_PREFIX
from schemas.errors import InvalidInputError, InvalidRequestError
from schemas.events import (
    AnswerRecord,
    IndexRecord,
    IndexState,
    NodeState,
    ReplicaRecord,
    RetiredRecord,
    SettingsRecord,
    build_key,
)
from schemas.ids import (
    INDEX_UID_BYTES_MAX,
    SHARDS_MAX,
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    Offset,
    SettingsVersion,
    ShardId,
    parse_index_uid,
)
from schemas.meilisearch_settings import DEFAULT_SETTINGS
from schemas.requests import (
    CreateIndex,
    DeleteIndex,
    PauseIndex,
    ResumeIndex,
    SetPrimaryKey,
    UpdateIndex,
)
from streams.capacity import ACTIVE_ONLY, copies_fault
from streams.moves import HOLDING, first_copies
from streams.topics import docs_topic, docs_topic_name, own_topics, topic_faults
from streams.topology import Topology


def create_topic_names(request: CreateIndex, offset: Offset) -> tuple[str, ...]:
    """Return the names of the topics that must be looked at before the creation is decided."""
    if request.topic is not None:
        return (request.topic,)
    incarnation = Incarnation(offset)
    return (
        docs_topic_name(request.uid, incarnation, taken=False),
        docs_topic_name(request.uid, incarnation, taken=True),
    )


def create_index(topology: Topology, request: CreateIndex, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a creation; its topic must be made before its records are written."""
    incarnation = Incarnation(offset)
    existing = topology.indexes.get(request.uid)
    if existing is not None and existing.incarnation != incarnation:
        return refuse(offset, "index_already_exists", f"Index `{request.uid}` already exists.")
    try:
        _check_creation(topology, request)
        topic, owned = _choose_topic(topology, request, incarnation, sights)
    except InvalidRequestError as error:
        return refuse(offset, error.code, str(error))
    index = IndexRecord(
        uid=request.uid,
        incarnation=incarnation,
        topic=topic,
        shards=request.shards,
        replication=request.replication,
        settings_version=SettingsVersion(offset),
        created_ms=sights.now_ms,
        updated_ms=sights.now_ms,
        topic_owned=owned,
        partitioner=request.partitioner,
        primary_key=request.primary_key,
        groups=request.groups,
    )
    settings = SettingsRecord(request.uid, incarnation, SettingsVersion(offset), DEFAULT_SETTINGS)
    replicas = place_replicas(topology, index)
    missing = owned and topic not in sights.topics
    return Decision(
        AnswerRecord(offset, accepted=True),
        # The index last: a reader that sees it sees its replicas too.
        (settings, *replicas, index),
        left_over(topology, index, replicas),
        (docs_topic(topic, request.shards),) if missing else (),
    )


def update_index(topology: Topology, request: UpdateIndex, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a change of copies or groups: moves follow from it."""
    index = topology.indexes.get(request.uid)
    if index is None:
        return index_not_found(offset, request.uid)
    replication = index.replication if request.replication is None else request.replication
    groups = index.groups if request.groups is None else request.groups
    try:
        _check_copies(topology, replication, groups, states=HOLDING)
    except InvalidRequestError as error:
        return refuse(offset, error.code, str(error))
    if (replication, groups) == (index.replication, index.groups):
        return accept(offset)
    return accept(offset, replace(index, replication=replication, groups=groups, updated_ms=sights.now_ms))


def delete_index(topology: Topology, request: DeleteIndex, offset: Offset) -> Decision:
    """Return what becomes of a deletion: the index is gone at once, its remains are retired."""
    index = topology.indexes.get(request.uid)
    if index is None:
        return index_not_found(offset, request.uid)
    retired = [RetiredRecord(index.uid, index.incarnation, index.topic, index.topic_owned)]
    keys = [build_key(replica) for replica in all_replicas(topology, index.uid, index.incarnation)]
    if (former := topology.former(index.uid)) is not None:
        # Whoever writes to its topic still, it is not ours to delete.
        retired.append(RetiredRecord(index.uid, former.index.incarnation, former.index.topic, topic_owned=False))
        keys += [build_key(each) for each in all_replicas(topology, index.uid, former.index.incarnation)]
        keys.append(build_key(former))
    # The index last: as long as it stands, a torn deletion is decided again in full.
    return accept(offset, *retired, removes=(*keys, f"settings/{index.uid}", build_key(index)))


def set_primary_key(topology: Topology, request: SetPrimaryKey, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a primary key: the first one stays, unless no document was ever produced.

    It changes the version of the settings, since nobody posts to a node before the node reports the version: a node
    that is not told its primary key yet would guess one.
    """
    index = topology.indexes.get(request.uid)
    if index is None:
        return index_not_found(offset, request.uid)
    if index.primary_key == request.primary_key or (request.inferred and index.primary_key is not None):
        return accept(offset)
    if fault := _primary_key_fault(request.primary_key):
        return refuse(offset, "invalid_index_primary_key", fault)
    sight = sights.topics.get(index.topic)
    if index.primary_key is not None and (sight is None or not sight.empty):
        message = f"Index `{index.uid}`: Index already has a primary key: `{index.primary_key}`."
        return refuse(offset, "index_primary_key_already_exists", message)
    settings = topology.settings(index.uid)
    assert settings is not None, f"index {index.uid!r} has no settings"
    version = SettingsVersion(offset)
    return accept(
        offset,
        # There is no way back: before that version nobody may post, and after it nobody gets rid of the key.
        replace(settings, version=version, former=None),
        replace(index, primary_key=request.primary_key, settings_version=version, updated_ms=sights.now_ms),
    )


def pause_index(topology: Topology, request: PauseIndex, offset: Offset) -> Decision:
    """Return what becomes of a pause; of several reasons the first stays, for it is the cause."""
    index = topology.indexes.get(request.uid)
    if index is None:
        return index_not_found(offset, request.uid)
    if request.incarnation is not None and request.incarnation != index.incarnation:
        message = f"index {request.uid!r} is incarnation {index.incarnation}, not {request.incarnation}"
        return refuse(offset, "index_recreated", message)
    if index.state is IndexState.PAUSED:
        return accept(offset)
    return accept(offset, replace(index, state=IndexState.PAUSED, reason=request.reason))


def resume_index(topology: Topology, request: ResumeIndex, offset: Offset) -> Decision:
    """Return what becomes of a resumption."""
    index = topology.indexes.get(request.uid)
    if index is None:
        return index_not_found(offset, request.uid)
    if index.state is IndexState.ACTIVE:
        return accept(offset)
    return accept(offset, replace(index, state=IndexState.ACTIVE, reason=""))


def index_not_found(offset: Offset, uid: IndexUid) -> Decision:
    """Return the refusal of a request about an index that is not there."""
    return refuse(offset, "index_not_found", f"Index `{uid}` not found.")


def _check_creation(topology: Topology, request: CreateIndex) -> None:
    try:
        parse_index_uid(request.uid)
    except InvalidInputError:
        message = (
            f"`{request.uid}` is not a valid index uid. Index uid can be an integer or a string containing only"
            " alphanumeric characters, hyphens (-) and underscores (_),"
            f" and can not be more than {INDEX_UID_BYTES_MAX} bytes."
        )
        raise InvalidRequestError("invalid_index_uid", message) from None
    if request.primary_key is not None and (fault := _primary_key_fault(request.primary_key)):
        raise InvalidRequestError("invalid_index_primary_key", fault)
    if not 1 <= request.shards <= SHARDS_MAX:
        raise InvalidRequestError("invalid_index_shards", f"shards: expected 1 to {SHARDS_MAX}, found {request.shards}")
    if not any(node.state is NodeState.ACTIVE for node in topology.nodes.values()):
        message = "no node is active: add one with `miroir node add`, or wait until those that join have joined"
        raise InvalidRequestError("no_active_node", message)
    _check_copies(topology, request.replication, request.groups, states=ACTIVE_ONLY)


def _check_copies(
    topology: Topology, replication: int, groups: Sequence[int], *, states: Collection[NodeState]
) -> None:
    if not groups or min(groups) < 0 or list(groups) != sorted(set(groups)):
        message = f"groups: expected numbers from 0 on, rising, at least one; found {list(groups)}"
        raise InvalidRequestError("invalid_index_groups", message)
    if replication < 1:
        raise InvalidRequestError("invalid_index_replication", f"replication: expected 1 or more, found {replication}")
    if fault := copies_fault(topology.nodes.values(), replication=replication, groups=groups, states=states):
        message = f"replication {replication}: {fault}, or ask for fewer copies"
        raise InvalidRequestError("invalid_index_replication", message)


def _primary_key_fault(name: str) -> str:
    if not name:
        return "primary key: expected the name of a field, found an empty text"
    return f"primary key `{name}`: fields that begin with `{RESERVED_PREFIX}` are reserved" * name.startswith(
        RESERVED_PREFIX
    )


def _choose_topic(
    topology: Topology, request: CreateIndex, incarnation: Incarnation, sights: Sights
) -> tuple[str, bool]:
    """Return the index's topic, and whether it is ours.

    Raises:
        InvalidRequestError: the topic that must exist does not, or cannot be an index's.
    """
    if request.topic is not None:
        check_topic(topology, request.topic, request.shards, incarnation, sights)
        return request.topic, False
    plain = docs_topic_name(request.uid, incarnation, taken=False)
    if not sights.topics_created:
        check_topic(topology, plain, request.shards, incarnation, sights)
        return plain, False
    # A torn creation has made its topic already; one with the incarnation in its name can be nobody else's.
    existing = topology.indexes.get(request.uid)
    if existing is not None:
        return existing.topic, existing.topic_owned
    taken = plain in sights.topics or any(record.topic == plain for record in topology.retired())
    taken = taken or any(index.topic == plain for index in topology.indexes.values())
    return docs_topic_name(request.uid, incarnation, taken=taken), True


def check_topic(topology: Topology, name: str, shards: int, incarnation: Incarnation, sights: Sights) -> None:
    """Return where a topic that exists already can be that of an index with so many shards.

    Raises:
        InvalidRequestError: it cannot, or does not exist.
    """
    if any(name == topic.name for topic in own_topics()):
        raise InvalidRequestError("invalid_index_topic", f"topic {name}: is miroir's own, not one of documents")
    for index in topology.indexes.values():
        if index.topic == name and index.incarnation != incarnation:
            raise InvalidRequestError("invalid_index_topic", f"topic {name}: is that of index {index.uid!r} already")
    sight = sights.topics.get(name)
    if sight is None:
        message = (
            f"topic {name}: does not exist; create it with {shards} partitions and cleanup.policy=compact"
            f" (`miroir topics plan --topic {name} --shards {shards}` prints the command)"
        )
        raise InvalidRequestError("topic_not_found", message)
    if faults := topic_faults(docs_topic(name, shards), sight.found):
        raise InvalidRequestError("invalid_index_topic", "; ".join(faults))


def place_replicas(topology: Topology, index: IndexRecord) -> tuple[ReplicaRecord, ...]:
    """Return the first placements of an index, by shard."""
    attempt = Attempt(topology.epoch)
    return tuple(
        ReplicaRecord(index.uid, index.incarnation, shard, node, attempt)
        for shard, chosen in sorted(first_copies(topology, index).items())
        for node in chosen
    )


def left_over(topology: Topology, index: IndexRecord, replicas: Sequence[ReplicaRecord]) -> tuple[str, ...]:
    """Return the keys of placements that a torn creation made on other nodes than are chosen now."""
    chosen = {(replica.shard, replica.node) for replica in replicas}
    return tuple(
        build_key(replica)
        for replica in all_replicas(topology, index.uid, index.incarnation)
        if (replica.shard, replica.node) not in chosen
    )


def all_replicas(topology: Topology, uid: IndexUid, incarnation: Incarnation) -> list[ReplicaRecord]:
    """Return every placement of the incarnation in a fixed order, of an index whose record is missing too."""
    found: dict[tuple[ShardId, NodeId], ReplicaRecord] = {
        (value.shard, value.node): value
        for value in topology.entities.values()
        if isinstance(value, ReplicaRecord) and (value.uid, value.incarnation) == (uid, incarnation)
    }
    return [found[key] for key in sorted(found)]
