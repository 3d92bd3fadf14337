"""Which ids a verification looks at, and what the log says of them."""

from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.operations import Operation, OperationBatch
from miroir.comparison import last_digests
from miroir.sample import Sample, ShardSample, parse_sample
from schemas.ids import Offset, Position

WRITES = st.lists(st.tuples(st.integers(0, 40).map(str), st.one_of(st.none(), st.integers(0, 3))), max_size=120)
SAMPLES = st.one_of(
    st.builds(Sample, documents=st.integers(1, 50), seed=st.integers(0, 3)),
    st.builds(Sample, share=st.floats(0.01, 1.0), seed=st.integers(0, 3)),
)


def batches(writes: list[tuple[str, int | None]]) -> list[OperationBatch]:
    """Return each write, a delete where there is no value, as a batch."""
    found = []
    for at, (key, value) in enumerate(writes):
        document = None if value is None else orjson.dumps({"id": key, "value": value})
        operation = Operation(Offset(at), 0, key, document)
        found.append(OperationBatch(Position(at), Position(at + 1), (operation,), 1, 0, 1))
    return found


@given(WRITES, SAMPLES)
def test_sample_is_a_part_of_the_truth(writes: list[tuple[str, int | None]], sample: Sample) -> None:
    """Of every id that is sampled it says what folding the whole log says."""
    truth: dict[str, bytes | None] = {}
    for batch in batches(writes):
        truth |= last_digests(batch)
    found = ShardSample(sample)
    found.fold(batches(writes))

    assert found.truth == {key: value for key, value in truth.items() if key in found.ids and value is not None}


@given(WRITES, SAMPLES, st.randoms(use_true_random=False))
def test_sample_is_the_same_whatever_the_order_of_the_log(
    writes: list[tuple[str, int | None]], sample: Sample, chance: Random
) -> None:
    """Compaction, or a run of another day, looks at the same ids as long as they are in the log."""
    first, second = ShardSample(sample), ShardSample(sample)
    first.fold(batches(writes))
    shuffled = list(writes)
    chance.shuffle(shuffled)
    second.fold(batches(shuffled))

    assert first.ids == second.ids


@given(WRITES, st.integers(1, 50))
def test_number_of_documents_is_exact(writes: list[tuple[str, int | None]], count: int) -> None:
    """As many ids as were asked for, where the log has them."""
    found = ShardSample(Sample(documents=count))
    found.fold(batches(writes))
    assert len(found.ids) == min(count, len({key for key, _ in writes}))


def test_share_is_about_that_and_a_seed_chooses_others() -> None:
    """A tenth of 20,000 ids."""
    writes: list[tuple[str, int | None]] = [(str(at), 1) for at in range(20_000)]
    first, second = ShardSample(Sample(share=0.1, seed=1)), ShardSample(Sample(share=0.1, seed=2))
    for each in (first, second):
        each.fold(batches(writes))

    assert 1800 < len(first.ids) < 2200
    assert len(first.ids & second.ids) < 400


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ("100", Sample(documents=100, seed=7)),
        ("0.25", Sample(share=0.25, seed=7)),
        ("1.0", Sample(share=1.0, seed=7)),
        ("5%", Sample(share=0.05, seed=7)),
    ],
)
def test_sample_is_a_number_or_a_share(text: str, sample: Sample) -> None:
    """As it is typed."""
    assert parse_sample(text, seed=7) == sample


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "0%", "101%", "many", "nan", "%", "\u0661"])
def test_other_text_is_refused_with_what_was_expected(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="expected a number of documents"):
        parse_sample(text, seed=0)
