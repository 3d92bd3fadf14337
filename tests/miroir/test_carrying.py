"""Records carried from an old topic into a new one."""

from collections.abc import Sequence

import pytest

from miroir import carrying
from miroir.carrying import Carrier
from schemas.errors import LogUnavailableError
from schemas.events import IndexRecord, PartitionerName
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, SettingsVersion, ShardId
from streams.log import Append
from streams.partitioning import partition_of
from streams.topics import docs_topic
from tests.fakes.log import FakeLog, FakeLogReader, FakeLogWriter

INDEX = IndexRecord(IndexUid("films"), Incarnation(3), "old", 2, 2, SettingsVersion(3), 0, 0, primary_key="id")
ENDS = {ShardId(0): Position(0), ShardId(1): Position(0)}


def make_log(partitions: int = 2) -> FakeLog:
    """Return a log with both topics."""
    log = FakeLog()
    log.create(docs_topic("old", partitions))
    log.create(docs_topic("new", 2))
    return log


def write(log: FakeLog, topic: str, partition: int, key: str, value: str | None) -> None:
    """Append a record."""
    log.append(Append(topic, Partition(partition), key.encode(), None if value is None else value.encode()))


def make_carrier(log: FakeLog, positions: dict[int, int], writer: FakeLogWriter | None = None) -> Carrier:
    """Return a carrier that does not wait between looks."""
    at = {ShardId(shard): Position(position) for shard, position in positions.items()}
    return Carrier(FakeLogReader(log), writer or FakeLogWriter(log), INDEX, "new", at, look_s=0)


def held(log: FakeLog, partition: int) -> list[tuple[bytes | None, bytes | None]]:
    """Return what the new topic holds."""
    return [(record.key, record.value) for record in log.records("new", partition)]


async def test_rest_is_carried_from_each_position_in_order() -> None:
    """Values, deletes and bad records alike; what stands before the position is not carried."""
    log = make_log()
    for number in range(4):
        write(log, "old", 0, "a", f"{number}")
    write(log, "old", 0, "a", None)
    write(log, "old", 1, "b", "not JSON")

    carrier = make_carrier(log, {0: 3, 1: 0})
    await carrier.carry_rest()

    assert held(log, 0) == [(b"a", b"3"), (b"a", None)]
    assert held(log, 1) == [(b"b", b"not JSON")]
    assert (carrier.carried, carrier.passed_over) == (3, 0)


async def test_rest_that_grows_while_it_is_carried_follows() -> None:
    """One round after the other, until nothing new is found; a writer without end does not hold it for ever."""
    log = make_log()
    write(log, "old", 0, "a", "0")

    class Racing(FakeLogWriter):
        async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
            write(log, "old", 0, "a", "again")
            return await super().append(appends)

    carrier = make_carrier(log, {0: 0, 1: 0}, Racing(log))
    await carrier.carry_rest()

    assert carrier.carried == carrying.ROUNDS_MAX


async def test_rest_of_a_topic_with_other_partitions_goes_where_keys_belong() -> None:
    """A topic made anew by a broker has as many partitions as the broker likes."""
    log = make_log(partitions=1)
    for key in ("a", "b", "c", "d"):
        write(log, "old", 0, key, "{}")

    await make_carrier(log, {0: 0}).carry_rest()

    for partition in (0, 1):
        keys = [key for key, _ in held(log, partition)]
        assert all(partition_of(key or b"", 2, PartitionerName.MURMUR2) == partition for key in keys)
    assert len(held(log, 0)) + len(held(log, 1)) == 4


async def test_straggler_is_carried_but_for_ids_that_the_new_topic_has_newer() -> None:
    """What others have written to the new topic is newer; what was carried there is not."""
    log = make_log()
    write(log, "new", 0, "a", "newer")
    write(log, "old", 0, "a", "late")
    write(log, "old", 0, "b", "late")
    carrier = make_carrier(log, {0: 0, 1: 0})

    is_quiet = await carrier.carry_stragglers(ENDS)
    write(log, "old", 0, "b", "later")
    write(log, "old", 0, "a", "later")
    is_quiet_again = await carrier.carry_stragglers(ENDS)

    assert (is_quiet, is_quiet_again) == (True, True)
    assert held(log, 0) == [(b"a", b"newer"), (b"b", b"late"), (b"b", b"later")]
    assert (carrier.carried, carrier.passed_over) == (2, 2)


