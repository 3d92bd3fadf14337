"""The bounds of those partitions whose topic is there.

A deleted topic is its own index's matter: whoever asks about many partitions at once is answered for the others. Who
calls it: the worker's app. It must not know: what becomes of an index without a topic.
"""

from collections.abc import Collection, Mapping

from schemas.errors import NoTopicError
from streams.log import Bounds, LogReader, TopicPartition


async def known_bounds(reader: LogReader, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
    """Return what each partition holds now, without those of topics that do not exist, or lack one of them.

    Raises:
        LogUnavailableError: no broker answers.
    """
    asked = sorted(partitions)
    while asked:
        try:
            return await reader.bounds(asked)
        except NoTopicError as error:
            asked = [partition for partition in asked if partition.topic not in error.topics]
    return {}
