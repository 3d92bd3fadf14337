"""Keeps one node as the cluster wants it: look, plan, do, again.

What always holds: nothing is done to the node from a fold older than the log, as far as a question right before it can
tell: whoever was frozen and goes on may lead no more. Nothing here waits for a node's task; whoever waits is another
visit, so that an index that is busy for minutes holds up neither the other indexes nor the other nodes. What is
remembered between visits is only to save questions, and forgotten as soon as the node may be another disk. Who calls
it: the controller's shell, one keeper a node. It must not know: what has to be done (``agents/reconcile.py``).
"""

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import assert_never

from agents.checkpoint import TASKS_MAX
from agents.decision import build_puts, build_removes
from agents.node_admin import KEY_FAULTS, NO_TASK, KeyRole, NodeAdmin, TaskEnd
from agents.node_requests import NewKeys, adopt_node
from agents.quarantine import DOCUMENT_ERRORS
from agents.reconcile import (
    Adopt,
    ApplySettings,
    CreateKey,
    CreateNodeIndex,
    DeleteKey,
    DeleteNodeIndex,
    Forget,
    NodeSight,
    SetNodePrimaryKey,
    Step,
    indexes_on,
    plan_node,
)
from agents.settings_requests import refuse_settings
from agents.worker.cluster_writer import ClusterWriter
from agents.worker.task_pruner import TASK_NOT_FOUND, TaskPruner, fetch_task_end
from schemas.errors import NodeError, NodeRejectedError
from schemas.events import NodeState, build_key
from schemas.ids import NodeId, NodeIndexUid, SettingsVersion, TaskUid
from streams.node_settings import build_node_settings, settings_version_of
from streams.topology import Topology

IDLE_S = 1.0
"""Between two visits of a node that is as it should be: a disk that was lost is noticed within about this."""

BUSY_S = 0.05
"""Between two visits while a task of ours waits: much shorter than a task takes, much longer than the question."""

UNREACHABLE_S_MAX = 5.0
"""Longest pause before a node that does not answer is tried again; a node that returns waits no longer than this."""

FAILED_S_MAX = 60.0
"""Longest pause before settings that a node refused are sent again: each try may re-index the whole index."""

REFRESH_S = 30.0
"""How long a settings version that was read is believed without asking: a swapped disk mostly shows earlier."""

JITTER = 0.2
"""Part of a pause that is left to chance, so that the visits of many nodes do not fall together."""

USERS_CODES = "invalid_"
"""How Meilisearch's codes begin where what was sent is wrong, such as ``invalid_document_geo_field``."""

NOT_TAKEN = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""Answers that say what was sent is wrong for this node: an older one does not know all that a newer one does."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sent:
    """Settings, or a primary key before them, that were sent."""

    version: SettingsVersion
    task: TaskUid


@dataclass(slots=True)
class _Refused:
    """Settings that the node did not take: again after ``retry_s`` on the clock."""

    version: SettingsVersion
    tries: int
    retry_s: float
    reason: str


@dataclass(slots=True)
class _Read:
    """A settings version that the node reported."""

    version: SettingsVersion | None
    read_s: float


