"""Old documents that a node does not hold as the log says are noticed, and their copy is made anew."""

import asyncio
from dataclasses import replace

import pytest

from agents.log_sample import LOG_DOCUMENTS_MAX, RECORDS_PER_S
from agents.sampling import DOCUMENTS_MAX
from agents.worker.log_sampler import ROUNDS_MAX, WAITS_MAX
from schemas.errors import LogUnavailableError
from schemas.ids import Attempt, NodeId
from schemas.requests import RebuildNode
from streams.log_range import RECORDS_MAX
from tests.agents.worker.sampled import BYTES_MAX, INDEX, PLACE, SHARD, UID, Shard
from tests.background import background

DOCUMENTS = 10
ONE, TWO = NodeId("n1"), NodeId("n2")


@pytest.fixture
async def shard() -> Shard:
    """Two copies that hold what the log says, all of it older than what the worker remembers."""
    found = Shard()
    await found.begin(DOCUMENTS)
    return found


async def test_copies_that_hold_the_log_are_asked_once(shard: Shard) -> None:
    """All of their documents are as they must be."""
    await shard.look()

    assert [copy.asked for copy in shard.copies] == [1, 1]
    assert (shard.counted(), shard.differing(), shard.requests) == (2 * DOCUMENTS, [0, 0], [])


async def test_sampler_of_last_writes_does_not_see_old_documents(shard: Shard) -> None:
    """Which is what this one is for."""
    shard.copies[0].spoil(3, "wrong")
    await shard.sampler.look(shard.places()[0])
    assert shard.copies[0].asked == 0


@pytest.mark.parametrize("text", ["wrong", None])
async def test_old_document_that_was_changed_or_lost_is_seen_twice_and_its_copy_made_anew(
    shard: Shard, text: str | None
) -> None:
    """On the one node only."""
    shard.copies[0].spoil(3, text)
    await shard.look()

    assert [copy.asked for copy in shard.copies] == [2, 1]
    assert shard.requests == [RebuildNode(ONE, INDEX.uid, (SHARD,), shard.copies[0].replica.attempt)]
    assert shard.differing() == [1, 0]


async def test_old_delete_whose_document_is_still_there_is_found(shard: Shard) -> None:
    """The log says last that it is gone, even where compaction has taken the document itself."""
    shard.write(3, None)
    await shard.feed_all()
    shard.forget()
    shard.log.compact(PLACE)
    shard.copies[1].spoil(3, "right")
    await shard.look()

    assert (shard.differing(), shard.rebuilt()) == ([0, 1], [TWO])


async def test_difference_that_is_seen_once_does_not_count(shard: Shard) -> None:
    """Somebody puts it right between two looks."""
    first = shard.copies[0]
    first.spoil(3, "wrong")
    first.before_answer = lambda: first.spoil(3, "right") if first.asked == 2 else None
    await shard.look()

    assert (first.asked, shard.differing(), shard.requests) == (2, [0, 0], [])


@pytest.mark.parametrize("is_known_at_first", [True, False])
async def test_record_that_nodes_refused_is_not_missing(shard: Shard, *, is_known_at_first: bool) -> None:
    """Whether its dead letter was there before the look, or was written while it went on."""
    offset = shard.write(3, "refused")
    shard.letters.add(offset)
    await shard.feed_all()
    shard.forget()
    assert "3" not in {str(each) for copy in shard.copies for each in copy.disk.documents(UID)}
    if not is_known_at_first:
        shard.letters.clear()
        for copy in shard.copies:
            copy.before_answer = lambda: shard.letters.add(offset)
    await shard.look()

    assert shard.copies[0].asked
    assert (shard.differing(), shard.requests) == ([0, 0], [])


async def test_record_that_would_be_set_aside_today_is_not_judged(shard: Shard) -> None:
    """Its copies took it when larger documents were allowed."""
    shard.write(3, "x" * BYTES_MAX)
    await shard.feed_all()
    shard.forget()
    for copy in shard.copies:
        copy.spoil(3, "x" * BYTES_MAX)
    await shard.look()

    assert (shard.counted(), shard.differing(), shard.requests) == (2 * DOCUMENTS - 2, [0, 0], [])


