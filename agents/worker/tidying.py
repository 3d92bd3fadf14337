"""Removes what deleted indexes left behind: their topics at once, their records when every node is clean.

What always holds: no topic is deleted that an index of the cluster has. Who calls it: the controller, while it leads.
It must not know: what a node needs.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.decision import build_removes
from agents.reconcile import NodeSight, finished_retired, topics_to_delete
from agents.worker.cluster_writer import ClusterWriter
from schemas.errors import LogError, LogUnavailableError
from schemas.events import build_key
from schemas.ids import Incarnation, NodeId
from streams.log import LogAdmin

TIDY_S = 0.5
"""Between two looks at what deleted indexes left behind."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tidying:
    """The one that tidies while the controller leads.

    Attributes:
        admin: topics.
        writer: of the cluster topic.
        sights: of every node.
        topics_deleted: whether topics of documents are deleted here.
    """

    admin: LogAdmin
    writer: ClusterWriter
    sights: Mapping[NodeId, NodeSight]
    topics_deleted: bool
    _deleted: set[Incarnation] = field(default_factory=set)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            if any(self.writer.topology.retired()):
                await self._delete_topics()
                await self._forget_retired()
            await asyncio.sleep(TIDY_S)

    async def _delete_topics(self) -> None:
        async with self.writer as writer:
            # Holding the turn, so that no index is made over a topic between the look and the deletion.
            wanted = [each for each in topics_to_delete(writer.topology) if each.incarnation not in self._deleted]
            if not wanted or not self.topics_deleted:
                return
            topics = [retired.topic for retired in wanted]
            await writer.require_lead()
            try:
                await self.admin.delete(topics)
            except LogUnavailableError:
                raise
            except LogError as error:
                _log.warning("a deleted index's topic stays", extra={"topics": topics, "error": str(error)})
            self._deleted.update(retired.incarnation for retired in wanted)

    async def _forget_retired(self) -> None:
        async with self.writer as writer:
            finished = finished_retired(writer.topology, self.sights)
            await writer.commit(build_removes(*(build_key(retired) for retired in finished)))
