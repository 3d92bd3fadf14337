"""Looking, now and then and at a low rate, whether nodes hold what the log says of old documents.

What the last writes in memory do not tell, the log does: that of one shard is read from its beginning to where its
furthest copy has settled, some ids are drawn on the way, and each copy of the shard is asked for them. What always
holds: the reading is slower than its limits, and whatever comes in its way ends it: another look begins anew. What is
written meanwhile is in the feed's window, or nothing is judged. Who calls it: the worker's samplers. It must not know:
what a sample is (``agents/log_sample.py``), when a copy is made anew (``agents/worker/sampler.py``), Faust, HTTP.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from agents.log_sample import LogSample, keep_untouched, rest_s
from agents.sampling import DOCUMENTS_MAX, Expected
from agents.worker.feed import Feed
from agents.worker.sampler import LOOK_MAX_S, Place, Sampler, settled_on
from schemas.errors import LogError, NodeError
from schemas.ids import Offset, Position
from streams.log import LogReader
from streams.log_range import read_range

READ_MAX_S = 3600.0
"""One shard with all its copies: at the limits some 18 million records, or 14 GB; a longer log is not looked at."""

ROUNDS_MAX = 20
"""So often the end is chosen anew where the window has moved beyond it: each time much less is left to read."""

WAIT_S = 0.25
"""Between two looks at how far copies, or the live stream, have come."""

WAITS_MAX = 40
"""So many of them (10 s), then a copy that is not at the end is passed over."""

NOTICE_S = 3.0
"""Before anything is told: a topic that was deleted and made anew is noticed within a second or two, and what differs
from the log then says nothing of the copies."""

_log = logging.getLogger(__name__)


class Read(NamedTuple):
    """What was read of a shard's log.

    Attributes:
        expected: what the sampled documents must be.
        end: up to where it was read, exclusive.
        is_whole: whether it was read from the first record that ever was: a copy can be made of it.
    """

    expected: Sequence[Expected]
    end: Position
    is_whole: bool


class LogSampler:
    """Looks at old documents of the shards that this worker feeds.

    Args:
        sampler: confirms what differs, and lets copies be made anew.
        places: what can be looked at now.
        make_reader: makes a reader for one look.
        letters: the offsets of a feed's records that were set aside.
        document_bytes_max: a larger document was set aside.
        interval_s: between two looks; 0 for never.
        draw: a number in [0, 1).
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        sampler: Sampler,
        places: Callable[[], Sequence[Place]],
        *,
        make_reader: Callable[[], LogReader],
        letters: Callable[[Feed], AbstractSet[Offset]],
        document_bytes_max: int,
        interval_s: float,
        draw: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sampler = sampler
        self._places = places
        self._make_reader = make_reader
        self._letters = letters
        self._document_bytes_max = document_bytes_max
        self._interval_s = interval_s
        self._draw = draw
        self._sleep = sleep

    async def run(self) -> None:
        """Look at one shard after the other until cancelled; an interval of 0 is never."""
        if self._interval_s <= 0:
            return
        while True:
            await self._sleep(self._interval_s)
            places = self._places()
            self._sampler.keep(places)
            feeds = list({copy.feed.partition: copy.feed for place in places for copy in place.copies}.values())
            if not feeds:
                continue
            feed = feeds[int(self._draw() * len(feeds))]
            try:
                async with asyncio.timeout(READ_MAX_S):
                    await self.look(feed)
            except (LogError, TimeoutError) as error:
                _log.info("old documents are not looked at", extra={**feed.partition._asdict(), "reason": str(error)})

    async def look(self, feed: Feed) -> None:
        """Read the log of a shard, and look at each of its copies.

        Raises:
            LogError: the log cannot be read.
        """
        reader = self._make_reader()
        try:
            read = await self._read(feed, reader)
        finally:
            await reader.close()
        if read is None:
            return
        places = self._copies(feed)
        first = int(self._draw() * len(places))
        for place in (*places[first:], *places[:first]):
            try:
                async with asyncio.timeout(LOOK_MAX_S):
                    await self._compare(place, read)
            except (NodeError, TimeoutError) as error:
                _log.info("old documents are not looked at", extra={"node": place.node.node, "reason": str(error)})

    # --- the log ---

    async def _read(self, feed: Feed, reader: LogReader) -> Read | None:
        """Return what the log says; None where there is nothing to compare, or what came after it is not known."""
        at = beginning = (await reader.bounds([feed.partition]))[feed.partition].beginning
        copies = self._copies(feed)
        if not copies:
            return None
        sample = LogSample(
            copies[0].copies[0].index, feed.shard, draw=self._draw(), document_bytes_max=self._document_bytes_max
        )
        for _ in range(ROUNDS_MAX):
            end = max(self._settled(feed), default=at)
            if end > at:
                async for batch in read_range(reader, feed.partition, at, end):
                    sample.fold(batch)
                    await self._sleep(rest_s(batch))
                    if not self._copies(feed):
                        return None
                at = end
            if feed.window.covers(at) and at > beginning:
                break
            await self._sleep(WAIT_S)
        else:
            return None
        bounds = (await reader.bounds([feed.partition]))[feed.partition]
        if not await self._reach(feed, log_end=bounds.end, end=at):
            return None
        return Read(sample.expected(), at, is_whole=bounds.beginning == 0)

    async def _reach(self, feed: Feed, *, log_end: Position, end: Position) -> bool:
        """Wait for the copies to be at the end; return whether the live stream has come to the log's.

        Where compaction went over the log while it was read, the last write of an id below the end may be missing; then
        the one that took its place stood in the log by now, and is in the window.
        """
        for _ in range(WAITS_MAX):
            if feed.window.end >= log_end and all(settled >= end for settled in self._settled(feed)):
                break
            await self._sleep(WAIT_S)
        return feed.window.end >= log_end

    # --- the copies ---

    def _copies(self, feed: Feed) -> Sequence[Place]:
        """Return the copies of the shard as they are placed now, each by itself; none where another worker feeds it."""
        return [Place(place.node, (copy,)) for place in self._places() for copy in place.copies if copy.feed is feed]

    def _settled(self, feed: Feed) -> Sequence[Position]:
        return [settled_on(place.node, place.copies[0]) for place in self._copies(feed)]

    async def _compare(self, place: Place, read: Read) -> None:
        differing: list[Expected] = []
        expected = self._still_expected(place, read, read.expected)
        for start in range(0, len(expected), DOCUMENTS_MAX):
            differing += await self._sampler.confirm(
                place, expected[start : start + DOCUMENTS_MAX], lambda each: self._still_expected(place, read, each)
            )
        if not differing:
            return
        await self._sleep(NOTICE_S)
        if still := self._still_expected(place, read, differing):
            await self._sampler.report(place, still, repairs=read.is_whole)

    def _still_expected(self, place: Place, read: Read, expected: Iterable[Expected]) -> Sequence[Expected]:
        (copy,) = place.copies
        window = copy.feed.window
        is_placed = any(
            each.node is place.node and each.copies[0].replica == copy.replica for each in self._copies(copy.feed)
        )
        if not is_placed or window.start > read.end or settled_on(place.node, copy) < read.end:
            return ()
        return keep_untouched(expected, window.batches_from(read.end), self._letters(copy.feed), end=read.end)
