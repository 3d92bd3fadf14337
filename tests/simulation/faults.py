"""What goes wrong in a run, and how it is mended."""

import asyncio
import logging
import random
from collections import Counter

from schemas.ids import NodeId, Partition, ShardId
from streams.log import TopicPartition
from streams.topics import CLUSTER, TOMBSTONES_KEPT_MS
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.mixes import USUAL, Mix
from tests.simulation.simulated_node import SimulatedNode
from tests.simulation.truth import Truth

DISK_CHANGE_S = 5.0
"""Nobody changes a disk faster; until then everybody has noticed that the node is away."""

DOWN_LONG = 0.8
"""Part of the tries to start a node that was killed which come to nothing, as long as its disk cannot be changed."""

NODES_UP_MIN = 1
WORKERS_MAX = 3

_log = logging.getLogger(__name__)


class Faults:
    """The faults of one run.

    Args:
        cluster: what breaks.
        truth: told of what the log loses.
        rng: of the run.
        mix: of the run.

    Attributes:
        counted: how often each has happened.
    """

    def __init__(self, cluster: SimulatedCluster, truth: Truth, rng: random.Random, mix: Mix = USUAL) -> None:
        self.counted: Counter[str] = Counter()
        self._cluster = cluster
        self._truth = truth
        self._rng = rng
        self._mix = mix
        self._disks: dict[NodeId, object] = {}

    def count(self, kind: str, what: str = "") -> None:
        """Note that something has gone wrong."""
        self.counted[kind] += 1
        _log.info("%8.3f %s %s", asyncio.get_running_loop().time(), kind, what)

    def mend_all(self) -> None:
        """End everything that goes wrong."""
        self._mend_log()
        for _, node in sorted(self._cluster.nodes.items()):
            self._mend(node, "as it was")
            node.answers_lost = 0
        for _, worker in sorted(self._cluster.workers.items()):
            if worker.member.is_asleep:
                worker.member.wake()

    # --- nodes ---

    def break_node(self) -> None:
        """Break a node that is well."""
        well = [node for _, node in sorted(self._cluster.nodes.items()) if not node.is_down and not node.is_frozen]
        if len(well) <= NODES_UP_MIN:
            return
        node = self._rng.choice(well)
        kind = self._rng.choice(self._mix.node_faults)
        self.count(f"node {kind}", node.id)
        if kind == "killed":
            node.go_down()
        elif kind == "frozen":
            node.is_frozen = True
        elif kind == "answers lost":
            node.answers_lost = self._rng.randint(1, 3)
        elif kind == "full":
            node.is_full = True
        else:
            self._disks[node.id] = node.copy_disk()

    def mend_node(self) -> None:
        """Let one that is ill go on."""
        ill = [n for _, n in sorted(self._cluster.nodes.items()) if n.is_down or n.is_frozen or n.is_full]
        if ill:
            node = self._rng.choice(ill)
            if node.is_down and self._down_s(node) < DISK_CHANGE_S and self._rng.random() < DOWN_LONG:
                return
            self._mend(node, self._rng.choice(self._mix.disks))

    @staticmethod
    def _down_s(node: SimulatedNode) -> float:
        return asyncio.get_running_loop().time() - node.down_since_s if node.is_down else 0.0

    def _mend(self, node: SimulatedNode, disk: str) -> None:
        """Let a node go on; one that was killed with the disk it had, none, or an older one."""
        if self._down_s(node) < DISK_CHANGE_S:
            disk = "as it was"
        if node.is_down and disk == "empty":
            self.count("disk lost", node.id)
            node.wipe()
        elif node.is_down and disk == "older" and node.id in self._disks:
            self.count("disk older", node.id)
            node.restore_disk(self._disks[node.id])  # type: ignore[arg-type]  # its own kind
        now_s = asyncio.get_running_loop().time()
        if node.is_down or node.is_frozen or node.is_full:
            _log.info("%8.3f node mended %s", now_s, node.id)
        if node.is_down or node.is_frozen:
            node.there_since_s = now_s
        node.is_down = node.is_full = False
        if node.is_frozen:
            node.thaw()
        node.well_since_s = now_s

    # --- workers ---

    def break_worker(self) -> None:
        """Kill a worker, or let it sleep."""
        awake = sorted(name for name, worker in self._cluster.workers.items() if not worker.member.is_asleep)
        if not awake:
            return
        name = self._rng.choice(awake)
        if self._rng.random() < 0.5:
            self.count("worker killed", name)
            self._cluster.kill_worker(name)
        else:
            self.count("worker asleep", name)
            self._cluster.workers[name].member.sleep()

    def mend_worker(self) -> None:
        """Wake a worker, or start one."""
        asleep = sorted(name for name, worker in self._cluster.workers.items() if worker.member.is_asleep)
        if asleep and self._rng.random() < 0.7:
            self._cluster.workers[self._rng.choice(asleep)].member.wake()
        elif len(self._cluster.workers) < WORKERS_MAX:
            self._cluster.start_worker()

    # --- the log ---

    def break_log(self) -> None:
        """Let no broker answer for some seconds."""
        if not self._cluster.log.away:
            self.count("log away")
            self._cluster.log.away = True
            asyncio.get_running_loop().call_later(self._rng.uniform(0.2, 5), self._mend_log)

    def _mend_log(self) -> None:
        self._cluster.log.away = False

    def compact(self) -> None:
        """Compact what is behind the newest records, as Kafka does it at any time."""
        topics = sorted(self._cluster.log.topics())
        topic = self._rng.choice([name for name in topics if name.startswith("miroir.docs.") or name == CLUSTER])
        self.count("compaction")
        self._compact(topic)

    def _compact(self, topic: str) -> None:
        log, from_ms = self._cluster.log, self._cluster.now_ms() - TOMBSTONES_KEPT_MS
        indexes = self._cluster.view().topology.indexes.values()
        incarnation = next((index.incarnation for index in indexes if index.topic == topic), None)
        for number in range(log.topics()[topic].partitions):
            where = TopicPartition(topic, Partition(number))
            last = {record.key: record.offset for record in log.records(topic, number)}
            before = {record.offset for record in log.records(topic, number)}
            if incarnation is not None:
                gone = before - set(last.values())
                self._truth.superseded.update((incarnation, ShardId(number), offset) for offset in gone)
            log.compact(where, tombstones_from_ms=from_ms)

    def trim(self) -> None:
        """Lose the beginning of one partition of an index, against all that was configured.

        Of the last index that has its whole log it is not lost: what is trimmed stops, and nothing of it is compared at
        last.
        """
        indexes = self._cluster.view().topology.indexes
        if not indexes:
            return
        index = indexes[self._rng.choice(sorted(indexes))]
        where = TopicPartition(index.topic, Partition(self._rng.randrange(index.shards)))
        whole = {each.incarnation for each in indexes.values()} - self._truth.trimmed
        if index.topic not in self._cluster.log.topics() or whole <= {index.incarnation}:
            return
        held = self._cluster.log.partition(where)
        if held.end > held.beginning:
            self.count("log trimmed", f"{where}")
            self._truth.trimmed.add(index.incarnation)
            self._cluster.log.trim(where, self._rng.randint(held.beginning + 1, held.end))

    def be_absent(self) -> None:
        """Let more time pass than tombstones are kept for, with everybody away, and compact all."""
        self.count("long absence")
        for name in sorted(self._cluster.workers):
            self._cluster.kill_worker(name)
        for node in self._cluster.nodes.values():
            node.forget_under_way()
        self._cluster.absent_ms += TOMBSTONES_KEPT_MS + 86_400_000
        for topic in sorted(self._cluster.log.topics()):
            if topic.startswith("miroir.docs."):
                self._compact(topic)
