"""The whole documents of an index, read from the best copies on its nodes.

What always holds: a shard's documents are those of one copy at one cursor: were they changed while they were read, that
is an error. Who calls it: ``backup``, ``log reseed``. It must not know: the log.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Self

import orjson

from agents.nodes.writer import HttpNodeWriter
from agents.tail import NodeTail, start_tail
from miroir.copies import Copy, best_copies, copies_on
from miroir.replica_documents import ReplicaDocuments
from schemas.config import Settings
from schemas.errors import MiroirError, NodeError
from schemas.events import IndexRecord, NodeRecord
from schemas.ids import NodeId, ShardId
from schemas.keys import derive_key
from streams.marker import MARKER_FIELD
from streams.topology import Topology

STILL_S = 300.0
"""How long a node may take to finish what was posted before the pause: a settings change re-indexes everything."""

POLL_S = 0.2
"""Between two looks at its task list."""

_VECTORS = "_vectors"


class NodeDocuments:
    """Connections to the nodes of one index. Enter it, ``choose``, read, ``check``.

    Args:
        settings: the nodes' master key, and how long a node may take.
        topology: the cluster.
        index: paused, so that nothing new is posted.
    """

    def __init__(self, settings: Settings, topology: Topology, index: IndexRecord) -> None:
        self._settings = settings
        self._topology = topology
        self._index = index
        self._documents = ReplicaDocuments(settings)
        self._tails: dict[NodeId, NodeTail] = {}

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first question."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._documents.__aexit__()

    async def choose(self) -> Sequence[Copy]:
        """Return the most advanced copy of every shard, by shard, once nothing of the index waits at its node.

        A node that does not answer, or does not finish, is passed over: another may have a copy.

        Raises:
            MiroirError: a shard has no copy that can be asked.
        """
        shards = map(ShardId, range(self._index.shards))
        replicas = [each for shard in shards for each in self._topology.replicas_of(self._index.uid, shard)]
        why: dict[NodeId, str] = {}
        for name in sorted({replica.node for replica in replicas}):
            try:
                self._tails[name] = await self._still(self._topology.node(name))
            except (NodeError, _UnfinishedError) as error:
                why[name] = str(error)
        return best_copies(self._index, copies_on(self._tails, self._index, replicas), why)

    async def of_copy(self, copy: Copy) -> AsyncIterator[bytes]:
        """Yield the documents of a copy, without the marker.

        Raises:
            NodeError: its node does not answer.
        """
        node = self._topology.node(copy.node)
        # With vectors, whether or not the index has embedders: a document keeps those of embedders that it has not.
        async for document in self._documents.whole_of_shard(self._index, copy.shard, node, vectors=True):
            document.pop(MARKER_FIELD, None)
            if not document.get(_VECTORS, True):
                # Asked for vectors, a node gives every document some, if only none.
                del document[_VECTORS]
            yield orjson.dumps(document)

    async def check(self, copies: Sequence[Copy]) -> None:
        """Return if nothing was written to the copies since they were chosen.

        Raises:
            MiroirError: something was.
            NodeError: a node does not answer any more.
        """
        for name in sorted({copy.node for copy in copies}):
            now = await self._tail(self._topology.node(name))
            if now.index(self._index.incarnation) != self._tails[name].index(self._index.incarnation):
                raise MiroirError(f"index {self._index.uid!r}: {name} was written to while it was read; begin again")

    async def _still(self, node: NodeRecord) -> NodeTail:
        deadline_s = time.monotonic() + STILL_S
        while True:
            tail = await self._tail(node)
            if not tail.index(self._index.incarnation).is_waiting():
                return tail
            if time.monotonic() > deadline_s:
                text = f"node {node.id} has not finished what was posted to it after {STILL_S:.0f} s"
                raise _UnfinishedError(f"{text}: `miroir status` shows what it does")
            await asyncio.sleep(POLL_S)

    async def _tail(self, node: NodeRecord) -> NodeTail:
        key = derive_key(self._settings.node_master_key.get_secret_value(), node.worker_key)
        writer = HttpNodeWriter(node.id, node.url, key, timeout_s=self._settings.node_timeout_s)
        try:
            return start_tail(await writer.tasks_from(0))
        finally:
            await writer.close()


class _UnfinishedError(MiroirError):
    """A node whose copies do not stand still."""
