"""Partitioners: what producers of each family really do."""

import zlib

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import PartitionerName
from schemas.ids import SHARDS_MAX
from streams.partitioning import murmur2, partition_of

LIBRDKAFKA = {
    # Where librdkafka 2.16 (confluent-kafka) put the key, in topics of 7, 12 and 256 partitions: with its default
    # ``consistent_random``, and with ``murmur2_random``, which is Java's.
    "7": ((4, 6, 130), (1, 3, 115)),
    "42": ((3, 8, 136), (3, 4, 108)),
    "abc": ((5, 6, 194), (4, 3, 27)),
    "film-1": ((1, 1, 197), (5, 8, 232)),
    "films_0001": ((3, 10, 226), (2, 8, 44)),
    "tt0111161": ((1, 5, 93), (1, 6, 118)),
    "A": ((2, 11, 139), (5, 10, 130)),
    "00000000-0000-0000-0000-000000000000": ((5, 1, 137), (3, 9, 125)),
    "x" * 511: ((1, 2, 126), (2, 4, 124)),
    "-5": ((3, 7, 51), (2, 3, 227)),
}


@pytest.mark.parametrize("key", LIBRDKAFKA, ids=lambda key: key[:20])
def test_partition_is_the_one_that_librdkafka_chose(key: str) -> None:
    """Both of its hash partitioners, as recorded from a broker."""
    crc32, java = LIBRDKAFKA[key]

    for shards, by_crc32, by_murmur2 in zip((7, 12, 256), crc32, java, strict=True):
        assert partition_of(key.encode(), shards, PartitionerName.CRC32) == by_crc32
        assert partition_of(key.encode(), shards, PartitionerName.MURMUR2) == by_murmur2


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: bytes, signed: int) -> None:
    """The vectors of Kafka's own ``UtilsTest.testMurmur2``."""
    assert murmur2(key) == signed % 2**32


@given(st.binary(max_size=600))
def test_murmur2_equals_aiokafkas(key: bytes) -> None:
    """Two implementations, any bytes, every length of the rest."""
    assert murmur2(key) == aiokafka_murmur2(key) % 2**32


@given(st.binary(min_size=1, max_size=40), st.integers(1, SHARDS_MAX))
def test_partition_equals_aiokafkas_choice(key: bytes, shards: int) -> None:
    """Aiokafka's producer puts a key where we say."""
    partitions = list(range(shards))

    assert partition_of(key, shards, PartitionerName.MURMUR2) == DefaultPartitioner()(key, partitions, partitions)


@given(st.binary(max_size=40), st.integers(1, SHARDS_MAX))
def test_crc32_partition_is_the_remainder_of_the_checksum(key: bytes, shards: int) -> None:
    """Librdkafka's ``consistent``: the unsigned CRC-32 of the key."""
    assert partition_of(key, shards, PartitionerName.CRC32) == zlib.crc32(key) % shards


@given(st.binary(max_size=40), st.integers(1, SHARDS_MAX), st.sampled_from(PartitionerName))
def test_partition_is_one_of_the_index(key: bytes, shards: int, partitioner: PartitionerName) -> None:
    """Never below zero, never beyond the last shard."""
    assert 0 <= partition_of(key, shards, partitioner) < shards