class NodeKeeper:
    """One node's keeper.

    Args:
        node: its id.
        admin: the way to it; the keeper closes it.
        writer: the cluster topic.
        url: where the node listens, as ``admin`` asks it.
        cluster: this cluster's name on keys.
        sights: where the node's last sight is shown to others, and removed while it cannot be seen.
        faults: where it is shown what keeps the node from being as it should, with the cure.
        clock: monotonic seconds.
        draw: a number in [0, 1).
        draw_uid: a fresh random UUID.
        tasks_max: how many tasks a node may keep; the newest tenth always stays.
    """

    def __init__(
        self,
        node: NodeId,
        admin: NodeAdmin,
        writer: ClusterWriter,
        *,
        url: str,
        cluster: str,
        sights: MutableMapping[NodeId, NodeSight],
        faults: MutableMapping[NodeId, str],
        clock: Callable[[], float],
        draw: Callable[[], float],
        draw_uid: Callable[[], str],
        tasks_max: int = TASKS_MAX,
    ) -> None:
        self._node = node
        self._admin = admin
        self._writer = writer
        self._url = url
        self._cluster = cluster
        self._sights = sights
        self._faults = faults
        self._clock = clock
        self._draw = draw
        self._draw_uid = draw_uid
        self._pruner = TaskPruner(node, admin, require_lead=self._require_lead, clock=clock, tasks_max=tasks_max)
        self._wake = asyncio.Event()
        self._failures = 0
        self._forget()
        writer.listen(self._wake.set)

    async def run(self) -> None:
        """Visit the node again and again, until cancelled or until the cluster no longer has it, there.

        The name of a node that is being removed may be given to another machine: that one has another keeper.

        Raises:
            LogError: what was found on the node could not be written, or another controller leads; lead again.
        """
        try:
            while self._is_there():
                self._wake.clear()
                pause_s = await self._visit()
                await self._rest(pause_s * (1 - JITTER * self._draw()))
        finally:
            self._sights.pop(self._node, None)
            await self._admin.close()

    def _is_there(self) -> bool:
        record = self._writer.topology.nodes.get(self._node)
        return record is not None and record.url == self._url

    async def _rest(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _visit(self) -> float:
        """Look, plan, do; return how long to wait before the next visit."""
        topology = self._writer.topology
        try:
            sight = await self._look(topology)
            plan = plan_node(topology, topology.nodes[self._node], sight, self._cluster)
            if plan.steps:
                await self._require_lead()
            for step in plan.steps:
                await self._try(topology, step)
            if not (plan.steps or plan.fault):
                await self._pruner.prune(indexes_on(topology, self._node))
        except NodeError as error:
            return self._failed(error)
        self._failures = 0
        self._sights[self._node] = sight
        self._show(plan.fault or "; ".join(sorted(refused.reason for refused in self._refused.values())))
        return BUSY_S if self._sent or self._deleting or self._pruner.is_waiting or plan.steps else IDLE_S

    async def _require_lead(self) -> None:
        async with self._writer as writer:
            await writer.require_lead()

    def _failed(self, error: NodeError) -> float:
        self._sights.pop(self._node, None)
        self._forget()
        self._failures += 1
        fault = str(error)
        if isinstance(error, NodeRejectedError) and error.code in KEY_FAULTS:
            fault += "; node_master_key must be the master key that the node was started with"
        self._show(fault)
        pause_s: float = min(UNREACHABLE_S_MAX, IDLE_S * 2 ** min(self._failures - 1, 8))
        return pause_s

    def _show(self, fault: str) -> None:
        """Say a fault once, and once that it is over."""
        before = self._faults.get(self._node, "")
        if fault == before:
            return
        if fault:
            self._faults[self._node] = fault
            _log.warning("a node is not as it should be", extra={"node": self._node, "fault": fault})
        else:
            del self._faults[self._node]
            _log.info("a node is as it should be again", extra={"node": self._node})

    def _forget(self) -> None:
        """Believe nothing of what was seen or sent: the node may come back with another disk."""
        self._version = ""
        self._newest = NO_TASK
        self._sent: dict[NodeIndexUid, _Sent] = {}
        self._refused: dict[NodeIndexUid, _Refused] = {}
        self._read: dict[NodeIndexUid, _Read] = {}
        self._deleting: dict[NodeIndexUid, TaskUid] = {}
        self._pruner.forget()

    async def _look(self, topology: Topology) -> NodeSight:
        if not self._version:
            self._version = await self._admin.fetch_version()
        newest = await self._admin.fetch_newest_task()
        if newest < self._newest:
            _log.warning("a node has another disk", extra={"node": self._node, "newest": newest, "seen": self._newest})
            version = self._version
            self._forget()
            self._version = version
        self._newest = newest
        keys = await self._admin.fetch_keys()
        await self._settle()
        indexes = await self._admin.fetch_indexes()
        placed = indexes_on(topology, self._node)
        for uid, refused in tuple(self._refused.items()):
            if uid not in placed or placed[uid].settings_version != refused.version:
                del self._refused[uid]
        versions = {uid: await self._settings_version(uid) for uid in placed if uid in indexes}
        resting = {uid: each.version for uid, each in self._refused.items() if each.retry_s > self._clock()}
        sent = {uid: each.version for uid, each in self._sent.items()}
        return NodeSight(
            epoch=topology.epoch,
            version=self._version,
            keys=keys,
            indexes=indexes,
            versions=versions,
            waiting={**resting, **sent},
            deleting=frozenset(self._deleting),
        )

    async def _settle(self) -> None:
        """Take in what became of the tasks we sent."""
        for uid, sent in tuple(self._sent.items()):
            end = await fetch_task_end(self._admin, sent.task)
            if not end.finished:
                continue
            del self._sent[uid]
            self._read.pop(uid, None)
            # A task that is not known says nothing: the version is read again.
            if end.code and end.code != TASK_NOT_FOUND:
                self._refuse(uid, sent.version, end)
                await self._tell_refusal(uid, sent.version, end)
            else:
                self._refused.pop(uid, None)
        for uid, task in tuple(self._deleting.items()):
            if (await fetch_task_end(self._admin, task)).finished:
                del self._deleting[uid]

    def _refuse(self, uid: NodeIndexUid, version: SettingsVersion, end: TaskEnd) -> None:
        before = self._refused.get(uid)
        tries = before.tries + 1 if before is not None and before.version == version else 1
        retry_s = self._clock() + min(FAILED_S_MAX, IDLE_S * 2 ** min(tries, 8))
        reason = f"index {uid}: settings version {version} not taken: {end.code}: {end.message}"
        self._refused[uid] = _Refused(version, tries, retry_s, reason)

    async def _tell_refusal(self, uid: NodeIndexUid, version: SettingsVersion, end: TaskEnd) -> None:
        """Write that documents or settings are to blame; a full disk or an internal error is the node's own trouble."""
        if not end.code.startswith(USERS_CODES) and end.code not in DOCUMENT_ERRORS:
            return
        async with self._writer as writer:
            values = refuse_settings(writer.topology, uid, version, code=end.code, message=end.message)
            await writer.commit(build_puts(*values))

    async def _settings_version(self, uid: NodeIndexUid) -> SettingsVersion | None:
        known = self._read.get(uid)
        if known is not None and self._clock() - known.read_s < REFRESH_S:
            return known.version
        version = settings_version_of(await self._admin.fetch_synonyms(uid))
        self._read[uid] = _Read(version, self._clock())
        return version

    async def _try(self, topology: Topology, step: Step) -> None:
        """Perform a step; what the node does not take of one index is that index's matter, as where its task fails."""
        try:
            await self._perform(topology, step)
        except NodeRejectedError as error:
            if not isinstance(step, SetNodePrimaryKey | ApplySettings) or error.status not in NOT_TAKEN:
                raise
            end = TaskEnd(finished=True, code=error.code, message=error.message)
            self._refuse(step.uid, step.version, end)
            await self._tell_refusal(step.uid, step.version, end)

    async def _perform(self, topology: Topology, step: Step) -> None:
        match step:
            case Adopt():
                await self._adopt(step)
            case DeleteKey(uid=key):
                await self._admin.delete_key(key)
            case CreateKey(uid=key, role=role):
                await self._admin.create_key(key, role, self._cluster)
            case CreateNodeIndex(uid=uid, primary_key=primary_key):
                await self._admin.create_index(uid, primary_key)
            case SetNodePrimaryKey(uid=uid, primary_key=primary_key, version=version):
                self._sent[uid] = _Sent(version, await self._admin.set_primary_key(uid, primary_key))
            case ApplySettings(uid=uid, index=index, version=version):
                record = topology.settings(index)
                assert record is not None, f"index {index!r} has no settings"
                settings = build_node_settings(record.settings, version)
                self._sent[uid] = _Sent(version, await self._admin.update_settings(uid, settings))
            case DeleteNodeIndex(uid=uid):
                self._deleting[uid] = await self._admin.delete_index(uid)
            case Forget():
                await self._forget_node()
            case _:
                assert_never(step)

    async def _adopt(self, step: Adopt) -> None:
        """Make keys, then write them.

        In this order, so that nobody is told of a key that is not there: a worker that tries it would take the node for
        one that has lost its disk. Keys that a crash leaves unwritten are deleted by the next plan.
        """
        keys = NewKeys(self._draw_uid(), self._draw_uid(), self._draw_uid())
        await self._admin.create_key(keys.worker, KeyRole.WORKER, self._cluster)
        await self._admin.create_key(keys.search, KeyRole.SEARCH, self._cluster)
        await self._admin.create_key(keys.fence, KeyRole.SEARCH, self._cluster)
        _log.info("a node is taken in", extra={"node": self._node, "reason": step.reason})
        async with self._writer as writer:
            await writer.commit(build_puts(*adopt_node(writer.topology, self._node, keys)))

    async def _forget_node(self) -> None:
        _log.info("a node is gone", extra={"node": self._node})
        async with self._writer as writer:
            record = writer.topology.nodes.get(self._node)
            if record is not None and record.state is NodeState.REMOVED:
                await writer.commit(build_removes(build_key(record)))