async def test_document_rewritten_after_the_end_is_not_judged(shard: Shard) -> None:
    """It is written anew while the log is read; what else is old is judged all the same."""

    async def rewrite() -> None:
        if shard.feed.window.end == DOCUMENTS:
            shard.write(3, "newer")
            await shard.feed_all()

    shard.on_sleep = rewrite
    shard.copies[0].spoil(5, "wrong")
    await shard.look()

    assert shard.feed.window.end == DOCUMENTS + 1
    assert (shard.differing(), shard.rebuilt()) == ([1, 0], [ONE])


async def test_document_rewritten_while_it_is_asked_for_is_not_judged(shard: Shard) -> None:
    """The node has the new one, or is about to have it."""
    first = shard.copies[0]

    def rewrite() -> None:
        first.spoil(3, "newer")
        if first.asked == 1:
            shard.write(3, "newer")
            shard.take()

    first.before_answer = rewrite
    await shard.look()

    assert (first.asked, shard.differing(), shard.requests) == (1, [0, 0], [])


async def test_reading_goes_on_where_the_window_has_moved_beyond_the_end(shard: Shard) -> None:
    """Up to where it begins now: what was written meanwhile is judged too."""

    async def move_on() -> None:
        if shard.feed.window.end == DOCUMENTS:
            shard.write(3, "newer")
            await shard.feed_all()
            shard.forget()
            shard.copies[1].spoil(3, "wrong")

    shard.on_sleep = move_on
    await shard.look()

    assert (shard.differing(), shard.rebuilt()) == ([0, 1], [TWO])


async def test_look_gives_up_where_the_window_stays_beyond_the_copies(shard: Shard) -> None:
    """What was written between is not known: nobody is asked."""
    for copy in shard.copies:
        copy.is_stuck = True
    shard.write(3, "newer")
    await shard.feed_all()
    shard.forget()
    sleeps = 0

    async def count() -> None:
        nonlocal sleeps
        sleeps += 1

    shard.on_sleep = count
    await shard.look()

    assert [copy.asked for copy in shard.copies] == [0, 0]
    assert sleeps == ROUNDS_MAX + 1, "a round each, and the batch that was read"


async def test_look_gives_up_where_the_window_moves_beyond_the_end_while_a_node_is_asked(shard: Shard) -> None:
    """The difference may be a write that is not known any more."""
    first = shard.copies[0]

    def move_on() -> None:
        first.spoil(3, "newer")
        shard.write(3, "newer")
        shard.take()
        shard.forget()

    first.before_answer = move_on
    await shard.look()

    assert (first.asked, shard.differing(), shard.requests) == (1, [0, 0], [])


async def test_copy_that_is_not_at_the_end_is_passed_over(shard: Shard) -> None:
    """It is waited for a while; the others are looked at."""
    shard.copies[0].is_stuck = True
    shard.write(3, "newer")
    await shard.feed_all()
    shard.copies[1].spoil(3, "wrong")
    await shard.look()

    assert [copy.asked for copy in shard.copies] == [0, 2]
    assert shard.rebuilt() == [TWO]


async def test_copy_that_comes_to_the_end_is_waited_for(shard: Shard) -> None:
    """Copies never stand at the same place while documents are written."""
    late = shard.copies[0]
    late.is_stuck = True
    shard.write(3, "newer")
    await shard.feed_all()

    async def go_on() -> None:
        if shard.slept_s > 1:
            late.is_stuck = False
            late.run()

    shard.on_sleep = go_on
    await shard.look()

    assert [copy.asked for copy in shard.copies] == [1, 1]


async def test_of_two_copies_that_differ_one_is_made_anew_at_a_time(shard: Shard) -> None:
    """Whether the other is whole is known only once the controller has answered."""
    for copy in shard.copies:
        copy.spoil(3, "wrong")
    await shard.look()

    assert (shard.differing(), len(shard.requests)) == ([1, 1], 1)


async def test_copy_is_not_made_anew_from_a_log_that_was_trimmed(shard: Shard) -> None:
    """It would lack what the log lacks. What differs is told of; what stood below the log's beginning is not judged."""
    shard.log.trim(PLACE, 2)
    shard.copies[0].spoil(1, None)
    shard.copies[0].spoil(3, "wrong")
    await shard.look()

    assert (shard.differing(), shard.requests) == ([1, 0], [])


