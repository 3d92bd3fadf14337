"""Dead letters tried again: their records produced anew into the index's topic, once their cause is cured.

What always holds: a record is produced only where nothing newer of its key is in the log; should somebody write the key
at the same moment, their record is put back on top. A letter is closed after its record was acknowledged, so a run that
is cut off may be repeated. Memory: some 500 bytes a letter, and the records of ``LETTERS_AT_ONCE``. Who calls it:
``miroir dead replay``. It must not know: terminals.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from miroir.letter_fate import Fate, Outcome, Stand, find_fault, home_of, is_newer, key_of, newest_letters
from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key, decode_bytes, parse_dead_letter
from schemas.errors import LogUnavailableError, MissedRecordsError
from schemas.ids import Offset, Partition, Position
from streams.log import Append, Bounds, LogReader, LogRecord, LogWriter, TopicPartition
from streams.log_range import read_range
from streams.topics import DEAD
from streams.topology import Topology

LETTERS_AT_ONCE = 500
"""Whose records are held together: each has at most 256 KiB, so at most some 170 MB."""

PUT_BACK_MAX = 5
"""How often a record that was overtaken is put back on top; a key written faster than this needs no letter of ours."""

READ_S = 5.0
"""How long one known record may take to come."""

Selects = Callable[[DeadLetter], bool]
Report = Callable[[int, int], None]

_DEAD = TopicPartition(DEAD, Partition(0))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A letter that may be produced again: the newest open one of its key."""

    letter: DeadLetter
    append: Append

    @property
    def key(self) -> bytes:
        """Its key, which is an id."""
        assert self.append.key is not None, "no other letter may be produced again"
        return self.append.key

    @property
    def home(self) -> TopicPartition:
        """The partition where the key belongs."""
        return TopicPartition(self.append.topic, self.append.partition)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The newest records of the keys in question in one partition, as far as it was looked at; exclusive."""

    until: Position
    newest: Mapping[bytes, Stand]


class Replayer:
    """One run over the dead topic.

    Args:
        reader: reads the dead topic and the indexes' topics; used by nobody else meanwhile.
        writer: appends.
        topology: as it is now.
        document_bytes_max: a larger document fits in no post.
        report: takes how many letters of how many are done.
    """

    def __init__(
        self,
        reader: LogReader,
        writer: LogWriter,
        topology: Topology,
        *,
        document_bytes_max: int,
        report: Report = lambda *_: None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._topology = topology
        self._document_bytes_max = document_bytes_max
        self._report = report
        self._seen: dict[TopicPartition, _Seen] = {}

    async def run(self, selects: Selects, *, dry_run: bool = False) -> list[Outcome]:
        """Replay the open letters selected and return what became of each, in the order of the dead topic.

        Args:
            selects: says of a letter, without its value, whether it is meant.
            dry_run: nothing is appended; the outcomes say what would be.

        Raises:
            LogError: Kafka is away or refuses; what was replayed until then is closed.
        """
        letters: dict[bytes, DeadLetter] = {}
        async for letter in self._letters():
            letters[build_dead_letter_key(letter)] = replace(letter, value=None)
        chosen = [key for key, letter in letters.items() if not letter.closed and selects(letter)]
        newest = {build_dead_letter_key(letter) for letter in newest_letters(letters.values()).values()}
        outcomes: list[Outcome] = []
        for first in range(0, len(chosen), LETTERS_AT_ONCE):
            outcomes += await self._replay(chosen[first : first + LETTERS_AT_ONCE], newest, dry_run=dry_run)
            self._report(len(outcomes), len(chosen))
        return outcomes

    async def _letters(self) -> AsyncIterator[DeadLetter]:
        bounds = (await self._reader.bounds([_DEAD]))[_DEAD]
        async for batch in read_range(self._reader, _DEAD, bounds.beginning, bounds.end):
            for record in batch.records:
                if record.value is not None:
                    yield parse_dead_letter(record.value)

    async def _replay(self, part: Collection[bytes], newest: Collection[bytes], *, dry_run: bool) -> list[Outcome]:
        wanted = set(part)
        whole = {key: letter async for letter in self._letters() if (key := build_dead_letter_key(letter)) in wanted}
        sorted_out = [await self._sort_out(whole[key], is_newest=key in newest) for key in part]
        candidates = [each for each in sorted_out if isinstance(each, _Candidate)]
        await self._look(candidates)
        overtaken = {each: stand for each in candidates if (stand := self._newer(each)) is not None}
        ready = [each for each in candidates if each not in overtaken]
        produced = {each: Outcome(each.letter, Fate.REPLAYED, "would be produced again") for each in ready}
        if not dry_run:
            produced = await self._produce(ready)
        outcomes = [
            each
            if isinstance(each, Outcome)
            else produced.get(each) or Outcome(each.letter, Fate.SUPERSEDED, f"newer data stands at {overtaken[each]}")
            for each in sorted_out
        ]
        if not dry_run:
            await self._close(outcomes)
        return outcomes

    async def _sort_out(self, letter: DeadLetter, *, is_newest: bool) -> "_Candidate | Outcome":
        """Return what may be produced again, or why it may not."""
        key = key_of(letter)
        index = self._topology.indexes.get(letter.uid)
        value = decode_bytes(letter.value)
        if value is None and key is not None and index is not None:
            # A deletion, or too large to be kept: the record itself tells, if the log still has it.
            record = await self._record(letter)
            if record is None:
                return Outcome(
                    letter, Fate.REFUSED, "the letter has no value, and the record is not in the log any more"
                )
            value = record.value
        fault = find_fault(letter, value, index, document_bytes_max=self._document_bytes_max)
        if fault or key is None or index is None:
            return Outcome(letter, Fate.REFUSED, fault or "it has no key that is an id")
        if not is_newest:
            return Outcome(letter, Fate.SUPERSEDED, "a later dead letter has the same key")
        return _Candidate(letter, Append(index.topic, home_of(key, index), key, value))

    async def _record(self, letter: DeadLetter) -> LogRecord | None:
        """Return the record as it stands in the log; None where it does not any more."""
        where = TopicPartition(letter.topic, letter.partition)
        try:
            await self._reader.assign({where: Position(letter.offset)})
            for batch in await self._reader.read(timeout_s=READ_S, records_max=1):
                for record in batch.records:
                    if record.offset == letter.offset:
                        return record
        except (LogUnavailableError, MissedRecordsError):
            # The topic is gone with its index, or the log was trimmed.
            return None
        return None

    def _newer(self, candidate: _Candidate) -> Stand | None:
        stand = self._seen[candidate.home].newest.get(candidate.key)
        return stand if stand is not None and is_newer(stand, candidate.letter) else None

    async def _look(self, candidates: Collection[_Candidate]) -> None:
        """Find the newest record of each candidate's key, as far as the log goes now."""
        homes = {each.home for each in candidates}
        bounds = await self._reader.bounds(sorted(homes)) if homes else {}
        for home in sorted(homes):
            wanted = {each.key: each for each in candidates if each.home == home}
            start = min(_start(each, bounds[home]) for each in wanted.values())
            newest: dict[bytes, Stand] = {}
            async for batch in read_range(self._reader, home, start, bounds[home].end):
                for record in batch.records:
                    if record.key in wanted:
                        newest[record.key] = Stand(home.partition, record.offset, record.timestamp_ms)
            self._seen[home] = _Seen(bounds[home].end, newest)

    async def _produce(self, ready: Sequence[_Candidate]) -> dict[_Candidate, Outcome]:
        if not ready:
            return {}
        offsets = await self._writer.append([each.append for each in ready])
        put_back = await self._put_back(dict(zip(ready, offsets, strict=True)))
        return {
            each: Outcome(each.letter, Fate.SUPERSEDED, "newer data came meanwhile, and was put back on top")
            if each in put_back
            else Outcome(each.letter, Fate.REPLAYED, f"{each.home.partition}@{offset}")
            for each, offset in zip(ready, offsets, strict=True)
        }

    async def _put_back(self, produced: Mapping[_Candidate, Offset]) -> set[_Candidate]:
        """Put on top what somebody else wrote between our look and our record; return whose key that was."""
        overtaken: set[_Candidate] = set()
        between = {
            (each.home, each.key): (self._seen[each.home].until, Position(offset)) for each, offset in produced.items()
        }
        for _ in range(PUT_BACK_MAX):
            found = await self._written(between)
            if not found:
                break
            overtaken |= {each for each in produced if (each.home, each.key) in found}
            offsets = await self._writer.append([Append(*home, key, value) for (home, key), value in found.items()])
            between = {
                each: (Position(between[each][1] + 1), Position(offset))
                for each, offset in zip(found, offsets, strict=True)
            }
        return overtaken

    async def _written(
        self, between: Mapping[tuple[TopicPartition, bytes], tuple[Position, Position]]
    ) -> Mapping[tuple[TopicPartition, bytes], bytes | None]:
        """Return the last value of each key, where it was written in the key's half-open range."""
        found: dict[tuple[TopicPartition, bytes], bytes | None] = {}
        for home in sorted({home for home, _ in between}):
            ranges = {key: each for (at, key), each in between.items() if at == home}
            first, last = min(start for start, _ in ranges.values()), max(end for _, end in ranges.values())
            async for batch in read_range(self._reader, home, first, last):
                for record in batch.records:
                    start, end = ranges.get(record.key or b"", (0, 0))
                    if start <= record.offset < end:
                        found[home, record.key or b""] = record.value
        return found

    async def _close(self, outcomes: Sequence[Outcome]) -> None:
        closed = [
            replace(each.letter, closed=f"{each.fate}: {each.detail}")
            for each in outcomes
            if each.fate is not Fate.REFUSED
        ]
        if closed:
            await self._writer.append(
                [Append(*_DEAD, build_dead_letter_key(letter), build_dead_letter(letter)) for letter in closed]
            )


def _start(candidate: _Candidate, bounds: Bounds) -> Position:
    """Return from where newer data of the key may stand."""
    at_home = candidate.letter.partition == candidate.home.partition
    return max(bounds.beginning, Position(candidate.letter.offset + 1)) if at_home else bounds.beginning
