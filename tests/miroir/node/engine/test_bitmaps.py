"""Sets as integers."""

from hypothesis import given
from hypothesis import strategies as st

from miroir.node.engine import bitmaps

NUMBERS = st.sets(st.integers(0, bitmaps.CHUNK - 1), max_size=200)


@given(NUMBERS)
def test_members_of_numbers_are_the_numbers(numbers: set[int]) -> None:
    """A set made of numbers gives them back, rising."""
    assert bitmaps.members(bitmaps.from_numbers(numbers)) == sorted(numbers)


@given(NUMBERS)
def test_chunk_decoded_is_the_chunk(numbers: set[int]) -> None:
    """Encoding a chunk loses nothing."""
    bitmap = bitmaps.from_numbers(numbers)

    assert bitmaps.decode_chunk(bitmaps.encode_chunk(bitmap)) == bitmap


@given(NUMBERS)
def test_flags_of_a_set_mark_its_numbers(numbers: set[int]) -> None:
    """A byte for each place tells whether its number is there."""
    flags = bitmaps.flags_of(bitmaps.from_numbers(numbers), bitmaps.CHUNK)

    assert len(flags) == bitmaps.CHUNK
    assert {place for place, flag in enumerate(flags) if flag} == numbers


@given(st.lists(NUMBERS | st.just(set(range(5_000))), max_size=5))
def test_chunks_decoded_together_are_their_union(sets: list[set[int]]) -> None:
    """Sparse and dense sets of one chunk are united."""
    parts = [bitmaps.encode_chunk(bitmaps.from_numbers(numbers)) for numbers in sets]

    assert bitmaps.decode_chunks(parts) == bitmaps.from_numbers(set().union(*sets))


@given(st.lists(st.integers(0, 200), max_size=100))
def test_crowded_numbers_make_the_same_set_as_sparse_ones(numbers: list[int]) -> None:
    """How close numbers lie, and how often each comes, does not change their set."""
    apart = bitmaps.from_numbers([*numbers, 100_000])

    assert bitmaps.from_numbers(numbers) == apart ^ 1 << 100_000


def test_dense_chunk_takes_no_more_than_its_bits() -> None:
    """A full chunk is kept as bits, not as offsets."""
    full = (1 << bitmaps.CHUNK) - 1

    data = bitmaps.encode_chunk(full)

    assert len(data) == bitmaps.CHUNK // 8 + 1
    assert bitmaps.decode_chunk(data) == full
