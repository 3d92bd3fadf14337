"""What becomes of settings: those that a client asks for, and those that a node then does not take.

What always holds: a version that a node refused makes room for the one before it, in one commit that may be torn
anywhere. Who calls it: ``agents/controller.py`` and the keeper of a node. It must not know: nodes beyond their records,
or who asks.
"""

from dataclasses import replace

import orjson

from agents.decision import MESSAGE_CHARS_MAX, Decision, Sights, accept, refuse
from agents.index_requests import index_not_found
from schemas.errors import InvalidRequestError
from schemas.events import AnswerRecord, ClusterValue, FormerSettings, IndexState, SettingsRecord
from schemas.ids import NodeIndexUid, Offset, SettingsVersion, parse_node_index_uid
from schemas.meilisearch_settings import merge_settings, validate_settings
from schemas.requests import UpdateSettings
from streams.topology import Topology

FORMER_BYTES_MAX = 256 * 1024
"""Larger settings are not kept beside those that follow them: two of them might be more than a record may hold."""


def update_settings(topology: Topology, request: UpdateSettings, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a change of settings: a new version of the whole."""
    index = topology.indexes.get(request.uid)
    if index is None:
        return index_not_found(offset, request.uid)
    before = topology.settings(index.uid)
    assert before is not None, f"index {index.uid!r} has no settings"
    try:
        change = validate_settings(request.patch)
    except InvalidRequestError as error:
        return refuse(offset, error.code, str(error))
    try:
        settings = merge_settings(before.settings, change)
    except InvalidRequestError as error:
        return refuse(offset, error.code, f"Index `{index.uid}`: {error}")
    version = SettingsVersion(offset)
    return accept(
        offset,
        replace(before, version=version, settings=settings, former=_former(before, version)),
        replace(
            index,
            settings_version=version,
            updated_ms=sights.now_ms,
            # What it says of an active index is that its last settings were not taken.
            reason=index.reason if index.state is IndexState.PAUSED else "",
        ),
    )


def refuse_settings(
    topology: Topology, node_index: NodeIndexUid, version: SettingsVersion, *, code: str, message: str
) -> tuple[ClusterValue, ...]:
    """Return what is written when a node's task says that the index's documents do not allow these settings.

    The request had been accepted; now it is answered as Meilisearch's task is, and the settings before it are put again
    under their own version: nodes that never left it have nothing to do. Where there are none to go back to, the index
    says what to do, and nothing is applied on that node until other settings are sent. Nothing is written twice, or of
    settings of the past.
    """
    named = parse_node_index_uid(node_index)
    index = topology.indexes.get(named[0]) if named else None
    if index is None or named != (index.uid, index.incarnation):
        return ()
    settings = topology.settings(index.uid)
    if settings is None or settings.version != version or Offset(version) == Offset(index.incarnation):
        return ()
    message = message[:MESSAGE_CHARS_MAX]
    refused = AnswerRecord(Offset(version), accepted=False, code=code, message=message)
    if settings.former is not None:
        former = settings.former
        reason = f"settings version {version} was refused: {message}; version {former.version} is in force again"
        # The settings last: as long as they stand, a torn commit is made again in full.
        return (
            replace(index, settings_version=former.version, reason=reason),
            refused,
            replace(settings, version=former.version, settings=former.settings, former=None),
        )
    answer = topology.answer(Offset(version))
    if answer is not None and not answer.accepted:
        return ()
    reason = f"settings version {version} cannot be applied: {message}; send other settings, or correct the document"
    return (replace(index, reason=reason), refused)


def _former(before: SettingsRecord, version: SettingsVersion) -> FormerSettings | None:
    """Return what to go back to from settings of ``version``, where it is not too large to be kept beside them."""
    if before.version == version:
        # Our own work, of a commit that was torn.
        return before.former
    is_large = len(orjson.dumps(before.settings)) > FORMER_BYTES_MAX
    return None if is_large else FormerSettings(before.version, before.settings)
