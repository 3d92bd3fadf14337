"""What the controller decided about one request, and in which order it is written.

The order matters where a broker has no transactions and a commit may be torn: the same request is then decided again
over what got through. Puts come first, so that whatever is missing can still be derived; then the answer; then
removals, so that nobody can see an entity gone whose answer is not there; the controller's own cursor last.

What always holds: a decision names the answer of its request, and writing it again changes nothing that matters. Who
calls it: the decisions on requests make them, the controller's shell writes them. It must not know: a log client.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agents.newcomers import WELCOME, Newcomer
from schemas.events import AnswerRecord, ClusterValue, ControllerRecord, build_key, build_value
from schemas.ids import Offset, Partition, Position
from streams.log import Append, TopicFound, TopicSpec
from streams.readable import ProgressView
from streams.topics import CLUSTER
from streams.topology import Topology

ACCEPTED_KEPT = 1_000
"""Accepted requests show in the entities themselves; their answers only serve whoever still waits for one."""

REFUSED_KEPT = 10_000
"""A refusal is nowhere else: a client may ask for its task long after."""

RECORD_BYTES_MAX = 1_000_000
"""Kafka takes 1,048,588 bytes by default, its own overhead among them. The commit of a larger record fails, and would
fail each time that the same request is decided again: nothing behind it would ever be answered."""

MESSAGE_CHARS_MAX = 10_000
"""A message quotes what was asked, or a document, which may be as large as a record: far more than anybody reads."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a request.

    Attributes:
        answer: accepted or not, and why.
        puts: the new state of entities.
        removes: keys of entities that are gone, in this order.
        topics: topics that must be there before anything is written.
    """

    answer: AnswerRecord
    puts: tuple[ClusterValue, ...] = ()
    removes: tuple[str, ...] = ()
    topics: tuple[TopicSpec, ...] = ()


class TopicSight(NamedTuple):
    """A topic as it was looked at just before deciding."""

    found: TopicFound
    empty: bool
    """Whether nothing was ever produced to it."""


@dataclass(frozen=True, slots=True)
class Sights:
    """What a decision may know besides the topology and the request; gathered by the shell.

    Attributes:
        now_ms: time of the request's record; milliseconds since 1970.
        key_uid: a fresh random UUID, for a request that replaces a key.
        topics: those of ``topics_needed`` that exist, by name.
        topics_created: whether we make topics ourselves.
        newcomer: the node of ``joining_node``.
        progress: what workers have published.
    """

    now_ms: int
    key_uid: str
    topics: Mapping[str, TopicSight]
    topics_created: bool = True
    newcomer: Newcomer = WELCOME
    progress: ProgressView = field(default_factory=ProgressView)


def accept(offset: Offset, *puts: ClusterValue, removes: tuple[str, ...] = ()) -> Decision:
    """Return the decision that grants a request."""
    return Decision(AnswerRecord(offset, accepted=True), puts, removes)


def refuse(offset: Offset, code: str, message: str) -> Decision:
    """Return the decision that changes nothing but says why."""
    return Decision(AnswerRecord(offset, accepted=False, code=code, message=message[:MESSAGE_CHARS_MAX]))


def keep_small(decision: Decision) -> Decision:
    """Return the decision, or a refusal where a broker would not take one of its records."""
    size = max(len(put.value or b"") for put in build_puts(*decision.puts, decision.answer))
    if size <= RECORD_BYTES_MAX:
        return decision
    message = f"what is to be written has {size} bytes in one record; at most {RECORD_BYTES_MAX} are taken"
    return refuse(decision.answer.offset, "payload_too_large", message)


def keep_answer(topology: Topology, decision: Decision) -> Decision:
    """Return the decision, unless a torn commit has answered the request otherwise: what was answered stays.

    An answer is written after every put of its decision, hence nothing is missing but removals, and those were decided
    again from what is still there.
    """
    earlier = topology.answer(decision.answer.offset)
    if earlier is None or (earlier.accepted and decision.answer.accepted):
        return decision
    return Decision(earlier)


def prune_answers(topology: Topology) -> tuple[str, ...]:
    """Return the keys of answers too many, oldest first; counts what stands, not what is about to be added."""
    kept = sorted(topology.answers(), key=lambda answer: answer.offset)
    accepted = [answer for answer in kept if answer.accepted]
    refused = [answer for answer in kept if not answer.accepted]
    surplus = [*_surplus(accepted, ACCEPTED_KEPT), *_surplus(refused, REFUSED_KEPT)]
    return tuple(build_key(answer) for answer in surplus)


def build_commit(topology: Topology, decision: Decision) -> tuple[Append, ...]:
    """Return the records of a decision in the order of this module's docstring."""
    removes = (*prune_answers(topology), *decision.removes)
    cursor = ControllerRecord(Position(decision.answer.offset + 1))
    return (*build_puts(*decision.puts, decision.answer), *build_removes(*removes), *build_puts(cursor))


def build_puts(*values: ClusterValue) -> tuple[Append, ...]:
    """Return the records that give entities their new state."""
    return tuple(Append(CLUSTER, Partition(0), build_key(value).encode(), build_value(value)) for value in values)


def build_removes(*keys: str) -> tuple[Append, ...]:
    """Return the tombstones of entities."""
    return tuple(Append(CLUSTER, Partition(0), key.encode(), None) for key in keys)


def _surplus(answers: list[AnswerRecord], kept: int) -> list[AnswerRecord]:
    return answers[: max(0, len(answers) - kept)]
