"""Which ids are looked at, and what the log says of them."""

from random import Random

import orjson
from hypothesis import given
from hypothesis import strategies as st

from agents.operations import Operation, OperationBatch
from agents.sampling import digest_written
from agents.shard_sample import Sample, ShardSample
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
    """Of every id that is sampled it says what folding the whole log says, and where."""
    last = {each.id: each for batch in batches(writes) for each in batch.operations}
    found = ShardSample(sample)
    found.fold(batches(writes))

    expected = {key: (each.offset, digest_written(each.document)) for key, each in last.items() if key in found.ids}
    assert found.writes == expected
    assert found.truth == {key: digest for key, (_, digest) in expected.items() if digest is not None}


def test_sample_keeps_what_it_is_told_to_of_a_document() -> None:
    """Whoever compares vectors as well has another digest."""
    found = ShardSample(Sample(), digest_of=lambda document: document)
    found.fold(batches([("a", 1), ("b", 2), ("a", None)]))

    assert found.truth == {"b": b'{"id":"b","value":2}'}


@given(WRITES, SAMPLES)
def test_sample_of_what_it_wants_is_the_sample_of_all(writes: list[tuple[str, int | None]], sample: Sample) -> None:
    """What it does not want need not be parsed."""
    whole, sparing = ShardSample(sample), ShardSample(sample)
    whole.fold(batches(writes))
    for batch in batches(writes):
        if sparing.wants(batch.operations[0].id):
            sparing.fold([batch])

    assert sparing.writes == whole.writes


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


def test_sample_wants_what_it_has_and_nothing_else_once_it_is_full() -> None:
    """Also the id whose hash is the largest of all that are kept."""
    ids = [str(at) for at in range(100)]
    found = ShardSample(Sample(documents=10))
    found.fold(batches([(each, 1) for each in ids]))

    assert {each for each in ids if found.wants(each)} == found.ids


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
