"""Looking, all the time and at a low rate, whether nodes hold what the log says.

Every few seconds some documents of one index on one node are read and compared with their last writes, which this
worker still has in memory. A difference counts where it is seen again, and the node's task list, read after each look,
says that nothing came between. What always holds: a copy is made anew only while another one is whole, through the
controller, as in every rebuild. Who calls it: the worker's samplers; the one of old documents for what it has in common
with this one. It must not know: what a certain difference is (``agents/sampling.py``), Faust, HTTP.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from agents.sampling import (
    DOCUMENTS_MAX,
    Expected,
    choose_expected,
    digest_written,
    find_differing,
    may_repair,
    settled_below,
)
from agents.tail import NodeTail
from agents.worker.feed import Assignment
from agents.worker.metrics import WorkerMetrics
from schemas.errors import NodeError
from schemas.events import ReplicaRecord
from schemas.ids import Incarnation, NodeId, NodeIndexUid, Partition, Position, ShardId, node_index_uid
from schemas.requests import RebuildNode, build_request
from streams.log import Append
from streams.topics import REQUESTS

LOOK_MAX_S = 60.0
"""One look with all its repetitions; a node that does not answer so long is looked at another time."""

LOOKS = 2
"""A difference counts when it was seen so often, with the node's task list read after each."""

_log = logging.getLogger(__name__)


