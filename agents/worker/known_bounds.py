"""The bounds of those partitions whose topic is there, and which a broker leads.

A deleted topic is its own index's matter, and a partition without a leader waits alone: whoever asks about many
partitions at once is answered for the others. Who calls it: the worker's app, and its applier. It must not know: what
becomes of an index without a topic.
"""

from collections.abc import Collection, Mapping

from schemas.errors import NoLeaderError, NoTopicError
from streams.log import Bounds, LogReader, TopicPartition


async def known_bounds(reader: LogReader, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
    """Return what each partition holds now, of those that have a leader and whose topic lacks none of them.

    Raises:
        LogUnavailableError: no broker answers.
    """
    asked = sorted(partitions)
    while asked:
        try:
            return await reader.bounds(asked)
        except NoTopicError as error:
            asked = [partition for partition in asked if partition.topic not in error.topics]
        except NoLeaderError as error:
            asked = [partition for partition in asked if partition not in error.partitions]
    return {}
