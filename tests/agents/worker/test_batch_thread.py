"""Which partitions cannot be read from where they are to be; the rest of the thread: test_record_batches."""

from types import SimpleNamespace

from agents.worker.batch_thread import _find_outside
from schemas.errors import MissedRecordsError, NoLeaderError, NoTopicError
from schemas.ids import Partition, Position
from streams.log import TopicPartition
from tests.fakes.kafka_client import LeadingClient


async def test_partition_without_a_leader_stops_none_of_its_index() -> None:
    """Each partition has its own problem, or none; that of a topic is that of all its partitions."""
    led, away, outside = (TopicPartition("films", Partition(number)) for number in range(3))
    gone = TopicPartition("gone", Partition(0))
    consumer = SimpleNamespace(_client=LeadingClient({"films": 3}, leaderless=[away]))

    problems = await _find_outside(consumer, dict.fromkeys([led, away, gone], Position(5)) | {outside: Position(8)})

    found = {problem.partition: type(problem.error) for problem in problems}
    assert found == {away: NoLeaderError, outside: MissedRecordsError, gone: NoTopicError}
