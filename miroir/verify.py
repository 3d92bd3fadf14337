"""Verification: every replica against the log, document by document.

The truth is folded from the log by this process for itself, up to an end fixed when a shard is begun; then the replica
must reach that end, and is asked for every document that carries the shard's marker. What always holds: no answer of a
worker or a query service is believed except where a replica stands, a document written meanwhile is not called wrong,
and no copy is called wrong by a log that does not hold everything any more. Memory is the same whatever a shard's size;
only ids that are sampled are kept in it. Who calls it: ``miroir verify``, the demonstration, tests. It must not know:
terminals.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from agents.log_identity import CURE
from agents.operations import OperationBatch, parse_operations
from agents.shard_sample import Sample, ShardSample
from miroir.backup import begun_on, look_at_log
from miroir.cluster_view import ClusterView
from miroir.comparison import Comparison, add_up, compare, digest_of, last_digests, touched_ids
from miroir.condemned import Condemned, fetch_condemned
from miroir.digest_store import BLOCK_IDS, DigestStore
from miroir.log_wholeness import log_fault
from miroir.replica_documents import ReplicaDocuments
from miroir.vectors_form import NO_EMBEDDERS, Embedders, user_embedders
from schemas.config import Settings
from schemas.errors import LogError, NodeError, NotFoundError
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import IndexUid, NodeId, Offset, Partition, Position, ShardId
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.log import Bounds, TopicPartition
from streams.log_range import read_range

TIMEOUT_S = 120.0
"""How long a replica may take to reach the end that was fixed."""

ROUNDS_MAX = 3
"""A fault counts only if nothing was written meanwhile, or if it is seen so often: paging over documents that change
may miss one."""

POLL_S = 0.2
"""How often progress is folded while a replica catches up."""

Report = Callable[[int, int, str], None]
"""Takes how many replicas are done, of how many, and what is looked at."""


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What was found of one replica; ``error`` where it could not be asked, or did not reach the end in time."""

    index: IndexUid
    shard: ShardId
    node: NodeId
    comparison: Comparison
    error: str = ""

    @property
    def equal(self) -> bool:
        """Whether the replica was compared and nothing is wrong."""
        return not self.error and self.comparison.equal


@dataclass(frozen=True, slots=True)
class StrayReport:
    """Documents on a node that belong to no replica placed there; ``error`` where it could not be asked."""

    index: IndexUid
    node: NodeId
    documents: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What verification found: one entry for every replica, and for every node of an index where strays are."""

    replicas: Sequence[ReplicaReport]
    strays: Sequence[StrayReport]

    @property
    def verified(self) -> bool:
        """Whether every replica equals the log and nothing else is there; also where there was nothing to compare."""
        return all(each.equal for each in self.replicas) and not self.strays

    @property
    def documents(self) -> int:
        """How many documents of replicas equal the log's."""
        return sum(each.comparison.documents for each in self.replicas)


@dataclass(slots=True)
class ShardTruth:
    """What the log says of one shard.

    Attributes:
        digests: what it says, and which ids were written after ``end``.
        ids: what is looked at, deleted documents too; None for the whole shard.
        embedders: those whose vectors are looked at.
        end: up to which position, exclusive.
        changed_end: up to which position, exclusive, it was looked at which ids were written after ``end``.
    """

    digests: DigestStore
    ids: frozenset[str] | None
    embedders: Embedders
    end: Position
    changed_end: Position


