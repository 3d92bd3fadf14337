"""The one writer of the cluster topic: what it folds, and who may write."""

import asyncio
from collections.abc import Sequence

import pytest

from agents.decision import build_puts
from agents.worker.cluster_writer import ClusterWriter
from schemas.errors import FencedError, LogUnavailableError
from schemas.ids import Partition
from streams.log import Append, TopicPartition
from streams.topics import CLUSTER, own_topics
from tests.agents.clusters import node_record
from tests.fakes.log import FakeLog, FakeLogReader, FakeLogTransactions

PARTITION = TopicPartition(CLUSTER, Partition(0))


def new_log() -> FakeLog:
    """Return a log with our topics."""
    log = FakeLog()
    for spec in own_topics():
        log.create(spec)
    return log


def writer_of(log: FakeLog) -> ClusterWriter:
    """Return a writer that does not lead yet."""
    return ClusterWriter(FakeLogReader(log), FakeLogTransactions(log, "controller"))


async def make_overtaken() -> tuple[ClusterWriter, ClusterWriter]:
    """Return a writer that has put the node ``a``, and one that leads since, on one log."""
    log = new_log()
    earlier, later = writer_of(log), writer_of(log)
    await earlier.lead()
    await put(earlier, "a")
    await later.lead()
    return earlier, later


async def put(writer: ClusterWriter, *names: str) -> None:
    """Write nodes."""
    async with writer:
        await writer.commit(build_puts(*(node_record(name) for name in names)))


async def test_lead_folds_what_earlier_writers_left() -> None:
    """Compacted or not, trimmed or not: the last record of each key."""
    log = new_log()
    first = writer_of(log)
    await first.lead()
    await put(first, "a")
    await put(first, "a", "b")
    log.compact(PARTITION)
    log.trim(PARTITION, 1)

    second = writer_of(log)
    await second.lead()

    assert second.topology == first.topology
    assert set(second.topology.nodes) == {"a", "b"}


async def test_lead_of_an_empty_topic_is_an_empty_cluster() -> None:
    """The first start reads nothing and does not wait for it."""
    writer = writer_of(new_log())

    await writer.lead()

    assert writer.topology.entities == {}


async def test_commit_is_folded_by_reading_it_back() -> None:
    """The epoch moves behind what was written, the marker of the transaction included."""
    log = new_log()
    writer = writer_of(log)
    await writer.lead()

    await put(writer, "a")

    assert set(writer.topology.nodes) == {"a"}
    assert writer.topology.epoch == 2


async def test_commit_of_nothing_writes_nothing() -> None:
    """A decision may turn out to change nothing."""
    log = new_log()
    writer = writer_of(log)
    await writer.lead()

    await put(writer)

    assert log.records(CLUSTER) == ()


async def test_commit_by_an_earlier_writer_is_refused() -> None:
    """Who was shut out cannot write, and its records are not there."""
    log = new_log()
    earlier, later = writer_of(log), writer_of(log)
    await earlier.lead()
    await later.lead()

    with pytest.raises(FencedError):
        await put(earlier, "a")

    assert log.records(CLUSTER) == ()


async def test_commit_without_the_turn_is_a_mistake_of_ours() -> None:
    """Deciding and writing belong together."""
    writer = writer_of(new_log())
    await writer.lead()

    with pytest.raises(AssertionError):
        await writer.commit(build_puts(node_record("a")))


async def test_commit_where_the_log_is_away_says_so_and_gives_the_turn_back() -> None:
    """The next one may try."""
    log = new_log()
    writer = writer_of(log)
    await writer.lead()
    log.away = True

    with pytest.raises(LogUnavailableError):
        await put(writer, "a")
    log.away = False
    await put(writer, "b")

    assert set(writer.topology.nodes) == {"b"}


async def test_lead_is_over_where_another_writer_has_written() -> None:
    """Not where it only leads, and the fold is as it was: nothing can go wrong then."""
    earlier, later = await make_overtaken()
    async with earlier:
        await earlier.require_lead()
    await put(later, "b")

    async with earlier:
        with pytest.raises(FencedError, match="position 2"):
            await earlier.require_lead()
    async with later:
        await later.require_lead()

    assert set(earlier.topology.nodes) == {"a"}


async def test_commits_and_markers_of_our_own_end_no_lead() -> None:
    """However often it writes; a marker that was not read back with its records is read now."""
    log = new_log()
    writer = writer_of(log)
    await writer.lead()

    async def require() -> None:
        async with writer:
            await writer.require_lead()

    await asyncio.gather(*(each for name in "abc" for each in (put(writer, name), require())))
    log.skip(PARTITION)
    await require()

    assert writer.topology.epoch == 7


async def test_lead_is_unknown_where_the_log_is_away() -> None:
    """Then nothing is done, as no controller acts without a log."""
    log = new_log()
    writer = writer_of(log)
    await writer.lead()
    log.away = True

    async with writer:
        with pytest.raises(LogUnavailableError):
            await writer.require_lead()


async def test_turns_are_taken_one_after_the_other() -> None:
    """What the second decides sees what the first has written."""
    writer = writer_of(new_log())
    await writer.lead()
    seen: list[int] = []

    async def add(name: str) -> None:
        async with writer:
            seen.append(len(writer.topology.nodes))
            await writer.commit(build_puts(node_record(name)))

    await asyncio.gather(*(add(name) for name in "abc"))

    assert seen == [0, 1, 2]


async def test_listeners_hear_of_every_change() -> None:
    """Keepers wake when there is something new to do."""
    writer = writer_of(new_log())
    heard: list[int] = []
    writer.listen(lambda: heard.append(len(writer.topology.nodes)))
    await writer.lead()

    await put(writer, "a")

    assert heard == [0, 1]


async def test_record_of_a_newer_writer_stops_the_fold() -> None:
    """What is not understood is not passed over."""
    log = new_log()
    log.append(Append(CLUSTER, Partition(0), b"node/a", b'{"kind":"of tomorrow"}'))

    with pytest.raises(Exception, match="NodeRecord"):
        await writer_of(log).lead()


class _LateTransactions(FakeLogTransactions):
    """A broker that answers a commit before what was committed can be read, as Kafka does."""

    async def commit(self, appends: Sequence[Append]) -> None:
        """Answer now, and append a little later."""
        loop = asyncio.get_running_loop()
        loop.call_later(
            0.05, lambda: self.committed.append(loop.create_task(super(_LateTransactions, self).commit(appends)))
        )

    def __init__(self, log: FakeLog) -> None:
        super().__init__(log, "controller")
        self.committed: list[asyncio.Task[None]] = []


async def test_commit_waits_until_its_own_records_can_be_read() -> None:
    """The end that a broker tells right after a commit may be the one from before it."""
    log = new_log()
    writer = ClusterWriter(FakeLogReader(log), _LateTransactions(log))
    await writer.lead()

    await put(writer, "a", "b")

    assert set(writer.topology.nodes) == {"a", "b"}