async def test_compaction_while_the_log_is_read_makes_no_difference(shard: Shard) -> None:
    """It may take the last write below the end after an older one was read: a newer one stands where nobody was yet."""
    for at in range(RECORDS_MAX):
        shard.write(100 + at % DOCUMENTS, "right")
    shard.write(3, "second")
    await shard.feed_all()
    shard.forget()
    sleeps = 0

    async def compact() -> None:
        nonlocal sleeps
        sleeps += 1
        if sleeps == 1:
            shard.write(3, "third")
            shard.log.compact(PLACE)

    shard.on_sleep = compact
    await shard.look()

    assert (sleeps, shard.requests) == (2 + WAITS_MAX, [])


async def test_reading_is_paced(shard: Shard) -> None:
    """So that live traffic keeps its share."""
    for key in range(100, 100 + 2 * RECORDS_MAX):
        shard.write(key, "right")
    await shard.feed_all()
    shard.forget()
    await shard.look()

    assert shard.slept_s == pytest.approx((DOCUMENTS + 2 * RECORDS_MAX) / RECORDS_PER_S)


async def test_sample_is_asked_for_in_small_pieces(shard: Shard) -> None:
    """No answer is large, and no question comes twice."""
    for key in range(100, 100 + LOG_DOCUMENTS_MAX):
        shard.write(key, "right")
    await shard.feed_all()
    shard.forget()
    await shard.look()

    assert [copy.asked for copy in shard.copies] == [LOG_DOCUMENTS_MAX // DOCUMENTS_MAX] * 2
    assert shard.counted() == 2 * LOG_DOCUMENTS_MAX


async def test_shard_that_goes_elsewhere_is_read_no_more(shard: Shard) -> None:
    """What it holds is another worker's to judge."""
    feed = shard.feed
    for key in range(100, 100 + 2 * RECORDS_MAX):
        shard.write(key, "right")
    await shard.feed_all()
    shard.forget()

    async def leave() -> None:
        shard.disown()

    shard.on_sleep = leave
    await shard.log_sampler().look(feed)

    assert shard.slept_s == RECORDS_MAX / RECORDS_PER_S, "the first batch"
    assert [copy.asked for copy in shard.copies] == [0, 0]


async def test_copy_that_is_placed_anew_while_it_is_asked_is_not_judged(shard: Shard) -> None:
    """What it lacks, it may lack since it begins anew."""
    first = shard.copies[0]
    first.spoil(3, None)
    first.before_answer = lambda: setattr(first, "replica", replace(first.replica, attempt=Attempt(9)))
    await shard.look()

    assert (first.asked, shard.requests) == (1, [])


async def test_index_that_is_stopped_before_it_is_told_is_not_judged(shard: Shard) -> None:
    """Its log was made anew, which is noticed a moment later: what was read says nothing of its copies."""
    shard.copies[0].spoil(3, "wrong")

    async def stop() -> None:
        if shard.copies[0].asked == 2:
            shard.disown()

    shard.on_sleep = stop
    await shard.look()

    assert (shard.copies[0].asked, shard.differing(), shard.requests) == (2, [0, 0], [])


async def test_node_that_does_not_answer_does_not_hide_the_others(shard: Shard) -> None:
    """It is looked at another time."""
    shard.copies[0].disk.is_down = True
    shard.copies[1].spoil(3, "wrong")
    await shard.look()
    assert shard.rebuilt() == [TWO]


async def test_log_that_is_away_ends_the_look(shard: Shard) -> None:
    """Nothing is judged by half a log."""
    shard.log.away = True
    with pytest.raises(LogUnavailableError):
        await shard.look()
    assert [copy.asked for copy in shard.copies] == [0, 0]


async def test_run_looks_again_once_the_log_is_back(shard: Shard) -> None:
    """Until cancelled."""
    found = asyncio.Event()
    shard.log.away = True

    async def return_later() -> None:
        if shard.slept_s > 1:
            shard.log.away = False
        if shard.copies[1].asked:
            found.set()

    shard.on_sleep = return_later
    async with background(shard.log_sampler().run()), asyncio.timeout(60):
        await found.wait()


async def test_interval_of_zero_is_never(shard: Shard) -> None:
    """And the task is over."""
    await shard.log_sampler(interval_s=0.0).run()
    assert shard.slept_s == 0.0
