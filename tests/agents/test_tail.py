"""The tail of a node: pages in any cut give the same fold, and another disk is noticed."""

from hypothesis import given
from hypothesis import strategies as st

from agents.tail import EMPTY_TAIL, NodeTail, TaskView, failed_tasks, fold_page, lacks_known, note_posted, start_tail
from schemas.ids import Incarnation, IndexUid, Position, ShardId, node_index_uid
from schemas.posts import PositionRange, Post, build_metadata

ONE = Incarnation(1)
INDEX_UID = IndexUid("films")
SHARD = ShardId(0)


def make_view(
    uid: int,
    start: int,
    end: int,
    status: str = "succeeded",
    *,
    batch: int | None = None,
    incarnation: Incarnation = ONE,
) -> TaskView:
    """Return a post's task as a node lists it."""
    post = Post(incarnation, f"w-{uid}", 0, 1, {SHARD: PositionRange(Position(start), Position(end))})
    index = node_index_uid(INDEX_UID, incarnation)
    return TaskView(uid, index, status, f"t{uid}", build_metadata(post), uid if batch is None else batch, "", "")


def make_foreign(uid: int, status: str = "succeeded") -> TaskView:
    """Return a task that is not ours, such as a settings change."""
    return TaskView(uid, "films__1", status, f"t{uid}", None, uid, "", "")


def visible(tail: NodeTail | None) -> int:
    """Return the shard's visible cursor."""
    assert tail is not None
    return tail.visible(ONE, SHARD).cursor


def accepted(tail: NodeTail | None) -> int:
    """Return the shard's accepted cursor."""
    assert tail is not None
    return tail.index(ONE).accepted()[SHARD].cursor


def test_waiting_task_is_accepted_and_not_visible() -> None:
    """The two views of one fold."""
    tail = start_tail([make_view(0, 0, 5), make_view(1, 5, 9, "processing")])

    assert (visible(tail), accepted(tail), tail.read_from) == (5, 9, 1)


def test_page_finishes_what_waited() -> None:
    """The page begins with the first task that waited."""
    tail = start_tail([make_view(0, 0, 5), make_view(1, 5, 9, "processing")])

    folded = fold_page(tail, [make_view(1, 5, 9), make_view(2, 9, 12, "enqueued")])

    assert (visible(folded), accepted(folded)) == (9, 12)


def test_failed_task_takes_the_writer_back() -> None:
    """What was queued behind a failed post counts for nothing, and must be sent again."""
    tail = start_tail([make_view(0, 0, 5), make_view(1, 5, 9, "enqueued"), make_view(2, 9, 12, "enqueued")])
    assert accepted(tail) == 12

    folded = fold_page(tail, [make_view(1, 5, 9, "failed"), make_view(2, 9, 12, "enqueued")])

    assert accepted(folded) == 5


def test_late_post_of_a_former_owner_takes_the_writer_back() -> None:
    """Seen in the list, it needs no code of its own."""
    tail = start_tail([make_view(0, 0, 5), make_view(1, 5, 9)])

    folded = fold_page(tail, [make_view(1, 5, 9), make_view(2, 2, 6)])

    assert (visible(folded), accepted(folded)) == (6, 6)


def test_posted_task_is_accepted_before_a_page_shows_it() -> None:
    """The answer to a post is enough to continue behind it; the page then changes nothing."""
    tail = start_tail([make_view(0, 0, 5)])
    view = make_view(1, 5, 9, "enqueued")

    noted = note_posted(tail, 1, view.metadata or "")

    assert accepted(noted) == 9
    assert accepted(fold_page(noted, [make_view(0, 0, 5)])) == 9
    assert accepted(fold_page(noted, [make_view(0, 0, 5), view])) == 9
    assert visible(fold_page(noted, [make_view(0, 0, 5), make_view(1, 5, 9)])) == 9


def test_answer_that_a_page_has_overtaken_changes_nothing() -> None:
    """The page may show a task, even finished, before its answer is read."""
    view = make_view(1, 5, 9)
    tail = fold_page(start_tail([make_view(0, 0, 5)]), [make_view(0, 0, 5), view])
    assert tail is not None

    assert note_posted(tail, 1, view.metadata or "") == tail


def test_older_disk_is_noticed_by_a_task_that_waits_again() -> None:
    """A disk copied while its last task waited: the same task, not done yet, and what it did is not there."""
    tail = start_tail([make_view(0, 0, 5), make_view(1, 5, 9)])

    assert fold_page(tail, [make_view(1, 5, 9, "enqueued")]) is None
    assert fold_page(tail, [make_view(1, 5, 9), make_view(2, 9, 12, "enqueued")]) is not None


