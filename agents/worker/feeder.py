"""Feeding one node: its tail, its writer, and the replay for its shards that are behind.

The writer always continues where the tail's fold says that the node stands; nothing else is remembered, so a failed
task, an ambiguous answer, a former owner's late post, a wiped or an older disk need no code of their own. What always
holds: one request that writes is under way at a time; nothing is posted before the node has the index's settings. Who
calls it: the applier, one feeder a node. It must not know: Faust, or other nodes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from agents.batching import Flush, begin_slice, decide_flush, take_slices
from agents.drops import Attempts
from agents.operations import Operation
from agents.ports import NodeWriter
from agents.quarantine import Suspect, Verdict, condemned, judge, narrow
from agents.refusals import Refusals
from agents.replay_pace import Rest
from agents.tail import FailedTask, NodeTail
from agents.window import Window
from agents.worker.beginnings import Beginnings, NodeSight
from agents.worker.feed import Assignment, Feed
from agents.worker.feeder_settings import FeederSettings
from agents.worker.fence import Fence
from agents.worker.index_turns import IndexTurns
from agents.worker.poster import Poster, mark_news
from agents.worker.replay import Replay
from agents.worker.replay_pacer import ReplayPacer, Sources
from agents.worker.settings_sight import SettingsSight
from agents.worker.tail_follower import TailFollower, backoff_s
from schemas.errors import NodeError, NodeForgotError
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import (
    Incarnation,
    NodeId,
    NodeIndexUid,
    Offset,
    SettingsVersion,
    ShardId,
    node_index_uid,
)
from streams.cursor import UNTOUCHED, IndexCursors, ShardCursor
from streams.log import TopicPartition

SETTINGS_S = 0.2
"""How often a node is asked whether it has the settings by now."""

_log = logging.getLogger(__name__)


class Feeder:
    """Feeds one node until cancelled.

    Args:
        node: its id.
        writer: how to speak to it; closed at the end.
        settings: limits and intervals.
        assignments: the replicas on it that this worker feeds now.
        placements: the attempt of every shard of an index incarnation that has a placement on it, whoever feeds it.
        replay: reads the log for those that are behind.
        search_key: the key that works on the node once every former search key is dead, as the topology names it now.
        is_stale: whether a copy of the feed's shard that stands there may have missed deletes: it is not fed.
        is_limited: whether a copy is being made that others can wait for.
        condemn: sets a record aside that the node has refused, before anything after it is posted.
        advanced: called whenever the tail has moved.
        now: monotonic seconds.
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        node: NodeId,
        writer: NodeWriter,
        settings: FeederSettings,
        *,
        assignments: Callable[[], Sequence[Assignment]],
        placements: Callable[[Incarnation], Attempts],
        replay: Replay,
        search_key: Callable[[], str],
        is_stale: Callable[[Feed, ShardCursor], bool],
        is_limited: Callable[[ReplicaRecord], bool],
        condemn: Callable[[Assignment, Operation, str], Awaitable[None]],
        advanced: Callable[[], None],
        now: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self.node = node
        self.trouble = ""
        self._tail = TailFollower(node, writer, interval_s=settings.tail_interval_s, judge=self._judge, watcher=self)
        self._writer = writer
        self._settings = settings
        self._assignments = assignments
        self._replay = replay
        self._condemn = condemn
        self._advanced = advanced
        self._is_stale = is_stale
        self._pacer = ReplayPacer(settings.replay_share, settings.limits, is_limited=is_limited, now=now)
        self._now = now
        self._now_ms = now_ms
        self._wake = asyncio.Event()
        self._settings_sight = SettingsSight(writer.settings_version)
        self._refusals: Refusals[Assignment] = Refusals()
        self._poster = Poster(node, writer, worker=settings.worker, refusals=self._refusals, noted=self._note)
        self._beginnings = Beginnings(
            NodeSight(placements, self._applied, self.accepted, self._tail.read_again),
            Fence(writer.accepts, search_key=search_key, deadline_s=settings.search_deadline_s, now=now),
            self._poster.drop,
            search_deadline_s=settings.search_deadline_s,
            now=now,
            now_ms=now_ms,
        )
        self._turns = IndexTurns(node, now=now)
        self._fed: set[TopicPartition] = set()
        self._since: dict[Incarnation, float] = {}
        self._failures = 0
        self._quiet_until = 0.0

    @property
    def tail(self) -> NodeTail:
        """What is known of the node's task list."""
        return self._tail.tail

    @property
    def is_away(self) -> bool:
        """Whether the node does not tell its task list."""
        return self._tail.is_away

    def wake(self) -> None:
        """There may be something to post, or the assignments have changed."""
        self._wake.set()

    def settings_version(self, incarnation: Incarnation) -> SettingsVersion:
        """Return which settings the node's index was last seen to have; -1 for none."""
        return self._settings_sight.version(incarnation)

    def accepted(self, incarnation: Incarnation) -> IndexCursors:
        """Return where the writer stands."""
        return self.tail.index(incarnation).accepted()

    async def documents(self, index: NodeIndexUid, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Return those of these documents that the node has.

        Raises:
            NodeError: it does not say.
        """
        return await self._writer.documents(index, ids)

    async def read_tail(self) -> None:
        """Return once the task list was read by a question that was asked after this call, however long that takes."""
        await self._tail.read_again()

    def replace_by_delete(self, partition: TopicPartition, offset: Offset) -> None:
        """Let a record that a node has refused act as a delete of its key."""
        self._replay.replace_by_delete(partition, offset)

    async def run(self) -> None:
        """Feed until cancelled; then the connections are closed. What was answered is in the node's list."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tail.run())
                group.create_task(self._write())
                group.create_task(self._replay.run())
        finally:
            await self._writer.close()

    # --- the tail ---

    def tail_moved(self, *, has_failed: bool) -> None:
        """See ``TailWatcher``."""
        self.trouble = self.trouble if has_failed else ""
        self._wake.set()
        self._advanced()

    def tail_forgotten(self) -> None:
        """See ``TailWatcher``."""
        self._settings_sight.forget_all()
        self._refusals.forget()

    def tail_unread(self, error: NodeError) -> None:
        """See ``TailWatcher``."""
        self._note_trouble(error)

    def _note_trouble(self, error: NodeError) -> None:
        if not self.trouble:
            _log.warning("node is not fed", extra={"node": self.node, "reason": str(error)})
        self.trouble = str(error)
        if isinstance(error, NodeForgotError):
            self._tail.forget()

    # --- verdicts ---

    async def _judge(self, failed: FailedTask) -> None:
        incarnation = failed.task.metadata.incarnation
        verdict = judge(failed)
        _log.warning(
            "node failed a task",
            extra={
                "node": self.node,
                "task": failed.task.uid,
                "code": failed.error_code,
                "reason": failed.error_message,
                "verdict": verdict.name,
            },
        )
        if verdict is Verdict.SICK:
            self.trouble = f"task {failed.task.uid}: {failed.error_code}: {failed.error_message}"
            self._settings_sight.forget(incarnation)
            self._back_off()
            return
        found = self._refusals.take(failed, verdict, now_s=self._now())
        if found is not None:
            await self._condemn(found.of, found.operation, f"{failed.error_code}: {failed.error_message}")
            self._refusals.settle(incarnation, found.shard)

    # --- the writer ---

    async def _write(self) -> None:
        while True:
            self._wake.clear()
            try:
                wait_s = await self._step()
            except NodeError as error:
                self._note_trouble(error)
                self._back_off()
                wait_s = None
            quiet_s = self._quiet_until - self._now()
            if quiet_s > 0:
                await asyncio.sleep(quiet_s)
                continue
            if wait_s == 0:
                self._failures = 0
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _back_off(self) -> None:
        self._failures += 1
        self._quiet_until = self._now() + backoff_s(self._failures)

    async def _step(self) -> float | None:
        """Send at most one post of each index; return how long to wait, 0 for not at all, None until woken."""
        if self.is_away or not self.tail.is_whole:
            # It may come back with another disk: what its list said before is no place to go on from.
            return None
        groups = self._applied()
        self._beginnings.keep(groups.keys())
        self._pacer.look(self.tail)
        # The index whose copies were made last comes last, so that each has its turn.
        turns = sorted(groups.items(), key=lambda each: each[0] == self._pacer.last)
        self._fed.clear()
        wait_s = await self._turns.take(turns, self._step_index)
        # What was read for a shard that is not fed now would keep the others from being read.
        self._replay.keep(frozenset(self._fed))
        return wait_s

    def _applied(self) -> Mapping[Incarnation, Sequence[Assignment]]:
        """Return the assignments whose index goes on, by index."""
        groups: dict[Incarnation, list[Assignment]] = {}
        for assignment in self._assignments():
            if assignment.is_applied:
                groups.setdefault(assignment.feed.incarnation, []).append(assignment)
        return groups

    async def _step_index(self, incarnation: Incarnation, group: Sequence[Assignment]) -> float | None:
        index = group[0].index
        if not await self._has_settings(index):
            return SETTINGS_S
        accepted = self.accepted(incarnation)
        drop_s = await self._beginnings.begin(index, group, accepted)
        if drop_s == 0:
            return 0
        # The other shards go on meanwhile: a search may take seconds.
        placed = {
            a.feed.shard: a
            for a in group
            if a.is_fed
            and (at := accepted.get(a.feed.shard, UNTOUCHED)).attempt == a.replica.attempt
            and not self._is_stale(a.feed, at)
        }
        wait_s = await self._step_placed(incarnation, placed, accepted)
        return min((each for each in (drop_s, wait_s) if each is not None), default=None)

    async def _step_placed(
        self, incarnation: Incarnation, placed: Mapping[ShardId, Assignment], accepted: IndexCursors
    ) -> float | None:
        left = self._refusals.left(incarnation, accepted)
        # A shard that has left the node, or is another worker's now, keeps nobody waiting.
        under = {shard: suspect for shard, suspect in left.items() if shard in placed}
        windows = {shard: self._window(placed[shard], accepted) for shard in under or placed}
        if under:
            return await self._step_suspects(incarnation, under, placed, windows, accepted)
        sources = {
            shard: (accepted[shard].cursor, batches)
            for shard, window in windows.items()
            if (batches := list(window.batches_from(accepted[shard].cursor)))
        }
        live, limited = self._pacer.split(placed, sources)
        wait_s = await self._flush(incarnation, placed, live, accepted)
        if not limited or wait_s == 0:
            return wait_s
        rest_s = await self._flush_limited(incarnation, placed, limited, accepted)
        return min((each for each in (wait_s, rest_s) if each is not None), default=None)

    async def _flush_limited(
        self,
        incarnation: Incarnation,
        placed: Mapping[ShardId, Assignment],
        sources: Sources,
        accepted: IndexCursors,
    ) -> float | None:
        """Send what copies that are being made may have now; return as ``_step``."""
        tail = self.tail.index(incarnation)
        if tail.is_waiting() and self._refusals.is_lonely(incarnation, now_s=self._now()):
            return None
        slices = self._pacer.take(sources)
        if isinstance(slices, Rest):
            return slices.wait_s
        # One post more than live ones alone: else these, which come first, would leave it no room.
        sent_s = self._now()
        post = await self._poster.send(next(iter(placed.values())), mark_news(slices, placed, accepted))
        self._pacer.note_sent(incarnation, post, slices, sent_s=sent_s)
        return 0

    async def _flush(
        self,
        incarnation: Incarnation,
        placed: Mapping[ShardId, Assignment],
        sources: Sources,
        accepted: IndexCursors,
    ) -> float | None:
        if not sources:
            self._since.pop(incarnation, None)
            return None
        tail = self.tail.index(incarnation)
        if tail.is_waiting() and self._refusals.is_lonely(incarnation, now_s=self._now()):
            return None
        slices, is_full = take_slices(sources, self._settings.limits)
        decision = decide_flush(
            slices,
            tasks_ahead=tail.posts_ahead(self._settings.worker),
            waited_s=self._now() - self._since.setdefault(incarnation, self._now()),
            is_full=is_full,
            limits=self._settings.limits,
        )
        if not isinstance(decision, Flush):
            return decision.wait_s
        self._since.pop(incarnation, None)
        await self._poster.send(next(iter(placed.values())), mark_news(decision.slices, placed, accepted))
        return 0

    async def _has_settings(self, index: IndexRecord) -> bool:
        if self.settings_version(index.incarnation) != index.settings_version:
            uid = node_index_uid(index.uid, index.incarnation)
            if await self._settings_sight.look(uid, index.incarnation):
                self._advanced()
        # Not above it either: what it has was taken back, and may refuse documents that are allowed now.
        return self.settings_version(index.incarnation) == index.settings_version

    def _window(self, assignment: Assignment, accepted: IndexCursors) -> Window:
        cursor = accepted[assignment.feed.shard].cursor
        if assignment.feed.window.covers(cursor):
            self._replay.end(assignment.feed.partition)
            return assignment.feed.window
        self._fed.add(assignment.feed.partition)
        return self._replay.window(assignment, cursor)

    async def _step_suspects(
        self,
        incarnation: Incarnation,
        suspects: Mapping[ShardId, Suspect],
        placed: Mapping[ShardId, Assignment],
        windows: Mapping[ShardId, Window],
        accepted: IndexCursors,
    ) -> float | None:
        """Post one suspected shard by itself, when nothing else of the index waits at the node."""
        if self.tail.index(incarnation).is_waiting():
            return None
        for shard, under in suspects.items():
            cursor = accepted[shard].cursor
            batches = list(windows[shard].batches_from(cursor))
            slices, _ = take_slices({shard: (cursor, batches)}, self._settings.limits)
            if not slices:
                continue
            # From the cursor on: the batch that holds it begins before, and would be narrowed from there for ever.
            part = narrow(begin_slice(slices[shard], cursor), under)
            await self._poster.send(placed[shard], {shard: part}, solo=condemned(part))
            return None
        return None

    def _note(self, uid: int, metadata: str) -> None:
        self._tail.note_posted(uid, metadata)
        self._advanced()
