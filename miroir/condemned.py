"""The records that were set aside: they act as deletes of their keys, for whoever reads an index's log.

What always holds: those of an index of the past mean nothing. Who calls it: ``verify``, ``backup``. It must not know:
why a record was set aside.
"""

from collections import defaultdict
from collections.abc import Mapping

from schemas.dead_letters import parse_dead_letter
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
    """
    present = {index.incarnation for index in topology.indexes.values()}
    found: dict[TopicPartition, set[Offset]] = defaultdict(set)
    bounds = (await reader.bounds([_DEAD]))[_DEAD]
    async for batch in read_range(reader, _DEAD, bounds.beginning, bounds.end):
        for record in batch.records:
            if record.value is None:
                continue
            letter = parse_dead_letter(record.value)
            if letter.incarnation in present:
                found[TopicPartition(letter.topic, letter.partition)].add(letter.offset)
    return found