def test_older_disk_is_noticed_by_another_index_s_task_that_waits_again_behind_one_that_still_waits() -> None:
    """The page begins as it should, with what waited all the time."""
    waiting, other = make_view(0, 0, 5, "enqueued"), make_view(1, 5, 9, incarnation=Incarnation(8))
    tail = start_tail([waiting, other])

    assert fold_page(tail, [waiting, other._replace(status="enqueued")]) is None
    assert fold_page(tail, [waiting, other]) == tail


def test_other_disk_is_noticed_by_the_task_seen_last() -> None:
    """An emptied disk, an older one, and an older one that has since grown past it: none has that very task."""
    tail = start_tail([make_view(0, 0, 5), make_view(1, 5, 9)])

    assert fold_page(tail, []) is None
    assert fold_page(tail, [make_view(1, 0, 3)._replace(enqueued_at="another time")]) is None
    assert fold_page(tail, [make_view(2, 0, 3)]) is None


def test_disk_from_before_is_noticed_by_a_newer_task_that_is_missing_while_an_older_one_waits() -> None:
    """Seen in a page, or told of by an answer only; with nothing in its place, or another task."""
    first, lost = make_view(0, 0, 5, "enqueued"), make_view(1, 5, 9, "enqueued")
    seen = start_tail([first, lost])
    noted = note_posted(start_tail([first]), 1, lost.metadata or "")
    alone = note_posted(start_tail([]), 1, lost.metadata or "")
    other = lost._replace(enqueued_at="another time")

    assert [lacks_known(tail, [first]) for tail in (seen, noted)] == [True, True]
    assert lacks_known(alone, [])
    assert lacks_known(seen, [first, other])
    assert lacks_known(seen, [first, other, make_view(2, 9, 12)])
    # It was never seen, so that nothing was made of it: what stands there now is folded in its place.
    assert not lacks_known(noted, [first, other])


def test_task_that_finished_and_is_missing_tells_of_a_disk_from_before() -> None:
    """It is part of what is visible, of another index than the one that waits."""
    waiting, done = make_foreign(0, "enqueued"), make_view(1, 0, 5)
    tail = start_tail([waiting, done])
    assert visible(tail) == 5

    assert lacks_known(tail, [waiting])
    assert not lacks_known(tail, [waiting, done])


def test_list_that_has_all_that_was_known_is_the_same_disk() -> None:
    """Whatever has become of the tasks, and whatever came after them."""
    tail = start_tail([make_view(0, 0, 5), make_view(1, 5, 9, "enqueued"), make_view(2, 9, 12, "enqueued")])
    page = [make_view(1, 5, 9, "failed"), make_view(2, 9, 12), make_view(3, 12, 15, "enqueued")]

    assert not lacks_known(EMPTY_TAIL, [])
    assert not lacks_known(start_tail([]), page)
    assert not lacks_known(tail, page[:2])
    assert not lacks_known(tail, page)


def test_failure_is_told_once_and_alone_or_not() -> None:
    """A verdict needs to know whether another task shared the batch."""
    tail = start_tail([make_view(0, 0, 5, "processing"), make_view(1, 5, 9, "enqueued")])
    page = [make_view(0, 0, 5, "failed", batch=7), make_view(1, 5, 9, "failed", batch=7), make_foreign(2)]

    assert [failed.is_alone for failed in failed_tasks(tail, page)] == [False, False]
    folded = fold_page(tail, page)
    assert folded is not None
    assert failed_tasks(folded, page) == []
    alone = [make_view(0, 0, 5, "failed"), make_view(1, 5, 9, "enqueued")]
    assert [failed.is_alone for failed in failed_tasks(tail, alone)] == [True]


def test_history_tells_no_failures() -> None:
    """Whoever reads a list for the first time judges nothing that happened before."""
    assert failed_tasks(EMPTY_TAIL, [make_view(0, 0, 5, "failed")]) == ()


RANGES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5), st.sampled_from(["succeeded", "failed", "foreign"])), max_size=12
)


@given(RANGES, st.lists(st.integers(0, 12), max_size=5))
def test_pages_give_what_the_whole_list_gives(rows: list[tuple[int, int, str]], cuts: list[int]) -> None:
    """However the list grew while it was followed, and whatever waited in between, the fold is the same."""
    done = [
        make_foreign(uid) if kind == "foreign" else make_view(uid, start, start + length, kind)
        for uid, (start, length, kind) in enumerate(rows)
    ]
    tail: NodeTail | None = start_tail([])
    for cut in [*sorted(cuts), len(done)]:
        # At this moment the list has ``cut + 2`` tasks, of which those from ``cut`` on still wait.
        now = [*done[:cut], *(view._replace(status="enqueued") for view in done[cut : cut + 2])]
        assert tail is not None
        page = [view for view in now if view.uid >= tail.read_from]
        assert not lacks_known(tail, page)
        tail = fold_page(tail, page)

    assert tail is not None
    assert tail.indexes.get(ONE, tail.index(ONE)).visible == start_tail(done).index(ONE).visible
