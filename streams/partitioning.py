"""Which partition a key goes to: the two hash functions that Kafka producers use.

What always holds: the same key and shard count give the same shard on every machine; the vectors in the test come from
the clients themselves. Who calls it: producers of ours, and workers to notice a record in the wrong partition. It must
not know: topics.
"""

import zlib
from struct import iter_unpack

from schemas.events import PartitionerName
from schemas.ids import Partition

_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C
_M = 0x5BD1E995
_R = 24
_POSITIVE = 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """Return Kafka's murmur2 of ``data``, unsigned 32 bits (``org.apache.kafka.common.utils.Utils.murmur2``)."""
    h = _SEED ^ len(data)
    whole = len(data) & ~3
    # Once a record: every operation counts, and one that can be left out of a loop of words is.
    for (word,) in iter_unpack("<I", data[:whole]):
        k = word * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> _R) * _M & _MASK)
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, shards: int, partitioner: PartitionerName) -> Partition:
    """Return the partition, in ``[0, shards)``, that a producer with this partitioner chooses for the key."""
    if partitioner is PartitionerName.MURMUR2:
        return Partition((murmur2(key) & _POSITIVE) % shards)
    return Partition(zlib.crc32(key) % shards)