class SampledNode(Protocol):
    """What is asked of a node's feeder."""

    node: NodeId

    @property
    def tail(self) -> NodeTail:
        """What is known of the node's task list."""

    @property
    def is_away(self) -> bool:
        """Whether the node does not tell its task list."""

    async def documents(self, index: NodeIndexUid, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Return those of these documents that the node has. Raises ``NodeError``."""

    async def read_tail(self) -> None:
        """Return once the task list was read by a question that was asked after this call."""


StillExpected = Callable[[Iterable[Expected]], Sequence[Expected]]
"""Returns what of these is still as it was to be expected, by what is known of the log and of the node now."""


class Place(NamedTuple):
    """The copies of one index on one node that this worker feeds."""

    node: SampledNode
    copies: tuple[Assignment, ...]


def find_places(nodes: Iterable[SampledNode], assignments: Callable[[NodeId], Sequence[Assignment]]) -> Sequence[Place]:
    """Return what can be looked at on these nodes: copies whose index is applied, by node and index."""
    found = []
    for node in nodes:
        groups: dict[Incarnation, list[Assignment]] = {}
        for copy in assignments(node.node):
            if copy.is_applied and copy.is_fed:
                groups.setdefault(copy.feed.incarnation, []).append(copy)
        found += [Place(node, tuple(copies)) for copies in groups.values()]
    return found


def settled_on(node: SampledNode, copy: Assignment) -> Position:
    """Return the position before which everything is on the node; 0 where it does not tell. See ``settled_below``."""
    if node.is_away or not node.tail.is_whole:
        return Position(0)
    tail = node.tail.index(copy.feed.incarnation)
    return settled_below(tail, copy.feed.shard, copy.replica.attempt, known=copy.feed.window.end)


class Sampler:
    """Looks at the copies that this worker feeds.

    Args:
        places: what can be looked at now.
        has_other: whether another copy of the shard is whole.
        append: appends requests, however long it takes.
        metrics: shows what was looked at, and what differs.
        interval_s: between two looks.
        draw: a number in [0, 1).
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        places: Callable[[], Sequence[Place]],
        *,
        has_other: Callable[[ReplicaRecord], bool],
        append: Callable[[Sequence[Append]], Awaitable[None]],
        metrics: WorkerMetrics,
        interval_s: float,
        draw: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._places = places
        self._has_other = has_other
        self._append = append
        self._metrics = metrics
        self._interval_s = interval_s
        self._draw = draw
        self._now_ms = now_ms
        self._differing: dict[ReplicaRecord, set[str]] = {}
        self._repaired_ms: dict[tuple[Incarnation, ShardId], dict[NodeId, int]] = {}

    def differing(self, replica: ReplicaRecord) -> int:
        """Return how many documents of the replica were found to differ since it was placed."""
        return len(self._differing.get(replica, ()))

    async def run(self) -> None:
        """Look again and again until cancelled; an interval of 0 is never."""
        if self._interval_s <= 0:
            return
        while True:
            await asyncio.sleep(self._interval_s)
            places = self._places()
            self.keep(places)
            if not places:
                continue
            try:
                async with asyncio.timeout(LOOK_MAX_S):
                    await self.look(places[int(self._draw() * len(places))])
            except (NodeError, TimeoutError) as error:
                _log.debug("documents are not looked at", extra={"reason": str(error)})

    async def look(self, place: Place) -> None:
        """Look at some documents, and let a copy be made anew that surely differs.

        Raises:
            NodeError: the node does not say what it holds.
        """
        differing = await self.confirm(place, self._expected(place), lambda each: self._still_expected(place, each))
        if differing:
            await self.report(place, differing)

    async def confirm(self, place: Place, expected: Sequence[Expected], still: StillExpected) -> Sequence[Expected]:
        """Return what surely differs.

        Args:
            place: where the documents are.
            expected: what they must be; at most ``DOCUMENTS_MAX``.
            still: what of it is to be expected now; asked after each look, once the task list was read again.

        Raises:
            NodeError: the node does not say what it holds.
        """
        count = len(expected)
        for _ in range(LOOKS):
            if not expected:
                break
            expected = await self._differ(place, expected, still)
        if count:
            self._metrics.sampled.labels(index=place.copies[0].index.uid).inc(count)
        return expected

    def keep(self, places: Iterable[Place]) -> None:
        """Forget what was found of copies that are placed no more."""
        present = {copy.replica for place in places for copy in place.copies}
        self._differing = {replica: ids for replica, ids in self._differing.items() if replica in present}

    def _expected(self, place: Place) -> Sequence[Expected]:
        found: list[Expected] = []
        # From another shard on each time, so that all have their turn.
        first = int(self._draw() * len(place.copies))
        for copy in (*place.copies[first:], *place.copies[:first]):
            left = DOCUMENTS_MAX - len(found)
            found += self._choose(place.node, copy, documents_max=left) if left else ()
        return found

    def _choose(self, node: SampledNode, copy: Assignment, *, documents_max: int) -> Sequence[Expected]:
        window = copy.feed.window
        batches = window.batches_from(window.start)
        below = settled_on(node, copy)
        if below <= window.start:
            return ()
        return choose_expected(
            copy.feed.shard, batches, below=below, draw=self._draw(), documents_max=min(documents_max, DOCUMENTS_MAX)
        )

    async def _differ(self, place: Place, expected: Sequence[Expected], still: StillExpected) -> Sequence[Expected]:
        """Return what differs, and was to be expected before and after the node was asked."""
        index = place.copies[0].index
        uid = node_index_uid(index.uid, index.incarnation)
        found = await place.node.documents(uid, [each.id for each in expected])
        differing = find_differing(expected, found, primary_key=index.primary_key or "")
        if not differing:
            return ()
        await place.node.read_tail()
        return still(differing)

    def _still_expected(self, place: Place, expected: Iterable[Expected]) -> Sequence[Expected]:
        copies = {copy.feed.shard: copy for copy in place.copies}
        kept = []
        for each in expected:
            copy = copies[each.shard]
            written = [
                operation
                for batch in copy.feed.window.batches_from(Position(each.offset))
                for operation in batch.operations
                if operation.id == each.id and operation.offset >= each.offset
            ]
            is_last = len(written) == 1 and digest_written(written[0].document) == each.digest
            if is_last and each.offset < settled_on(place.node, copy):
                kept.append(each)
        return kept

    async def report(self, place: Place, differing: Sequence[Expected], *, repairs: bool = True) -> None:
        """Tell of documents that surely differ, and let their copies be made anew where that may be.

        Args:
            place: where they are.
            differing: what they should be.
            repairs: whether the log can make the copies anew.
        """
        by_shard = {copy.feed.shard: copy.replica for copy in place.copies}
        node, uid = place.node.node, place.copies[0].index.uid
        _log.error(
            "documents on a node are not what the log says",
            extra={"node": node, "index": uid, "documents": [(each.shard, each.id) for each in differing]},
        )
        replicas = {by_shard[each.shard] for each in differing}
        for each in differing:
            known = self._differing.setdefault(by_shard[each.shard], set())
            if each.id not in known:
                known.add(each.id)
                self._metrics.sampled_differences.labels(index=uid, node=node).inc()
        ordered = sorted(replicas, key=lambda each: each.shard)
        chosen = [replica for replica in ordered if self._claim_repair(replica, is_possible=repairs)]
        if not chosen:
            return
        # One request for all: each takes the node's next search key, which must have been made by then.
        shards, attempt = tuple(replica.shard for replica in chosen), max(replica.attempt for replica in chosen)
        request = build_request(RebuildNode(chosen[0].node, uid, shards, attempt))
        await self._append([Append(REQUESTS, Partition(0), None, request)])

    def _claim_repair(self, replica: ReplicaRecord, *, is_possible: bool) -> bool:
        """Return whether a copy that differs is to be made anew now; it counts as asked for from then on."""
        others_whole, now_ms = self._has_other(replica), self._now_ms()
        repaired_ms = self._repaired_ms.setdefault((replica.incarnation, replica.shard), {})
        is_wise = may_repair(
            others_whole=others_whole,
            repaired_ms=repaired_ms.get(replica.node),
            beside_ms=max((at_ms for node, at_ms in repaired_ms.items() if node != replica.node), default=None),
            now_ms=now_ms,
        )
        if not (is_possible and is_wise):
            _log.error("a copy that differs is not made anew", extra={**_named(replica), "others_whole": others_whole})
            return False
        repaired_ms[replica.node] = now_ms
        _log.warning("a copy that differs is made anew", extra=_named(replica))
        return True


def _named(replica: ReplicaRecord) -> Mapping[str, object]:
    return {"node": replica.node, "index": replica.uid, "shard": replica.shard}
