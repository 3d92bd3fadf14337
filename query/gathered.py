"""What came of asking several nodes at once: answers, shards without one, errors.

What always holds: no shard is answered twice. Who calls it: whoever gathers makes it, the reads take it. It must not
know: how nodes are asked.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from query.explanation import QuestionTrace
from query.routing import Part
from schemas.errors import NodeError, NodeForgotError, NodeRejectedError
from schemas.ids import ShardId

_VERDICTS = range(400, 500)
_NOT_VERDICTS = (401, 403, 404, 408, 429)
"""404: an index that this node does not have (yet, or any more) is the node's fault, not the question's. The others are
what stands in front of a node, or its keys."""


class PartAnswer(NamedTuple):
    """What a node answered for its part."""

    part: Part
    answer: Any


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came of a route.

    Attributes:
        answers: by node id and shards.
        missing: shards without an answer, in order.
        errors: one for each node that failed, whether or not another has answered instead.
        questions: whoever was asked, in order, and what came of it.
    """

    answers: tuple[PartAnswer, ...]
    missing: tuple[ShardId, ...]
    errors: tuple[NodeError, ...]
    questions: tuple[QuestionTrace, ...] = ()

    @property
    def verdict(self) -> NodeRejectedError | None:
        """The nodes' refusal of the question itself, if shards are missing because of one."""
        found = (error for error in self.errors if isinstance(error, NodeRejectedError) and is_verdict(error))
        return next(found, None) if self.missing else None

    @property
    def forgotten(self) -> bool:
        """Whether shards are missing while a node did not know its key: the view may be old."""
        return bool(self.missing) and any(isinstance(error, NodeForgotError) for error in self.errors)


EMPTY = Gathered((), (), ())
"""Where no node has to be asked, as of an index without a primary key: nothing is applied before it is known."""


def is_verdict(error: NodeError) -> bool:
    """Return whether the node refuses the question, as any other node would; so where its answer would be too long."""
    if not isinstance(error, NodeRejectedError) or not error.code:
        return False
    return error.status in _VERDICTS and error.status not in _NOT_VERDICTS
