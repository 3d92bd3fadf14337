"""Feeding one node of several indexes, one of which it refuses."""

from dataclasses import replace

from agents.window import Window
from agents.worker.feed import Assignment, Feed
from schemas.events import ReplicaRecord
from schemas.ids import Incarnation, IndexUid, Partition, Position, ShardId, node_index_uid
from streams.log import TopicPartition
from tests.agents.worker.test_feeder import INDEX, Bench, feeding

BROKEN = replace(INDEX, uid=IndexUid("broken"), incarnation=Incarnation(2), topic="miroir.docs.broken")
BROKEN_UID = node_index_uid(BROKEN.uid, BROKEN.incarnation)


class TwoIndexes(Bench):
    """A feeder of two indexes; the first in its order is the one that the node refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.node.create_index(BROKEN_UID, version=BROKEN.settings_version)
        self.node.refused = {BROKEN_UID}

    def _assignments(self) -> list[Assignment]:
        place = TopicPartition(BROKEN.topic, Partition(0))
        window = Window(Position(0), bytes_max=1)
        feed = Feed(place, BROKEN.uid, BROKEN.incarnation, ShardId(0), window)
        replica = ReplicaRecord(BROKEN.uid, BROKEN.incarnation, ShardId(0), self.node.id, self.attempt)
        return [Assignment(feed, BROKEN, replica), *super()._assignments()]


async def test_index_that_the_node_refuses_keeps_no_other_waiting() -> None:
    """Its posts may be larger than the node takes, or it cannot be opened there."""
    async with feeding(TwoIndexes()) as bench:
        bench.produce(0, 100)
        await bench.until_visible(100)

    assert bench.ids() == set(range(100))
