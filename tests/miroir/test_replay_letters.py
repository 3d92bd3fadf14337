"""Dead letters replayed over a log in memory: right place, never over newer data, closed afterwards."""

from collections.abc import Sequence

import pytest

from miroir import replay_letters
from miroir.letter_fate import Fate, Outcome
from miroir.replay_letters import Replayer
from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key, encode_bytes, parse_dead_letter
from schemas.events import IndexRecord
from schemas.ids import Epoch, Incarnation, IndexUid, Offset, Partition, SettingsVersion
from streams.log import Append, TopicPartition
from streams.partitioning import partition_of
from streams.topics import DEAD, docs_topic, own_topics
from streams.topology import Topology
from tests.fakes.log import FakeLog, FakeLogReader, FakeLogWriter

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(3), "miroir.docs.films", 4, 1, SettingsVersion(3), 0, 0, primary_key="id"
)
HOME = partition_of(b"7", INDEX.shards, INDEX.partitioner)
ELSEWHERE = Partition((HOME + 1) % INDEX.shards)
TOPOLOGY = Topology(epoch=Epoch(1), indexes={INDEX.uid: INDEX})


class Scene:
    """A log with the index's topic, and what is done to it."""

    def __init__(self) -> None:
        self.log = FakeLog()
        for spec in (*own_topics(), docs_topic(INDEX.topic, INDEX.shards)):
            self.log.create(spec)

    def write(self, value: bytes | None, *, key: bytes | None = b"7", at: int = HOME) -> Offset:
        """Append a record to the index's topic, a moment after the last."""
        self.log.now_ms += 1
        return self.log.append(Append(INDEX.topic, Partition(at), key, value))

    def die(
        self, value: bytes | None, *, key: bytes | None = b"7", at: int = HOME, reason: str = "node_refused"
    ) -> DeadLetter:
        """Append a record, and its dead letter; a value of more than 10 bytes is not kept in it."""
        offset = self.write(value, key=key, at=at)
        kept = encode_bytes(value if value is not None and len(value) <= 10 else None)
        found = DeadLetter(
            INDEX.topic,
            Partition(at),
            offset,
            INDEX.uid,
            INDEX.incarnation,
            reason,
            "…",
            encode_bytes(key),
            kept,
            self.log.now_ms,
        )
        self.log.append(Append(DEAD, Partition(0), build_dead_letter_key(found), build_dead_letter(found)))
        return found

    async def replay(
        self, *letters: DeadLetter, writer: FakeLogWriter | None = None, dry: bool = False
    ) -> list[Outcome]:
        """Replay these letters; all where none is named."""
        keys = {build_dead_letter_key(each) for each in letters}
        replayer = Replayer(
            FakeLogReader(self.log), writer or FakeLogWriter(self.log), TOPOLOGY, document_bytes_max=1000
        )
        return await replayer.run(lambda found: not keys or build_dead_letter_key(found) in keys, dry_run=dry)

    def values(self, at: int = HOME) -> list[bytes | None]:
        """Return the values of the key's records in a partition, in order."""
        return [record.value for record in self.log.records(INDEX.topic, at) if record.key == b"7"]

    def open(self) -> int:
        """Return how many letters are open."""
        last = {record.key: record.value for record in self.log.records(DEAD)}
        return sum(not parse_dead_letter(value).closed for value in last.values() if value is not None)


def fates(outcomes: Sequence[Outcome]) -> list[Fate]:
    """Return what became of each."""
    return [outcome.fate for outcome in outcomes]


async def test_record_is_produced_again_in_its_own_partition_and_its_letter_closed() -> None:
    """A misrouted one goes where it belongs; a second run finds nothing to do."""
    scene = Scene()
    scene.die(b'{"a":1}', at=ELSEWHERE, reason="misrouted")

    (outcome,) = await scene.replay()

    assert (outcome.fate, outcome.detail) == (Fate.REPLAYED, f"{HOME}@0")
    assert scene.values() == [b'{"a":1}']
    assert scene.open() == 0
    assert await scene.replay() == []


@pytest.mark.parametrize("at", [HOME, ELSEWHERE], ids=["at home", "misrouted"])
@pytest.mark.parametrize("newer", [b'{"a":2}', None, b"{"], ids=["document", "deletion", "bad record"])
async def test_record_is_not_produced_over_newer_data(at: int, newer: bytes | None) -> None:
    """Whatever came later for the key stays, also where it is a deletion; the letter is closed."""
    scene = Scene()
    scene.die(b'{"a":1}', at=at)
    scene.write(newer)
    before = scene.values()

    (outcome,) = await scene.replay()

    assert outcome.fate is Fate.SUPERSEDED
    assert (scene.values(), scene.open()) == (before, 0)


