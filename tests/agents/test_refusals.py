"""What is remembered of refused posts until the document is found."""

import pytest

from agents.quarantine import Verdict
from agents.refusals import LONELY_S, POSTS_COUNTED_MAX, Condemned, Refusals
from agents.tail import FailedTask
from schemas.ids import Attempt, Incarnation, Position, ShardId
from schemas.posts import Drop, PositionRange, Post
from streams.cursor import NodeTask, ShardCursor, TaskState
from tests.agents.test_window import make_operations

SHARD = ShardId(0)
INDEX = Incarnation(1)


def make_failed(post: str, *, start: int = 0, end: int = 10) -> FailedTask:
    """Return a refused post of ``[start, end)`` of the shard."""
    metadata = Post(INDEX, post, 0, 1, {SHARD: PositionRange(Position(start), Position(end))})
    return FailedTask(NodeTask(1, TaskState.FAILED, metadata), "invalid_document_geo_field", "no place", is_alone=True)


def make_alone(at: int) -> Condemned[str]:
    """Return a document that was posted alone."""
    (operation,) = make_operations(at, at + 1).operations
    return Condemned("ours", SHARD, operation)


def stands(cursor: int) -> dict[ShardId, ShardCursor]:
    """Return what the node has accepted."""
    return {SHARD: ShardCursor(Position(cursor), Attempt(1))}


def test_refused_post_is_suspected_until_the_node_has_taken_what_it_held() -> None:
    """Whoever took the place of the refused documents, they are no suspects once the cursor is behind them."""
    refusals: Refusals[str] = Refusals()
    refusals.note_sent("p1", {SHARD: 10})

    assert refusals.take(make_failed("p1"), Verdict.REFUSED, now_s=0.0) is None

    assert refusals.left(INDEX, stands(0)).keys() == {SHARD}
    assert refusals.left(INDEX, stands(10)) == {}
    assert refusals.left(INDEX, stands(0)) == {}


def test_document_refused_alone_is_condemned_once() -> None:
    """It was in no other's batch, so it is to blame; nothing of its shard is suspected then."""
    refusals: Refusals[str] = Refusals()
    refusals.note_sent("p1", {SHARD: 10})
    refusals.take(make_failed("p1"), Verdict.REFUSED, now_s=0.0)
    alone = make_alone(3)
    refusals.note_sent("p2", {SHARD: 1}, alone=alone)

    assert refusals.take(make_failed("p2", start=3, end=4), Verdict.REFUSED, now_s=1.0) == alone
    refusals.settle(INDEX, SHARD)

    assert refusals.left(INDEX, stands(3)) == {}
    assert refusals.take(make_failed("p2", start=3, end=4), Verdict.REFUSED, now_s=1.0) is None


def test_document_refused_in_a_shared_batch_is_not_condemned() -> None:
    """Another's document may be to blame: ours is only suspected, and tried again."""
    refusals: Refusals[str] = Refusals()
    refusals.note_sent("p1", {SHARD: 1}, alone=make_alone(3))

    assert refusals.take(make_failed("p1", start=3, end=4), Verdict.SHARED, now_s=0.0) is None


def test_posts_go_one_at_a_time_for_a_while_whosever_was_refused() -> None:
    """The worker that looks for the document needs a batch of its own."""
    refusals: Refusals[str] = Refusals()

    refusals.take(make_failed("of another worker"), Verdict.REFUSED, now_s=100.0)

    assert refusals.is_lonely(INDEX, now_s=100.0 + LONELY_S / 2)
    assert not refusals.is_lonely(INDEX, now_s=100.0 + LONELY_S)
    assert not refusals.is_lonely(Incarnation(2), now_s=100.0)
    assert refusals.left(INDEX, stands(0)) == {}


def test_forgotten_posts_cost_another_refusal_only() -> None:
    """What is remembered is bounded; another disk holds nothing that was refused."""
    refusals: Refusals[str] = Refusals()
    refusals.note_sent("first", {SHARD: 1}, alone=make_alone(0))
    for number in range(POSTS_COUNTED_MAX):
        refusals.note_sent(f"p{number}", {SHARD: 10})

    assert refusals.take(make_failed("first", end=1), Verdict.REFUSED, now_s=0.0) is None
    assert refusals.left(INDEX, stands(0)) == {}
    refusals.take(make_failed("p5"), Verdict.REFUSED, now_s=0.0)
    refusals.forget()
    assert refusals.left(INDEX, stands(0)) == {}


def test_only_posts_are_refused() -> None:
    """A drop holds no document: taking one in is a mistake of ours."""
    failed = FailedTask(NodeTask(1, TaskState.FAILED, Drop(INDEX, {SHARD: Attempt(1)})), "", "", is_alone=True)

    with pytest.raises(AssertionError):
        Refusals[str]().take(failed, Verdict.REFUSED, now_s=0.0)
