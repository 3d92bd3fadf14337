"""The records that were set aside: they act as deletes of their keys, for whoever reads an index's log.

What always holds: those of an index of the past mean nothing. Who calls it: ``verify``, ``backup``. It must not know:
why a record was set aside.
"""

from collections import defaultdict
from collections.abc import Mapping

from schemas.dead_letters import parse_dead_letter
from schemas.errors import InvalidInputError
from schemas.ids import Offset, Partition
from streams.log import LogReader, TopicPartition
from streams.log_range import read_range
from streams.topics import DEAD
from streams.topology import Topology

Condemned = Mapping[TopicPartition, set[Offset]]
"""Of each partition that has any the offsets of its records that were set aside."""

_DEAD = TopicPartition(DEAD, Partition(0))


async def fetch_condemned(reader: LogReader, topology: Topology) -> Condemned:
    """Return the records of present indexes that were set aside up to now; assigns the reader to their topic alone.

    Raises:
        LogError: the log cannot be read.
        InvalidInputError: a record there cannot be read, and stands for its key still: what it condemned is not known.
            One that a later record of its key has taken the place of does not matter.
    """
    present = {index.incarnation for index in topology.indexes.values()}
    found: dict[TopicPartition, set[Offset]] = defaultdict(set)
    unread: dict[bytes | None, InvalidInputError] = {}
    bounds = (await reader.bounds([_DEAD]))[_DEAD]
    async for batch in read_range(reader, _DEAD, bounds.beginning, bounds.end):
        for record in batch.records:
            unread.pop(record.key, None)
            if record.value is None:
                continue
            try:
                letter = parse_dead_letter(record.value)
            except InvalidInputError as error:
                unread[record.key] = error
                continue
            if letter.incarnation in present:
                found[TopicPartition(letter.topic, letter.partition)].add(letter.offset)
    if unread:
        raise next(iter(unread.values()))
    return found
