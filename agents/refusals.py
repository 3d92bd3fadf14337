"""What a feeder remembers of posts that a node refused, until the documents to blame are found.

Who is under suspicion follows from the sizes of the posts that were sent; a document is condemned once a post of it
alone was refused. What always holds: everything here is bounded, and forgetting any of it costs time only, for the next
refusal begins it anew. Who calls it: the feeder of a node. It must not know: how posts are sent, or the clock.
"""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from agents.operations import Operation
from agents.quarantine import Suspect, Verdict, clear, join, suspect
from agents.tail import FailedTask
from schemas.ids import Incarnation, ShardId
from schemas.posts import Post
from streams.cursor import IndexCursors

LONELY_S = 5.0
"""So long after a document was refused, posts to its index are sent one at a time: longer than a node takes for one of
the few small posts that find the document, each of which begins it anew.
"""

POSTS_COUNTED_MAX = 64
"""Posts whose sizes are remembered for a verdict; two are ahead at any time."""

T = TypeVar("T")


class Condemned(NamedTuple, Generic[T]):
    """A document that was posted alone and refused, and by what its sender knows its shard."""

    of: T
    shard: ShardId
    operation: Operation


class Refusals(Generic[T]):
    """The suspects of one node."""

    def __init__(self) -> None:
        self._suspects: dict[Incarnation, Mapping[ShardId, Suspect]] = {}
        self._lonely_until: dict[Incarnation, float] = {}
        self._sizes: dict[str, Mapping[ShardId, int]] = {}
        self._alone: dict[str, Condemned[T]] = {}

    def note_sent(self, post: str, sizes: Mapping[ShardId, int], *, alone: Condemned[T] | None = None) -> None:
        """Remember a post.

        Args:
            post: its id.
            sizes: how many documents of each shard it holds.
            alone: the one document that it is to judge, if it is.
        """
        self._sizes[post] = sizes
        if len(self._sizes) > POSTS_COUNTED_MAX:
            oldest = next(iter(self._sizes))
            self._sizes.pop(oldest)
            self._alone.pop(oldest, None)
        if alone is not None:
            self._alone[post] = alone

    def take(self, failed: FailedTask, verdict: Verdict, *, now_s: float) -> Condemned[T] | None:
        """Take in that a node refused a document of this task; return the document where it is found.

        Every worker that posts there sees the task, and for a while posts only where nothing waits, whosever the
        document is: so the one that looks for it gets its turn, and a batch of its own.
        """
        incarnation, post = failed.task.metadata.incarnation, failed.task.metadata
        assert isinstance(post, Post), "only posts are refused"
        self._lonely_until[incarnation] = now_s + LONELY_S
        alone = self._alone.pop(post.post, None)
        if alone is not None and verdict is Verdict.REFUSED:
            return alone
        sizes = self._sizes.get(post.post)
        if sizes is not None:
            self._suspects[incarnation] = join(self._suspects.get(incarnation, {}), suspect(failed, sizes))
        return None

    def settle(self, incarnation: Incarnation, shard: ShardId) -> None:
        """Suspect nothing more of a shard: its document is condemned."""
        left = {**self._suspects.get(incarnation, {})}
        left.pop(shard, None)
        self._suspects[incarnation] = left

    def left(self, incarnation: Incarnation, accepted: IndexCursors) -> Mapping[ShardId, Suspect]:
        """Return who is under suspicion still, now that the node has accepted so much; by shard."""
        suspects = self._suspects.get(incarnation)
        if not suspects:
            return {}
        left = clear(suspects, {shard: cursor.cursor for shard, cursor in accepted.items()})
        self._suspects[incarnation] = left
        return left

    def is_lonely(self, incarnation: Incarnation, *, now_s: float) -> bool:
        """Return whether posts to the index are sent one at a time now."""
        return now_s < self._lonely_until.get(incarnation, 0.0)

    def forget(self) -> None:
        """Suspect nobody: the node has another disk."""
        self._suspects.clear()
