"""The feeders of a worker: one for each node that holds shards, or has shards to drop.

What always holds: a node whose address or key has changed gets a new feeder; a feeder is cancelled when its node goes.
Who calls it: the applier. It must not know: partitions, and what is fed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator

from agents.worker.feeder import Feeder
from schemas.events import NodeRecord
from schemas.ids import Incarnation, IndexUid, NodeId, Offset, Position, ShardId
from streams.log import TopicPartition
from streams.topology import Topology

_log = logging.getLogger(__name__)


class NodeFeeders:
    """All feeders; ``run`` keeps them.

    Args:
        make: makes a node's feeder, which is not run yet.
    """

    def __init__(self, make: Callable[[NodeRecord], Feeder]) -> None:
        self._make = make
        self._running: dict[NodeId, tuple[NodeRecord, Feeder, asyncio.Task[None]]] = {}
        self._moved = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    async def run(self, *, started: asyncio.Event) -> None:
        """Keep the feeders until cancelled; they can be made once ``started`` is set."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            started.set()
            await asyncio.Event().wait()

    def follow(self, topology: Topology) -> None:
        """Let feeders come and go with the nodes that need one."""
        assert self._group is not None, "feeders live in a task group"
        wanted = {
            node.id: node
            for node in topology.nodes.values()
            if node.worker_key and (topology.replicas_on(node.id) or topology.leaving_on(node.id))
        }
        for node_id, (node, _, task) in list(self._running.items()):
            now = wanted.get(node_id)
            if now is None or (now.url, now.worker_key) != (node.url, node.worker_key):
                task.cancel()
                del self._running[node_id]
        for node_id, node in wanted.items():
            if node_id not in self._running:
                feeder = self._make(node)
                self._running[node_id] = (node, feeder, self._group.create_task(_until_cancelled(feeder)))

    def all(self) -> Iterator[tuple[NodeRecord, Feeder]]:
        """Yield every node, as it was when its feeder was made, with the feeder."""
        return ((node, feeder) for node, feeder, _ in self._running.values())

    def of(self, node: NodeId) -> Feeder | None:
        """Return the node's feeder."""
        found = self._running.get(node)
        return None if found is None else found[1]

    def wake(self) -> None:
        """There may be something to post, anywhere."""
        for _, feeder in self.all():
            feeder.wake()

    def wake_one(self, node: NodeId) -> None:
        """There may be something to post to this node."""
        if (feeder := self.of(node)) is not None:
            feeder.wake()

    def replace_by_delete(self, partition: TopicPartition, offset: Offset) -> None:
        """Let a record that a node has refused act as a delete of its key, wherever it is read again."""
        for _, feeder in self.all():
            feeder.replace_by_delete(partition, offset)

    def furthest(self, topology: Topology, uid: IndexUid, incarnation: Incarnation, shard: ShardId) -> Position:
        """Return the accepted cursor of the shard's best replica; 0 where none has begun."""
        cursors = [
            cursor.cursor
            for replica in topology.replicas_of(uid, shard)
            if (feeder := self.of(replica.node)) is not None
            and (cursor := feeder.accepted(incarnation).get(shard)) is not None
            and cursor.attempt == replica.attempt
        ]
        return max(cursors, default=Position(0))

    def note_moved(self) -> None:
        """A feeder's tail has moved."""
        self._moved.set()

    @property
    def is_any_told(self) -> bool:
        """Whether any node has told its task list."""
        return any(feeder.tail.is_whole for _, feeder in self.all())

    async def wait_told(self, timeout_s: float) -> None:
        """Wait until every node has told its task list, at most so long: one may be away."""
        try:
            async with asyncio.timeout(timeout_s):
                while not all(feeder.tail.is_whole for _, feeder in self.all()):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            _log.info("not every node has told its task list")


async def _until_cancelled(feeder: Feeder) -> None:
    """Run a feeder; being cancelled because its node has gone is not the group's end."""
    try:
        await feeder.run()
    except asyncio.CancelledError:
        return
