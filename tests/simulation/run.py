"""One run: so many steps of changes and faults under one seed, and what must hold after each and at the end."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from schemas.errors import LogUnavailableError, NoTopicError
from schemas.events import IndexRecord, NodeState
from schemas.ids import ShardId
from streams.log import Append
from streams.partitioning import partition_of
from tests.simulation.audit import Audit
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.faults import Faults
from tests.simulation.folds import Folds
from tests.simulation.judge import Judge
from tests.simulation.mixes import USUAL, Mix
from tests.simulation.operator import Operator
from tests.simulation.pages import document_of
from tests.simulation.searcher import Searcher
from tests.simulation.settled import count_settled, find_unsettled, require_dead_letters
from tests.simulation.truth import BrokenInvariantError, Truth, Value
from tests.simulation.virtual_clock import VirtualClockLoop

STEPS = 300
STEPS_MORE = 3
"""Times as many at the most follow, as long as no request has changed anything: a seed has a change of the cluster."""

STEP_S = 0.15
"""Mean time between two steps."""

SETTLE_S = 180.0
"""All copies are equal to the log within this, once nothing goes wrong any more."""

DELETES = 0.2
BURSTS = (*range(1, 13), 40)
"""Documents of one step: mostly few, now and then more than fit one post."""

REFUSED = 0.004
"""Part of the documents that no node can hold: half of them a node refuses, and with them whatever is in the batch."""

GROUPS = (0, 0, 1)
"""Of the first nodes."""


@dataclass(slots=True)
class Result:
    """What a run has covered."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    searches: int = 0
    rounds: Counter[str] = field(default_factory=Counter)
    incomplete: int = 0
    judged: int = 0
    stale: int = 0
    compared: int = 0
    folds: int = 0
    documents: int = 0
    dead: int = 0
    settled: int = 0
    seconds: float = 0.0
    digest: str = ""


