"""Posting to one node: each post has an id of its own, and its answer is noted in the node's tail.

What always holds: the refusals know of a post before it is sent; what was answered is in the tail before anything else
is sent. Who calls it: the feeder of a node. It must not know: when, or how much.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from agents.operations import Operation
from agents.ports import NodeWriter
from agents.posts import ShardSlice, build_parts
from agents.refusals import Condemned, Refusals
from agents.tombstones import news_ms
from agents.worker.feed import Assignment
from schemas.ids import IndexUid, NodeId, Position, ShardId, node_index_uid
from schemas.posts import Drop, build_metadata
from streams.cursor import IndexCursors
from streams.marker import shards_filter

_log = logging.getLogger(__name__)


class Poster:
    """One node's.

    Args:
        node: its id.
        writer: how to speak to it.
        worker: begins the ids of this worker's posts; no other process ever has the same.
        refusals: told of every post.
        noted: takes a task's uid and metadata as soon as the node has answered.
    """

    def __init__(
        self,
        node: NodeId,
        writer: NodeWriter,
        *,
        worker: str,
        refusals: Refusals[Assignment],
        noted: Callable[[int, str], None],
    ) -> None:
        self._node = node
        self._writer = writer
        self._worker = worker
        self._refusals = refusals
        self._noted = noted
        self._posts = 0

    async def send(self, of: Assignment, slices: Mapping[ShardId, ShardSlice], *, solo: Operation | None = None) -> str:
        """Send a post and return its id.

        Args:
            of: any of the index's assignments.
            slices: what it holds.
            solo: the one operation in it, where it is under suspicion.

        Raises:
            NodeError: some of it may have been taken; the task list decides.
        """
        self._posts += 1
        post = f"{self._worker}-{self._node}-{self._posts}"
        sizes = {shard: len(part.operations) for shard, part in slices.items()}
        alone = None if solo is None else Condemned(of, of.feed.shard, solo)
        self._refusals.note_sent(post, sizes, alone=alone)
        index = node_index_uid(of.feed.uid, of.feed.incarnation)
        for part in build_parts(post, of.feed.incarnation, slices):
            self._noted(await self._writer.post(index, part), part.metadata)
        return post

    async def drop(self, of: IndexUid, drop: Drop) -> None:
        """Let shards of the index begin anew.

        Raises:
            NodeError: it may have been taken all the same.
        """
        metadata = build_metadata(drop)
        index = node_index_uid(of, drop.incarnation)
        _log.info("shards begin anew", extra={"node": self._node, "index": of, "shards": sorted(drop.attempts)})
        if drop.is_whole:
            self._noted(await self._writer.clear(index, metadata), metadata)
        else:
            self._noted(await self._writer.drop(index, shards_filter(drop.attempts), metadata), metadata)


def mark_news(
    slices: Mapping[ShardId, ShardSlice], placed: Mapping[ShardId, Assignment], accepted: IndexCursors
) -> Mapping[ShardId, ShardSlice]:
    """Return the slices with the times before which nothing of them was written, where that is news to the node."""

    def told_ms(shard: ShardId, start: Position) -> int:
        return news_ms(placed[shard].feed.ends.whole_ms(start), accepted[shard].whole_ms)

    return {shard: replace(part, mark_ms=told_ms(shard, part.range.start)) for shard, part in slices.items()}
