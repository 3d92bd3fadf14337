"""What becomes of the requests by which an index gets another log.

A log's positions mean something in that log only, so a new one is a new incarnation: new indexes on nodes, new
placements, new cursors. It takes the old one's place in one commit; at no moment is there no index of the name, which a
write could miss, or make. Its former copies stay, and answer searches, until they are let go. What always holds: the
former topic is left alone, for somebody may still write to it. Who calls it: ``agents/controller.py``. It must not
know: how the topic was filled.
"""

from dataclasses import replace

from agents.decision import Decision, Sights, accept, refuse
from agents.index_requests import all_replicas, check_topic, index_not_found, left_over, place_replicas
from schemas.errors import InvalidRequestError
from schemas.events import FormerRecord, IndexRecord, IndexState, RetiredRecord, build_key
from schemas.ids import Incarnation, Offset, SettingsVersion
from schemas.requests import ReplaceLog, RetireFormer
from streams.topology import Topology

FORMER_ANSWERS = (
    "searches are answered by the copies of its former log until the new ones are whole;"
    " `miroir log reseed {uid}` waits for that and ends it"
)


def replace_log(topology: Topology, request: ReplaceLog, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a new log: the index begins anew over it, with the settings that it has."""
    index = topology.indexes.get(request.uid)
    incarnation = Incarnation(offset)
    if index is None:
        return index_not_found(offset, request.uid)
    # Its own work, of a commit that was torn: the index is written after all that it needs.
    is_done = index.incarnation == incarnation
    try:
        if not is_done:
            _check_index(topology, index, request)
        check_topic(topology, request.topic, index.shards, incarnation, sights)
    except InvalidRequestError as error:
        return refuse(offset, error.code, str(error))
    settings = topology.settings(request.uid)
    assert settings is not None, f"index {request.uid!r} has no settings"
    version = SettingsVersion(offset)
    begun = replace(
        index,
        incarnation=incarnation,
        topic=request.topic,
        topic_owned=True,
        settings_version=version,
        updated_ms=sights.now_ms,
        state=IndexState.ACTIVE,
        reason=FORMER_ANSWERS.format(uid=index.uid),
    )
    replicas = place_replicas(topology, begun)
    former = () if is_done else (FormerRecord(index, carried=request.carried, seeded=request.seeded),)
    return accept(
        offset,
        *former,
        replace(settings, incarnation=incarnation, version=version, former=None),
        *replicas,
        begun,
        removes=left_over(topology, begun, replicas),
    )


def retire_former(topology: Topology, request: RetireFormer, offset: Offset) -> Decision:
    """Return what becomes of former copies: they answer no search any more, or go."""
    index, former = topology.indexes.get(request.uid), topology.former(request.uid)
    if index is None:
        return index_not_found(offset, request.uid)
    if former is None or former.index.incarnation != request.incarnation:
        return accept(offset)
    if not request.remove:
        said = FORMER_ANSWERS.format(uid=index.uid)
        told = replace(index, reason="") if index.reason == said else index
        return accept(offset, replace(former, answers=False), told)
    if former.answers:
        message = f"index {index.uid!r}: its former copies answer searches still; let them answer none first"
        return refuse(offset, "former_answers", message)
    retired = RetiredRecord(index.uid, request.incarnation, former.index.topic, topic_owned=False)
    replicas = (build_key(each) for each in all_replicas(topology, index.uid, request.incarnation))
    return accept(offset, retired, removes=(*replicas, build_key(former)))


def _check_index(topology: Topology, index: IndexRecord, request: ReplaceLog) -> None:
    """Raise where the index is not the one that was copied, or does not stand still."""
    if index.incarnation != request.incarnation:
        message = f"index {index.uid!r} is incarnation {index.incarnation}, not {request.incarnation}"
        raise InvalidRequestError("index_recreated", message)
    if index.state is not IndexState.PAUSED:
        message = f"index {index.uid!r} is applied: pause it first, so that its documents stand still"
        raise InvalidRequestError("index_not_paused", message)
    former = topology.former(index.uid)
    if former is not None and former.index.incarnation != request.incarnation:
        message = f"index {index.uid!r} has copies of a log before this one still: `miroir log reseed` ends that first"
        raise InvalidRequestError("log_being_replaced", message)
