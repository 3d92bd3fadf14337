"""Which nodes are away, learned from the questions that fail and from probes.

What always holds: a node that refused, or behaved badly several times running (``query/ejection.py``), is away until it
answers a probe, or a question, as fast as its peers; a copy on it is then used once its owner has reached it, or where
it has missed nothing (``query/routing.py``). Who calls it: the gathering reports, routing and task status ask, a
background task probes. It must not know: shards.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from query.ejection import (
    Conduct,
    fold_fault,
    fold_good,
    fold_late,
    fold_pause,
    is_faulty,
    is_late,
    may_return,
)
from query.latency import slow_above_s
from query.ports import NodeAsker, NodeQuestion
from query.routing import Away
from schemas.errors import NodeError, NodeFullError, NodeTimeoutError, NodeUnreachableError
from schemas.events import NodeRecord
from schemas.filter_grammar import is_whole_grammar_of
from schemas.ids import NodeId

PROBE_INTERVAL_S = 1.0
"""A node that is back is noticed within about this; a probe is one small request."""

PROBE_TIMEOUT_S = 2.0
"""A busy node answers its health in milliseconds; one that takes longer would hold up searches too."""

VERSION_EVERY = 30
"""Of so many probes one asks a node for its version: it changes at a restart only, which is mostly noticed anyway."""

HEALTH = NodeQuestion("GET", "/health")
VERSION = NodeQuestion("GET", "/version")
"""Asked with the search key, so that it also tells whether the node knows it."""

_NEW = Conduct()

_log = logging.getLogger(__name__)


class NodeHealth:
    """The nodes that are away; everybody else is taken to be there.

    Args:
        seen_ms: tells the newest progress that the copies of a node have.
        now_s: a monotonic clock.
    """

    def __init__(self, seen_ms: Callable[[NodeId], int], *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._seen_ms = seen_ms
        self._now_s = now_s
        self._away: dict[NodeId, Away] = {}
        self._reasons: dict[NodeId, str] = {}
        self._conduct: dict[NodeId, Conduct] = {}
        self._versions: dict[NodeId, str] = {}
        self._knows_filters = False
        self._rounds = 0
        self._unsure: set[NodeId] = set()
        self._probed_s: dict[NodeId, float] = {}
        self.version = 0
        """Changes whenever ``away`` or ``versions`` do."""

    @property
    def away(self) -> Mapping[NodeId, Away]:
        """The nodes that failed, also those that answer again but were not caught up when last looked at."""
        return self._away

    @property
    def versions(self) -> Mapping[NodeId, str]:
        """The Meilisearch version of each node, as far as it is known."""
        return self._versions

    @property
    def knows_filters(self) -> bool:
        """Whether every node told its version when last looked at, and none is newer than our grammar of filters."""
        return self._knows_filters

    def silent(self) -> frozenset[NodeId]:
        """Return the nodes that do not answer now."""
        return frozenset(n for n, away in self._away.items() if not away.answered and away.refused_key is None)

    def is_silent(self, node: NodeId) -> bool:
        """Return whether the node does not answer now."""
        found = self._away.get(node)
        return found is not None and not found.answered and found.refused_key is None

    def reason(self, node: NodeId) -> str:
        """Return why the node is away; empty where it is not."""
        return self._reasons.get(node, "") if node in self._away else ""

    def note_good(self, node: NodeId) -> None:
        """Count an answer in time: it makes good for what was before, and brings back a node that was away."""
        found = self._conduct.get(node)
        if found is not None:
            self._conduct[node] = fold_good(found)
        if node in self._away:
            self._return(node)

    def note_late(self, node: NodeId) -> None:
        """Count a question that was not answered in time; its node is away once it is slow and its peers are not."""
        self._conduct[node] = fold_late(self._conduct.get(node, _NEW), self._now_s())
        self.note_still_late(node)

    def note_still_late(self, node: NodeId) -> None:
        """Look again at a node that owes an answer."""
        now_s = self._now_s()
        found = self._conduct.get(node, _NEW)
        if is_late(found, now_s) and not self._are_peers_late(node, now_s):
            self.fail(node, f"{found.late} late answers in a row")

    def note_fault(self, node: NodeId, reason: str) -> None:
        """Count a wrong answer; its node is away once there were several in a row."""
        found = self._conduct[node] = fold_fault(self._conduct.get(node, _NEW))
        if is_faulty(found):
            self.fail(node, f"{found.faults} faults in a row: {reason}")

    def fail(self, node: NodeId, reason: str) -> None:
        """Count the node as away."""
        found = self._away.get(node)
        if found is None or found.answered or found.refused_key is not None:
            _log.warning("a node does not answer", extra={"node": node, "reason": reason})
            self._conduct[node] = fold_pause(self._conduct.get(node, _NEW), self._now_s())
            self._set(node, Away(self._seen_ms(node)), reason)

    def answer(self, node: NodeId) -> None:
        """Count a probe that was answered well: the node is back, unless its pause is not over."""
        if node in self._away and may_return(self._conduct.get(node, _NEW), self._now_s()):
            self._return(node)

    def forget(self, node: NodeRecord) -> None:
        """Count the node as away until it has another search key, or takes this one: it does not know it now."""
        self._set(node.id, Away(self._seen_ms(node.id), refused_key=node.search_key), "it does not know its search key")

    def refresh(self, known: Mapping[NodeId, NodeRecord]) -> None:
        """Let go of nodes that have left, or have another search key than the one they refused."""
        kept = {
            node: away
            for node, away in self._away.items()
            if node in known and away.refused_key in (None, known[node].search_key)
        }
        for gone in self._conduct.keys() - known.keys():
            del self._conduct[gone]
        for gone in self._probed_s.keys() - known.keys():
            del self._probed_s[gone]
        versions = {node: version for node, version in self._versions.items() if node in known}
        if len(kept) != len(self._away) or len(versions) != len(self._versions):
            self._away, self._versions = kept, versions
            self.version += 1
        told = [versions.get(node, "") for node in known]
        self._knows_filters = bool(told) and all(map(is_whole_grammar_of, told))

    async def probe(
        self,
        nodes: Callable[[], Mapping[NodeId, NodeRecord]],
        asker: NodeAsker,
        *,
        interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        """Ask every node for its health, again and again, until cancelled.

        A node that does not answer keeps nobody waiting: it is asked again once its own probe has ended.
        """
        probes: dict[NodeId, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                known = nodes()
                self.refresh(known)
                self._rounds += 1
                probes = {node: probe for node, probe in probes.items() if not probe.done()}
                for node, record in known.items():
                    if node not in probes:
                        probes[node] = group.create_task(self._probe_one(record, asker))
                await asyncio.sleep(interval_s)

    async def _probe_one(self, node: NodeRecord, asker: NodeAsker) -> None:
        """Ask a node for its health; it is back where it answers about as fast as its peers last did."""
        self._probed_s.pop(node.id, None)
        begun_s = self._now_s()
        try:
            await asker.ask(node, HEALTH, timeout_s=PROBE_TIMEOUT_S)
        except (NodeUnreachableError, NodeTimeoutError) as error:
            self.fail(node.id, error.detail)
            return
        except NodeFullError:
            # It was not asked: that says nothing of it.
            return
        except NodeError:
            # It answers, if only to complain.
            pass
        took_s = self._now_s() - begun_s
        await self._learn_version(node, asker)
        self._probed_s[node.id] = took_s
        if took_s <= slow_above_s([peer_s for peer, peer_s in self._probed_s.items() if peer != node.id]):
            self.answer(node.id)

    async def _learn_version(self, node: NodeRecord, asker: NodeAsker) -> None:
        """Ask for the version now and then, and of a node that is back: it may be another, or take its key again."""
        away = self._away.get(node.id)
        refused = away is not None and away.refused_key == node.search_key
        known = node.id in self._versions and node.id not in self._unsure and self._rounds % VERSION_EVERY
        if not node.search_key or (known and not refused):
            return
        try:
            answer = await asker.ask(node, VERSION, timeout_s=PROBE_TIMEOUT_S)
        except NodeError:
            return
        self._unsure.discard(node.id)
        if refused:
            _log.info("a node takes its search key again", extra={"node": node.id})
            self._away = {name: found for name, found in self._away.items() if name != node.id}
            self.version += 1
        version = str(answer.get("pkgVersion", "")) if isinstance(answer, dict) else ""
        if version and self._versions.get(node.id) != version:
            self._versions[node.id] = version
            self.version += 1

    def _are_peers_late(self, node: NodeId, now_s: float) -> bool:
        """Return whether most other nodes are as late, which says that it is not this node's fault."""
        peers = [found for name, found in self._conduct.items() if name != node and name not in self._away]
        late = sum(is_late(found, now_s) for found in peers)
        return bool(peers) and 2 * late > len(peers)

    def _return(self, node: NodeId) -> None:
        found = self._away[node]
        if not found.answered and found.refused_key is None:
            _log.info("a node answers again", extra={"node": node})
            self._unsure.add(node)
            self._set(node, Away(found.seen_ms, answered=True), self._reasons.get(node, ""))

    def _set(self, node: NodeId, away: Away, reason: str) -> None:
        self._away = {**self._away, node: away}
        self._reasons[node] = reason
        self.version += 1