async def test_older_data_in_its_partition_is_replaced() -> None:
    """A misrouted record that came after what stands there is the newer one."""
    scene = Scene()
    scene.write(b'{"a":1}')
    scene.die(b'{"a":2}', at=ELSEWHERE, reason="misrouted")

    assert fates(await scene.replay()) == [Fate.REPLAYED]
    assert scene.values()[-1] == b'{"a":2}'


async def test_of_several_letters_of_a_key_only_the_newest_is_produced() -> None:
    """Also where only the older one is asked for: the newer one is not to be covered by it."""
    scene = Scene()
    first = scene.die(b'{"a":1}', at=ELSEWHERE, reason="misrouted")
    scene.die(b'{"a":2}', at=ELSEWHERE, reason="misrouted")

    assert fates(await scene.replay(first)) == [Fate.SUPERSEDED]
    assert scene.values() == []
    assert fates(await scene.replay()) == [Fate.REPLAYED]
    assert scene.values() == [b'{"a":2}']


async def test_record_that_would_die_again_stays() -> None:
    """Nothing is produced, and the letter stays open, with the reason."""
    scene = Scene()
    scene.die(b"[1]", reason="not_an_object")
    scene.die(b"{}", key=b"no id!", reason="invalid_id")
    scene.die(b"{}", key=None, reason="null_key")

    outcomes = await scene.replay()

    assert fates(outcomes) == [Fate.REFUSED] * 3
    assert [outcome.detail.partition(":")[0] for outcome in outcomes] == ["not_an_object", "invalid_id", "null_key"]
    assert scene.open() == 3


async def test_value_that_the_letter_does_not_keep_is_read_from_the_log() -> None:
    """A large record, and a misrouted deletion, are as they stand in the log; one compacted away is lost, and said."""
    scene = Scene()
    large = b'{"a":"' + b"x" * 100 + b'"}'
    scene.die(large, at=ELSEWHERE, reason="misrouted")
    assert fates(await scene.replay()) == [Fate.REPLAYED]
    scene.die(None, at=ELSEWHERE, reason="misrouted")
    assert fates(await scene.replay()) == [Fate.REPLAYED]
    assert scene.values() == [large, None]

    gone = scene.die(large, at=ELSEWHERE, reason="misrouted")
    partition = scene.log.partition(TopicPartition(INDEX.topic, ELSEWHERE))
    partition.records = [record for record in partition.records if record.offset != gone.offset]
    (outcome,) = await scene.replay()
    assert (outcome.fate, "not in the log" in outcome.detail) == (Fate.REFUSED, True)


async def test_dry_run_produces_nothing() -> None:
    """It says what would become of each."""
    scene = Scene()
    scene.die(b'{"a":1}', at=ELSEWHERE, reason="misrouted")

    assert fates(await scene.replay(dry=True)) == [Fate.REPLAYED]
    assert (scene.values(), scene.open()) == ([], 1)


class RacingWriter(FakeLogWriter):
    """A writer before which somebody else writes the same key, so many times."""

    def __init__(self, log: FakeLog, times: int) -> None:
        super().__init__(log)
        self._raced = log
        self._times = times

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append, after another's record of the first key."""
        if self._times and appends[0].topic == INDEX.topic:
            self._times -= 1
            self._raced.append(appends[0]._replace(value=b'{"raced":%d}' % self._times))
        return await super().append(appends)


@pytest.mark.parametrize("times", [1, 2, 4])
async def test_record_written_meanwhile_ends_on_top(times: int) -> None:
    """Who writes the key between our look and our record is not covered by what is older."""
    scene = Scene()
    scene.die(b'{"a":1}')

    (outcome,) = await scene.replay(writer=RacingWriter(scene.log, times))

    assert outcome.fate is Fate.SUPERSEDED
    assert scene.values()[-1] == b'{"raced":0}'


async def test_many_letters_are_replayed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many records are held at once, and every letter is dealt with once."""
    monkeypatch.setattr(replay_letters, "LETTERS_AT_ONCE", 3)
    scene = Scene()
    for number in range(10):
        scene.die(b"{}", key=b"k%d" % number)

    outcomes = await scene.replay()

    assert fates(outcomes) == [Fate.REPLAYED] * 10
    assert scene.open() == 0