async def cut_off(log: FakeLog, appends_max: int) -> None:
    """Carry stragglers until the writer fails, with only a part of its last appends in the log."""

    class Failing(FakeLogWriter):
        async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
            await super().append(appends[:appends_max])
            raise LogUnavailableError("cut off")

    with pytest.raises(LogUnavailableError):
        await make_carrier(log, {0: 0, 1: 0}, Failing(log)).carry_stragglers(ENDS)


@pytest.mark.parametrize("done", [0, 1, 2, 3])
async def test_what_a_carrier_that_was_cut_off_has_left_is_carried_by_the_next_one(done: int) -> None:
    """What the first one has carried is not taken for somebody else's, and is not carried again."""
    log = make_log()
    for value in ("1", "2", "1", None):
        write(log, "old", 0, "a", value)
    await cut_off(log, done)
    write(log, "old", 0, "b", "later")

    carrier = make_carrier(log, {0: 0, 1: 0})
    await carrier.take_over(ENDS)
    write(log, "old", 0, "a", "last")
    is_quiet = await carrier.carry_stragglers(ENDS)

    assert is_quiet
    of_a = [(b"a", b"1"), (b"a", b"2"), (b"a", b"1"), (b"a", None)]
    assert held(log, 0) == [*of_a, (b"b", b"later"), (b"a", b"last")]
    assert (carrier.carried, carrier.passed_over) == (6 - done, 0)


async def test_next_carrier_passes_over_ids_that_others_have_written_since() -> None:
    """Behind what the first one has carried, instead of it, or before it."""
    log = make_log()
    for key in ("a", "b"):
        write(log, "old", 0, key, "1")
    await cut_off(log, 1)
    for key in ("a", "b"):
        write(log, "new", 0, key, "newer")
        write(log, "old", 0, key, "late")

    carrier = make_carrier(log, {0: 0, 1: 0})
    await carrier.take_over(ENDS)

    assert held(log, 0) == [(b"a", b"1"), (b"a", b"newer"), (b"b", b"newer")]
    assert (carrier.carried, carrier.passed_over) == (0, 3)


async def test_record_without_a_key_is_left_out_and_counted() -> None:
    """A compacted topic takes none, and nothing that is sent with it; an empty key is a key."""
    log = make_log()
    for key, value in ((None, b"1"), (b"a", b"2"), (None, None), (b"", b"3")):
        log.append(Append("old", Partition(0), key, value))

    carrier = make_carrier(log, {0: 0, 1: 0})
    await carrier.carry_rest()

    assert held(log, 0) == [(b"a", b"2"), (b"", b"3")]
    assert (carrier.carried, carrier.passed_over, carrier.keyless) == (2, 0, 2)


async def test_straggler_without_a_key_is_left_out_too() -> None:
    """Also by a carrier that goes on where another was cut off, and in a topic with other partitions."""
    log = make_log(partitions=1)
    log.append(Append("old", Partition(0), None, b"1"))
    write(log, "old", 0, "a", "2")
    carrier = make_carrier(log, {0: 0})

    await carrier.take_over(ENDS)
    log.append(Append("old", Partition(0), None, b"3"))
    await carrier.carry_stragglers(ENDS)

    assert held(log, 0) + held(log, 1) == [(b"a", b"2")]
    assert (carrier.carried, carrier.keyless) == (1, 2)


async def test_stragglers_without_end_are_given_up_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes there for ever is named to people instead of waited for."""
    monkeypatch.setattr(carrying, "STRAGGLE_S", -1.0)

    assert not await make_carrier(make_log(), {0: 0, 1: 0}).carry_stragglers(ENDS)
