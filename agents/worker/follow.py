"""Following a topic of one partition from its beginning, without a group.

What always holds: batches come in order, once each; while no broker answers the last view stays. Who calls it: the
worker for the cluster topic and the dead letters. It must not know: what the records mean.
"""

import asyncio
import logging
from collections.abc import Callable

from schemas.errors import LogUnavailableError
from schemas.ids import Partition
from streams.log import LogBatch, LogReader, TopicPartition

READ_S = 0.5
"""How long one read waits: a change is seen as soon as it arrives, cancelling within this."""

RECORDS_MAX = 5000
"""Records of one read."""

RETRY_S = 1.0
"""Between two tries while no broker answers."""

_log = logging.getLogger(__name__)


async def follow(reader: LogReader, topic: str, take: Callable[[LogBatch], None], *, caught_up: asyncio.Event) -> None:
    """Hand every batch of the topic to ``take`` until cancelled.

    Args:
        reader: belongs to this follower alone, and is closed at the end.
        topic: of one partition.
        take: folds a batch; what it raises ends the follower.
        caught_up: set once the end that the topic had at the start is reached.

    Raises:
        MissedRecordsError: the topic was trimmed or made anew.
    """
    partition = TopicPartition(topic, Partition(0))
    position = None
    try:
        while True:
            try:
                if position is None:
                    bounds = (await reader.bounds([partition]))[partition]
                    await reader.assign({partition: bounds.beginning})
                    # Known only now: where the broker went away between the two, all is asked again.
                    position, goal = bounds.beginning, bounds.end
                if position >= goal:
                    caught_up.set()
                for batch in await reader.read(timeout_s=READ_S, records_max=RECORDS_MAX):
                    take(batch)
                    position = batch.end
            except LogUnavailableError as error:
                _log.warning("topic cannot be read", extra={"topic": topic, "reason": str(error)})
                await asyncio.sleep(RETRY_S)
    finally:
        await reader.close()