class Run:
    """A run under way.

    Args:
        seed: decides on everything.
        steps: how many there are before everything is mended.
        mix: how often each thing happens.
    """

    def __init__(self, seed: int, *, steps: int = STEPS, mix: Mix = USUAL) -> None:
        self.result = Result(seed)
        self._rng = random.Random(seed)
        self._steps = steps
        self._mix = mix
        self._cluster = SimulatedCluster(self._rng)
        self._truth = Truth()
        self._judge = Judge(self._cluster, self._truth)
        self._searcher = Searcher(self._cluster, self._judge, self._rng, random.Random(f"{seed} pages"))
        self._operator = Operator(self._cluster, self._rng)
        self._faults = Faults(self._cluster, self._truth, self._rng, mix)
        self._audit = Audit(self._cluster, self._truth, self._judge, random.Random(f"{seed} audit"))
        self._folds = Folds(self._cluster)
        self._version = 0

    async def run(self) -> Result:
        """Run, and return what was covered.

        Raises:
            BrokenInvariantError: something that must always hold did not.
        """
        cluster = self._cluster
        cluster.start()
        searcher = self._searcher
        searching = [asyncio.create_task(each) for each in (searcher.follow(), searcher.probe(), searcher.run())]
        try:
            for group in GROUPS:
                self._operator.join(group)
            for _ in range(2):
                cluster.start_worker()
            await self._wait_for_nodes()
            self._operator.make_indexes()
            for _ in range(self._steps):
                await self._live(searching)
            for _ in range(STEPS_MORE * self._steps):
                if self._operator.changes(cluster.view().topology):
                    break
                await self._live(searching)
            await self._settle(searching)
        finally:
            for task in searching:
                task.cancel()
            cluster.stop()
        self._count()
        return self.result

    async def _live(self, searching: Sequence["asyncio.Task[None]"]) -> None:
        """Let one thing happen, and look at everything."""
        await asyncio.sleep(self._rng.expovariate(1 / STEP_S))
        self._step()
        self._audit.look()
        self._folds.look()
        self._require_alive(searching)

    def _count(self) -> None:
        result = self.result
        result.faults = self._faults.counted
        result.faults["post delayed"] = sum(node.delayed for node in self._cluster.nodes.values())
        topology = self._cluster.view().topology
        result.requests, result.changes = self._operator.granted(topology), self._operator.changes(topology)
        result.searches, result.incomplete = self._searcher.searches, self._searcher.incomplete
        result.rounds = self._searcher.rounds
        result.judged, result.stale = self._judge.judged, self._judge.stale
        result.compared, result.folds = self._audit.compared, self._folds.compared
        result.digest = self._cluster.digest()
        result.seconds = asyncio.get_running_loop().time()

    async def _wait_for_nodes(self) -> None:
        """Wait until the first nodes may hold a shard: an index without one is refused."""
        deadline_s = asyncio.get_running_loop().time() + SETTLE_S
        while {node.state for node in self._cluster.view().topology.nodes.values()} != {NodeState.ACTIVE}:
            if asyncio.get_running_loop().time() > deadline_s:
                raise BrokenInvariantError("settled", "the first nodes do not become active")
            await asyncio.sleep(0.1)

    # --- what happens ---

    def _step(self) -> None:
        faults = self._faults
        kinds: Mapping[str, Callable[[], None]] = {
            "produce": self._produce,
            "ask": self._operator.ask,
            "break node": faults.break_node,
            "mend node": faults.mend_node,
            "break worker": faults.break_worker,
            "mend worker": faults.mend_worker,
            "break log": faults.break_log,
            "compact": faults.compact,
            "trim": faults.trim,
            "be absent": faults.be_absent,
            "change share": self._operator.change_share,
            "ask rarely": self._operator.ask_in_rare_states,
        }
        weights = self._mix.weights
        (kind,) = self._rng.choices(list(weights), list(weights.values()))
        kinds[kind]()

    def _produce(self) -> None:
        """Append documents and deletes to an index."""
        indexes = self._cluster.view().topology.indexes
        if not indexes or self._cluster.log.away:
            return
        index = indexes[self._rng.choice(sorted(indexes))]
        try:
            for _ in range(self._rng.choice(BURSTS)):
                self._append(index)
        except NoTopicError:
            return

    def _append(self, index: IndexRecord) -> None:
        """Append a document, a delete, or what no node can hold."""
        key = str(self._rng.randrange(self._mix.ids))
        self._version += 1
        draw = self._rng.random()
        wire: Value = document_of(key, self._version)
        if draw < REFUSED:
            wire = {**(wire or {}), "_poison": True} if draw < REFUSED / 2 else {"id": f"not {key}"}
        elif draw > 1 - DELETES:
            wire = None
        partition = partition_of(key.encode(), index.shards, index.partitioner)
        shard = ShardId(partition)
        data = None if wire is None else orjson.dumps(wire)
        offset = self._cluster.log.append(Append(index.topic, partition, key.encode(), data))
        if draw < REFUSED:
            self._faults.count("document refused by a node" if draw < REFUSED / 2 else "document bad")
            self._truth.refused[index.incarnation, shard, offset] = key
        self._truth.note(index.incarnation, shard, offset, key, None if draw < REFUSED else wire)
        self.result.documents += 1

    # --- what must hold ---

    def _require_alive(self, searching: Sequence["asyncio.Task[None]"]) -> None:
        """Raise what ended a task; a worker that has ended with an error of the world is started again."""
        self._cluster.look_for_workers()
        for name, worker in sorted(self._cluster.workers.items()):
            if worker.task.done():
                error = worker.task.exception()
                if error is not None and not _is_of_the_world(error):
                    raise error
                self._faults.count("worker ended", repr(error))
                self._cluster.kill_worker(name)
        for error in (*self._cluster.failed(), *_unheard()):
            raise error
        for task in searching:
            if task.done() and (error := task.exception()) is not None:
                raise error

    async def _settle(self, searching: Sequence["asyncio.Task[None]"]) -> None:
        """End every fault, and wait until everything is as the log says."""
        self._faults.mend_all()
        deadline_s = asyncio.get_running_loop().time() + SETTLE_S
        while (missing := find_unsettled(self._cluster, self._truth)) is not None:
            self._require_alive(searching)
            if not self._cluster.workers:
                self._cluster.start_worker()
            if asyncio.get_running_loop().time() > deadline_s:
                raise BrokenInvariantError("settled", f"not after {SETTLE_S:.0f} s: {missing}")
            await asyncio.sleep(0.25)
        self._require_alive(searching)
        self.result.dead = require_dead_letters(self._cluster, self._truth)
        self.result.settled = count_settled(self._cluster, self._truth)
        self._folds.require_equal()


def _is_of_the_world(error: BaseException) -> bool:
    """Return whether it is a fault of the log, for which a process may end."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_the_world(each) for each in error.exceptions)
    return isinstance(error, LogUnavailableError | asyncio.CancelledError)


def _unheard() -> Sequence[BaseException]:
    """Return what was raised where nobody waits for it."""
    loop = asyncio.get_running_loop()
    return loop.unheard if isinstance(loop, VirtualClockLoop) else ()
