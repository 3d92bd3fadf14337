"""A shard's digests on disk: what was handed in comes back, in blocks, from a file that nobody sees."""

import resource
import tempfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miroir.comparison import Comparison, add_up, compare
from miroir.digest_store import Block, DigestStore
from schemas.errors import MiroirError

IDS = st.one_of(
    st.sampled_from(["", "0", "1", "10", "2", "a", "A", "-", "ü", "\U000f0001"]), st.integers(0, 60).map(str)
)
DIGESTS = st.sampled_from([b"x", b"y", b"z"])
WRITES = st.dictionaries(IDS, st.one_of(st.none(), DIGESTS), max_size=25)
PAGES = st.lists(st.dictionaries(IDS, DIGESTS, max_size=25), max_size=4)
CHANGED = st.lists(st.sets(IDS, max_size=10), max_size=3)


def whole(store: DigestStore) -> Comparison:
    """Return what all blocks together have found."""
    comparison = Comparison(0)
    for block in store.blocks():
        comparison = add_up(comparison, compare(block.truth, block.found, changed=block.changed))
    return comparison


@given(st.lists(WRITES, max_size=4), st.lists(PAGES, min_size=1, max_size=3), CHANGED, st.integers(1, 30))
def test_comparison_through_the_store_is_that_of_plain_dictionaries(
    writes: list[Mapping[str, bytes | None]],
    rounds: list[list[Mapping[str, bytes]]],
    changed: list[set[str]],
    block_ids: int,
) -> None:
    """For any writes and deletes, any pages of one replica after the other, any ids that changed, and any block."""
    truth: dict[str, bytes] = {}
    gone: set[str] = set()
    with DigestStore(block_ids=block_ids) as store:
        for batch in writes:
            store.write_truth(batch)
            for key, digest in batch.items():
                truth.pop(key, None)
                truth |= {} if digest is None else {key: digest}
        for number, pages in enumerate(rounds):
            found: dict[str, bytes] = {}
            store.forget_found()
            for page in pages:
                store.add_found(page)
                found |= page
            for ids in changed[number : number + 1]:
                store.add_changed(ids)
                gone |= ids

            assert whole(store) == compare(truth, found, changed=gone)


@given(st.sets(IDS), st.sets(IDS), st.sets(IDS), st.integers(1, 12))
def test_blocks_follow_each_other_and_stay_small(
    truth: set[str], found: set[str], changed: set[str], block_ids: int
) -> None:
    """Each id stands in one block, of every table no more than a block's; ids of a block come after those before it."""
    with DigestStore(block_ids=block_ids) as store:
        store.write_truth(dict.fromkeys(truth, b"x"))
        store.add_found(dict.fromkeys(found, b"x"))
        store.add_changed(changed)
        blocks = list(store.blocks())

    ids = [sorted({*block.truth, *block.found, *block.changed}) for block in blocks]
    assert [each for block in ids for each in block] == sorted(truth | found | changed)
    assert max(len(part) for block in blocks for part in block) <= block_ids


def test_an_empty_store_is_one_empty_block() -> None:
    """A shard without documents is compared too."""
    with DigestStore() as store:
        assert list(store.blocks()) == [Block({}, {}, set())]


def test_no_file_is_seen_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing is left behind by a process that is killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with DigestStore() as store:
        store.write_truth({str(number): b"x" * 16 for number in range(50_000)})
        assert list(tmp_path.iterdir()) == []
        assert whole(store).missing.count == 50_000
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its name, as an error of ours."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(MiroirError, match="nowhere"):
        DigestStore()


def test_a_full_disk_is_said() -> None:
    """A file that may not grow is an error of ours too."""

    def fill(store: DigestStore) -> None:
        for start in range(0, 1_000_000, 10_000):
            store.write_truth({f"{number:0100}": b"x" * 16 for number in range(start, start + 10_000)})

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DigestStore() as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        try:
            with pytest.raises(MiroirError, match="a temporary file"):
                fill(store)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_memory_of_python_does_not_grow_with_the_number_of_documents() -> None:
    """A hundred times as many digests take no more of it."""

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            with DigestStore(block_ids=200) as store:
                for start in range(0, count, 200):
                    digests = {str(number): b"%16d" % number for number in range(start, start + 200)}
                    store.write_truth(digests)
                    store.add_found(digests)
                assert whole(store) == Comparison(count)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small = peak(400)
    assert peak(40_000) < small * 1.5
