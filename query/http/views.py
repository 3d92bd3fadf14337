"""What the log says, folded and kept up to date in the background: cluster, progress, tasks, dead letters.

What always holds: readers see a consistent value at any moment, since folding never suspends; with Kafka away the last
values stay, and ``connected`` says so; they stay, too, while a log that was trimmed is folded anew. Who calls it: every
route reads it; the process starts ``run``. It must not know: what the values are used for.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from query.dead_letters import DeadLetters
from query.http.clock import now_ms
from query.http.guarded_writer import require_folding
from query.paces import Paces, fold_paces
from query.rules import IndexRules, rules_of
from query.task_book import KEPT_MAX, TaskBook
from query.task_status import StatusView, derive_outcome
from schemas.errors import InvalidRequestError, LogError, MiroirError, MissedRecordsError, NoLeaderError
from schemas.events import IndexRecord, SettingsRecord
from schemas.ids import Epoch, IndexUid, NodeId, Partition, Position
from streams.log import Bounds, LogBatch, LogReader, TopicPartition
from streams.process.skipped import tell_skipped
from streams.readable import ProgressView, fold_progress
from streams.serving import searched_topology
from streams.skipping import Skipped, count_topics, fold_readable, split_readable
from streams.topics import CLUSTER, DEAD, PROGRESS, TASKS
from streams.topology import Topology, fold_cluster

READ_S = 0.5
"""How long a read waits; it returns at once when something has arrived."""

RECORDS_MAX = 5_000
"""Folded at once: some 50 ms without another task running, at the start only."""

RETRY_S = 0.5
"""Between two tries to reach the log."""

LEADER_RETRY_S = 1.0
"""Between two questions about topics that no broker leads, while the others are read."""

TOPICS = (CLUSTER, PROGRESS, TASKS, DEAD)

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _Fold:
    """The topics as far as they are folded; changed in place.

    Attributes:
        positions: how far each topic is folded; without those that have not been begun.
        ends: where each topic ended when folding began.
    """

    def __init__(self) -> None:
        self.topology = Topology()
        self.searched = self.topology
        self.progress = ProgressView()
        self.paces: Paces = {}
        self.tasks = TaskBook()
        self.dead = DeadLetters()
        self.skipped: Counter[str] = Counter()
        self.positions: dict[str, Position] = {}
        self.ends: dict[str, Position] = {}

    def begin(self, bounds: Mapping[TopicPartition, Bounds]) -> None:
        """Begin where each of these topics is to be read from."""
        self.ends |= {each.topic: found.end for each, found in bounds.items()}
        self.positions |= {each.topic: _start(each.topic, found) for each, found in bounds.items()}

    def has_reached_end(self, *topics: str) -> bool:
        """Return whether these topics are folded to where they ended when folding began."""
        return all(topic in self.ends and self.positions[topic] >= self.ends[topic] for topic in topics)

    def take(self, batches: Sequence[LogBatch]) -> None:
        """Take in what was read."""
        by_topic = {topic: [batch for batch in batches if batch.topic == topic] for topic in TOPICS}
        if by_topic[CLUSTER]:
            self.topology = fold_cluster(self.topology, by_topic[CLUSTER])
            self.searched = searched_topology(self.topology)
        if by_topic[PROGRESS]:
            self.progress, skipped = fold_readable(by_topic[PROGRESS], partial(fold_progress, self.progress))
            self._note_skipped(skipped)
            written = {
                (record.key or b"").decode(errors="replace") for batch in by_topic[PROGRESS] for record in batch.records
            }
            self.paces = fold_paces(self.paces, self.progress.replicas, written)
        _, skipped = fold_readable(by_topic[TASKS], self.tasks.fold)
        self._note_skipped(skipped)
        # Letters are few, and their keys are looked at, too.
        letters, skipped = split_readable(by_topic[DEAD])
        self.dead.fold(letters)
        self._note_skipped(skipped)
        for batch in batches:
            self.positions[batch.topic] = batch.end

    def _note_skipped(self, skipped: Sequence[Skipped]) -> None:
        self.skipped += count_topics(skipped)
        tell_skipped(skipped)


class Views:
    """The folded topics, as they are shown.

    Args:
        lag_records_max: how far behind the best copy a readable one may be.
        away: the nodes that this process cannot reach.
        knows_filters: whether no node can know a filter that our grammar does not.

    Attributes:
        connected: whether the last read of the log succeeded.
        connected_s: monotonic time of the last read that succeeded.
        stopped: why folding has stopped for good; empty while it has not.
        skipped: how many records of each topic could not be read and were passed over.
    """

    def __init__(
        self,
        *,
        lag_records_max: int,
        away: Callable[[], frozenset[NodeId]],
        knows_filters: Callable[[], bool] = lambda: False,
    ) -> None:
        self.connected = False
        self.connected_s = 0.0
        self.stopped = ""
        self._lag_records_max = lag_records_max
        self._away = away
        self._knows_filters = knows_filters
        self._changed = asyncio.Event()
        self._rules: dict[IndexUid, tuple[IndexRecord, SettingsRecord | None, IndexRules]] = {}
        # What was read goes into one, readers see the other; they differ only while a log is folded anew.
        self._folding = _Fold()
        self._show(self._folding)

    def _show(self, fold: _Fold) -> None:
        self._shown = fold
        self.topology, self.searched = fold.topology, fold.searched
        self.progress, self.paces = fold.progress, fold.paces
        self.tasks, self.dead, self.skipped = fold.tasks, fold.dead, fold.skipped

    @property
    def is_ready(self) -> bool:
        """Whether cluster and progress have been folded to where they ended at the start; true from then on."""
        return self._shown.has_reached_end(CLUSTER, PROGRESS)

    def require_ready(self) -> None:
        """Raise while there is nothing yet that anything could be answered from.

        Raises:
            InvalidRequestError: cluster and progress have not been folded; with the reason where they never will be.
        """
        if not self.is_ready:
            require_folding(self.stopped)
            raise InvalidRequestError("miroir_unavailable", "the log has not been read yet")

    def has_folded(self, topic: str) -> bool:
        """Return whether the topic has been folded to where it ended at the start."""
        return self._shown.has_reached_end(topic)

    def rules(self, index: IndexRecord) -> IndexRules:
        """Return what the user's settings let searches of the index do."""
        settings, knows_filters = self.topology.settings(index.uid), self._knows_filters()
        found = self._rules.get(index.uid)
        if found is not None and found[0] is index and found[1] is settings and found[2].knows_filters is knows_filters:
            return found[2]
        rules = rules_of(index.uid, index.primary_key, settings.settings if settings is not None else {})
        rules = replace(rules, knows_filters=knows_filters)
        self._rules[index.uid] = (index, settings, rules)
        # Of indexes that are no more, nobody will ask for newer ones.
        for gone in self._rules.keys() - {index.uid} - self.topology.indexes.keys():
            del self._rules[gone]
        return rules

    def status_view(self) -> StatusView:
        """Return what task statuses are derived from."""
        return StatusView(self.topology, self.progress, self.dead, self._away(), self._lag_records_max)

    def newest_progress_ms(self, node: NodeId) -> int:
        """Return when any copy on the node was last seen by its owner; 0 for never."""
        return max((p.seen_ms for p in self.progress.replicas.values() if p.node == node), default=0)

    async def wait_for(self, condition: Callable[[], T | None], *, timeout_s: float) -> T | None:
        """Return what ``condition`` gives as soon as it gives something; None after ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                while (found := condition()) is None:
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return found

    async def run(self, reader: LogReader) -> None:
        """Fold until cancelled; through every failure of the log but a cluster record that this version cannot read.

        Raises:
            InvalidInputError: a record of another form: a newer writer, or a foreign one. Upgrade readers first.
            Exception: a mistake of ours. Whatever ends the folding, ``stopped`` says so to everybody.
        """
        while True:
            try:
                await self._follow(reader)
            except MissedRecordsError as error:
                _log.warning("the log was trimmed or is another one: folding it anew", extra={"error": str(error)})
                self._fold_anew()
            except LogError as error:
                if self.connected or not self._folding.positions:
                    _log.warning("the log cannot be read", extra={"error": str(error)})
                self.connected = False
                self._wake()
            except Exception as error:
                self.stopped = str(error) if isinstance(error, MiroirError) else f"{type(error).__name__}: {error}"
                self.connected = False
                self._wake()
                raise
            await asyncio.sleep(RETRY_S)

    async def _follow(self, reader: LogReader) -> None:
        fold = self._folding
        while True:
            read = await _assign(reader, fold)
            begun_s = time.monotonic()
            while len(read) == len(TOPICS) or time.monotonic() < begun_s + LEADER_RETRY_S:
                batches = await reader.read(timeout_s=READ_S, records_max=RECORDS_MAX)
                self.connected = True
                self.connected_s = time.monotonic()
                self.fold(batches)

    def fold(self, batches: Sequence[LogBatch]) -> None:
        """Take in what was read, settle tasks, and wake whoever waits."""
        self._folding.take(batches)
        if self._folding is self._shown or self._folding.has_reached_end(*TOPICS):
            self._show(self._folding)
        self._settle()
        # Also where nothing has come: a log that holds nothing is folded then.
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _settle(self) -> None:
        # Before all is folded, a task would look unfinished only because its answer was not read yet, and then get
        # the wrong time; a failed one would even look succeeded.
        if self._shown.has_reached_end(*TOPICS):
            view = self.status_view()
            self.tasks.settle(lambda task: derive_outcome(task, view), now_ms())

    def _fold_anew(self) -> None:
        """Begin from the log's beginning; what readers see stays until that has come to the end, if it ever had."""
        self._folding = _Fold()
        if not self.is_ready:
            self._show(self._folding)

    def position(self, topic: str) -> Epoch:
        """Return how far the topic has been folded."""
        return Epoch(self._shown.positions.get(topic, Position(0)))


async def _assign(reader: LogReader, fold: _Fold) -> Collection[TopicPartition]:
    """Let the reader read on, and return what it reads: a topic that no broker leads holds up none of the others.

    Raises:
        NoLeaderError: no topic at all is led.
    """
    led: Collection[TopicPartition] = [TopicPartition(topic, Partition(0)) for topic in TOPICS]
    while True:
        try:
            fold.begin(await reader.bounds([each for each in led if each.topic not in fold.positions]))
            await reader.assign({each: fold.positions[each.topic] for each in led})
        except NoLeaderError as error:
            led = [each for each in led if each not in error.partitions]
            if not led:
                raise
        else:
            return led


def _start(topic: str, bounds: Bounds) -> Position:
    """Return where folding begins: of tasks only the last ones are kept."""
    if topic != TASKS:
        return bounds.beginning
    return Position(max(bounds.beginning, bounds.end - KEPT_MAX))
