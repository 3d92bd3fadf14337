"""What is known of the dead topic belongs to one incarnation, and every letter fits the broker."""

from collections.abc import Sequence

from agents.operations import DEAD_KEY_BYTES_MAX, DEAD_VALUE_BYTES_MAX, build_letter
from agents.window import Window
from agents.worker.feed import Feed
from agents.worker.metrics import WorkerMetrics
from agents.worker.set_aside import NODE_REFUSED, DeadLetters
from schemas.dead_letters import DeadLetter, build_dead_letter
from schemas.errors import LogUnavailableError
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, ShardId
from streams.log import Append, LogReader, LogRecord, TopicPartition

FILMS = IndexUid("films")
PLACE = TopicPartition("miroir.docs.films", Partition(0))
KAFKA_DEFAULT_BYTES = 1_048_588
"""``message.max.bytes`` of a broker that nobody has configured."""


class WrittenLog:
    """A log that remembers what was appended."""

    def __init__(self) -> None:
        self.appends: list[Append] = []

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Take all."""
        self.appends += appends
        return [Offset(0) for _ in appends]

    async def close(self) -> None:
        """Leave."""


def no_reader() -> LogReader:
    """Fail: no broker answers."""
    raise LogUnavailableError("no reader here")


def make_feed(incarnation: int) -> Feed:
    """Return a feed of the same partition, of an index made at this offset."""
    return Feed(PLACE, FILMS, Incarnation(incarnation), ShardId(0), Window(Position(0), bytes_max=1))


def make_letter(incarnation: int, offset: int, reason: str = NODE_REFUSED) -> DeadLetter:
    """Return a dead letter."""
    record = LogRecord(Offset(offset), 1, b"7", b"{}")
    return build_letter(
        PLACE, record, uid=FILMS, incarnation=Incarnation(incarnation), reason=reason, message="refused"
    )


async def test_letters_of_an_earlier_incarnation_mean_nothing() -> None:
    """An index made anew over a topic of the same name does not delete what an earlier one refused."""
    log = WrittenLog()
    dead = DeadLetters(log, no_reader, WorkerMetrics())
    dead.note([make_letter(3, 50)])

    await dead.set_aside(make_feed(9), [make_letter(9, 50)])

    assert dead.condemned(make_feed(3)) == {50}
    assert dead.condemned(make_feed(9)) == frozenset()
    assert len(log.appends) == 1


async def test_letter_that_is_known_is_not_written_again() -> None:
    """Whoever wrote it: two replicas that refuse the same record give one letter."""
    log = WrittenLog()
    dead = DeadLetters(log, no_reader, WorkerMetrics())

    await dead.set_aside(make_feed(3), [make_letter(3, 50, "not_json")])
    await dead.set_aside(make_feed(3), [make_letter(3, 50, "not_json"), make_letter(3, 51, "not_json")])

    assert len(log.appends) == 2


async def test_every_letter_of_the_incarnation_is_known() -> None:
    """Whatever the reason, whoever wrote it."""
    dead = DeadLetters(WrittenLog(), no_reader, WorkerMetrics())
    dead.note([make_letter(3, 50), make_letter(3, 51, "not_json"), make_letter(9, 52)])
    await dead.set_aside(make_feed(3), [make_letter(3, 53, "not_json")])

    assert dead.known(make_feed(3)) == {50, 51, 53}
    assert dead.known(make_feed(4)) == frozenset()


def test_letter_of_a_huge_record_fits_the_broker() -> None:
    """Key and value are left out where they are too large, and the text says so."""
    huge = LogRecord(Offset(5), 1, b"k" * 900_000, b"v" * 900_000)
    fitting = LogRecord(Offset(5), 1, b"k" * DEAD_KEY_BYTES_MAX, b"v" * DEAD_VALUE_BYTES_MAX)

    letter = build_letter(PLACE, huge, uid=FILMS, incarnation=Incarnation(3), reason="invalid_id", message="too long")
    # What nodes say quotes the document, and each of these letters has twelve bytes in JSON.
    said = "\U000f0000" * 900_000
    kept = build_letter(PLACE, fitting, uid=FILMS, incarnation=Incarnation(3), reason="node_refused", message=said)

    assert (letter.key, letter.value) == (None, None)
    assert "key has 900000 bytes" in letter.message
    assert "value has 900000 bytes" in letter.message
    assert kept.key is not None
    assert len(build_dead_letter(kept)) < KAFKA_DEFAULT_BYTES