class Verifier:
    """One verification of a cluster. Enter it, ``run`` it once.

    Args:
        settings: how to reach the log, and the nodes' master key.
        report: told each step.
        timeout_s: how long a replica may take to reach the end.
        sample: how much of every shard is looked at; None for all of it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        report: Report = lambda *_: None,
        timeout_s: float = TIMEOUT_S,
        sample: Sample | None = None,
    ) -> None:
        self._settings = settings
        self._report = report
        self._timeout_s = timeout_s
        self._sample = sample
        kafka = settings.kafka_config("miroir-verify")
        self._view = ClusterView(kafka)
        self._reader = KafkaLogReader(kafka)
        self._admin = KafkaLogAdmin(kafka)
        self._documents = ReplicaDocuments(settings)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Nothing is connected before ``run``."""
        await self._stack.enter_async_context(self._view)
        self._stack.push_async_callback(self._reader.close)
        self._stack.push_async_callback(self._admin.close)
        await self._stack.enter_async_context(self._documents)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._stack.aclose()

    async def run(self, *, index: IndexUid | None = None, node: NodeId | None = None) -> VerifyReport:
        """Compare all replicas, or those of one index or of one node.

        Raises:
            NotFoundError: there is no such index or node.
            LogError: the log cannot be read.
        """
        await self._view.refresh()
        topology = self._view.topology
        if node is not None:
            topology.node(node)
        named = [topology.index(index)] if index is not None else topology.indexes.values()
        # Nothing is applied before the primary key is known: nodes need not even have the index.
        indexes = [each for each in named if each.primary_key is not None]
        todo = {
            (each.uid, shard): wanted
            for each in indexes
            for shard in map(ShardId, range(each.shards))
            if (wanted := [r for r in topology.replicas_of(each.uid, shard) if node in {None, r.node}])
        }
        total = sum(map(len, todo.values()))
        condemned = await fetch_condemned(self._reader, self._view.topology)
        reports: list[ReplicaReport] = []
        for (uid, shard), replicas in todo.items():
            self._report(len(reports), total, f"{uid} shard {shard}")
            reports += await self._shard(topology.index(uid), shard, replicas, condemned)
        self._report(total, total, "strays")
        strays = [await self._strays(each, name) for each in indexes for name in _nodes_of(todo, each.uid)]
        return VerifyReport(reports, [each for each in strays if each.documents or each.error])

    async def _shard(
        self,
        index: IndexRecord,
        shard: ShardId,
        replicas: Sequence[ReplicaRecord],
        condemned: Condemned,
    ) -> list[ReplicaReport]:
        """Fold one shard's truth once, and compare each of its replicas with it."""
        partition = TopicPartition(index.topic, Partition(shard))
        sight = await look_at_log(self._admin, self._reader, index)
        if fault := log_fault(index.topic, index.shards, sight, begun_on(self._view, index)):
            text = f"{fault}; {CURE.format(uid=index.uid)}"
            return [ReplicaReport(index.uid, shard, each.node, Comparison(0), text) for each in replicas]
        bounds = (sight.bounds or {})[shard]
        refused = condemned.get(partition, set())
        reports = []
        with DigestStore() as digests:
            truth = await self._fold(digests, index, partition, bounds, refused)
            for replica in replicas:
                report = ReplicaReport(index.uid, shard, replica.node, Comparison(0))
                try:
                    await self._until_reached(replica, bounds.end)
                    found = await self._compare(index, replica, truth, refused)
                    reports.append(replace(report, comparison=found))
                except (NodeError, _ReplicaError, NotFoundError) as error:
                    reports.append(replace(report, error=str(error)))
        return reports

    async def _fold(
        self, digests: DigestStore, index: IndexRecord, partition: TopicPartition, bounds: Bounds, refused: set[Offset]
    ) -> ShardTruth:
        batches = self._operations(index, partition, bounds.beginning, bounds.end, refused)
        embedders = self._embedders(index)
        if self._sample is None:
            async for batch in batches:
                digests.write_truth(last_digests(batch, embedders))
            return ShardTruth(digests, None, embedders, bounds.end, bounds.end)
        sampled = ShardSample(self._sample, digest_of=partial(digest_of, embedders=embedders))
        async for batch in batches:
            sampled.fold([batch])
        documents = list(sampled.truth.items())
        for start in range(0, len(documents), BLOCK_IDS):
            digests.write_truth(dict(documents[start : start + BLOCK_IDS]))
            await _others()
        return ShardTruth(digests, sampled.ids, embedders, bounds.end, bounds.end)

    async def _compare(
        self,
        index: IndexRecord,
        replica: ReplicaRecord,
        truth: ShardTruth,
        refused: set[Offset],
    ) -> Comparison:
        partition = TopicPartition(index.topic, Partition(replica.shard))
        for _ in range(ROUNDS_MAX):
            node = self._view.topology.node(replica.node)
            truth.digests.forget_found()
            if truth.ids is None:
                pages = self._documents.of_shard(index, replica.shard, node, embedders=truth.embedders)
            else:
                pages = self._documents.of_ids(index, truth.ids, node, embedders=truth.embedders)
            async for page in pages:
                truth.digests.add_found(page)
            now = (await self._bounds(partition)).end
            # What was written while another replica was compared, or in the round before, is known already.
            async for batch in self._operations(index, partition, truth.changed_end, now, refused):
                touched = touched_ids(batch)
                truth.digests.add_changed(touched if truth.ids is None else touched & truth.ids)
            truth.changed_end = max(truth.changed_end, now)
            comparison = Comparison(0)
            for block in truth.digests.blocks():
                comparison = add_up(comparison, compare(block.truth, block.found, changed=block.changed))
                await _others()
            if comparison.equal or now == truth.end:
                break
        if not comparison.equal and truth.embedders:
            await self._view.refresh()
            if self._embedders(index) != truth.embedders:
                raise _ReplicaError("the index's embedders were changed meanwhile: verify again")
        return comparison

    def _embedders(self, index: IndexRecord) -> Embedders:
        record = self._view.topology.settings(index.uid)
        return NO_EMBEDDERS if record is None else user_embedders(record.settings)

    async def _strays(self, index: IndexRecord, name: NodeId) -> StrayReport:
        try:
            return StrayReport(index.uid, name, await self._count_strays(index, name))
        except (NodeError, NotFoundError) as error:
            return StrayReport(index.uid, name, 0, str(error))

    async def _count_strays(self, index: IndexRecord, name: NodeId) -> int:
        """Return how many documents on the node are of no copy there; one that was just placed has some, too."""
        for _ in range(ROUNDS_MAX):
            await self._view.refresh()
            # What leaves is there until it is dropped.
            here = (*self._view.topology.replicas_on(name), *self._view.topology.leaving_on(name))
            placed = [each.shard for each in here if each.uid == index.uid]
            node = self._view.topology.node(name)
            if not (found := await self._documents.count_outside(index, placed, node)):
                break
        return found

    async def _until_reached(self, replica: ReplicaRecord, end: Position) -> None:
        """Return once the replica's visible cursor has reached ``end``.

        Raises:
            _ReplicaError: not in time, or it has been placed anew meanwhile.
        """
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            await self._view.refresh()
            placed = self._view.topology.replicas_of(replica.uid, replica.shard)
            if replica not in placed:
                raise _ReplicaError("the replica was moved or rebuilt meanwhile: verify again")
            progress = self._view.progress.of(replica)
            if progress is not None and progress.cursor >= end:
                return
            if time.monotonic() > deadline_s:
                at = "nothing was seen of it" if progress is None else f"it stands at {progress.cursor}"
                raise _ReplicaError(f"not at position {end} after {self._timeout_s:.0f} s: {at}")
            await asyncio.sleep(POLL_S)

    async def _operations(
        self, index: IndexRecord, partition: TopicPartition, start: Position, end: Position, refused: set[Offset]
    ) -> AsyncIterator[OperationBatch]:
        if index.primary_key is None:
            return
        limit = self._settings.post_bytes_max
        async for batch in read_range(self._reader, partition, start, end):
            yield parse_operations(batch, index, condemned=refused, document_bytes_max=limit)[0]

    async def _bounds(self, partition: TopicPartition) -> Bounds:
        return (await self._reader.bounds([partition]))[partition]


class _ReplicaError(LogError):
    """A replica that cannot be compared."""


async def _others() -> None:
    """Let the loop's other tasks go on between two blocks of work."""
    await asyncio.sleep(0)


def _nodes_of(todo: Mapping[tuple[IndexUid, ShardId], Sequence[ReplicaRecord]], uid: IndexUid) -> Sequence[NodeId]:
    return sorted({replica.node for (index, _), replicas in todo.items() if index == uid for replica in replicas})
