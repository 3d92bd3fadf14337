"""What the query service appends to the log: requests, documents, and the record of each client's task.

What always holds: a task's record is appended after what it names has been acknowledged; a document is only produced to
the incarnation that every earlier request of this process for that index has led to. Who calls it: the routes. It must
not know: HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from query.http.clock import now_ms
from query.http.views import Views
from schemas.errors import InvalidRequestError
from schemas.events import AnswerRecord, IndexRecord
from schemas.ids import IndexUid, Offset, Partition, Position, TaskUid
from schemas.requests import CreateIndex, DeleteIndex, Request, SetPrimaryKey, build_request
from schemas.tasks import TaskRecord, build_task
from streams.log import Append, LogWriter
from streams.partitioning import partition_of
from streams.topics import REQUESTS, TASKS

ANSWER_WAIT_S = 10.0
"""How long a post waits for the controller; a takeover after its death takes about as long."""


@dataclass(frozen=True, slots=True)
class Produced:
    """Where documents went.

    Attributes:
        ranges: half-open positions of each partition, from the first of them to the last.
        pieces: of partitions where records of others lie between them: the half-open positions that are their own.
        offsets: of each, in the order given.
    """

    ranges: dict[Partition, tuple[Position, Position]]
    pieces: dict[Partition, tuple[tuple[Position, Position], ...]] = field(default_factory=dict)
    offsets: Sequence[Offset] = ()

    @property
    def last(self) -> dict[Partition, Offset]:
        """The last one's offset in each partition."""
        return {partition: Offset(end - 1) for partition, (_, end) in self.ranges.items()}


@dataclass(frozen=True, slots=True)
class Keyed:
    """One record to produce; a value of None deletes."""

    key: bytes
    value: bytes | None


class Writes:
    """Appends for the routes."""

    def __init__(self, writer: LogWriter, views: Views) -> None:
        self._writer = writer
        self._views = views
        self._changing: dict[IndexUid, Offset] = {}

    async def append_request(self, request: Request) -> Offset:
        """Append a request and return its offset.

        Raises:
            LogUnavailableError: it may or may not be in the log.
        """
        (offset,) = await self._writer.append([Append(REQUESTS, Partition(0), None, build_request(request))])
        if isinstance(request, CreateIndex | DeleteIndex | SetPrimaryKey):
            self._changing[request.uid] = max(offset, self._changing.get(request.uid, offset))
        return offset

    async def answer_to(self, request: Offset, *, timeout_s: float = ANSWER_WAIT_S) -> AnswerRecord | None:
        """Return what the controller answered; None where it has not within ``timeout_s`` seconds."""
        return await self._views.wait_for(lambda: self._views.topology.answer(request), timeout_s=timeout_s)

    async def settled_index(self, uid: IndexUid) -> IndexRecord | None:
        """Return the index as every earlier request of this process has left it; None where there is none.

        Raises:
            InvalidRequestError: the controller has not answered those in time.
        """
        changing = self._changing.get(uid)
        if changing is not None:
            await self._require_decided(changing)
            if self._changing.get(uid) == changing:
                del self._changing[uid]
        return self._views.topology.indexes.get(uid)

    async def change_index(self, uid: IndexUid, request: Request) -> tuple[IndexRecord | None, AnswerRecord | None]:
        """Ask for a change, wait for the answer, and return the index as it then is, with the answer.

        Raises:
            InvalidRequestError: the controller has not answered in time.
            LogUnavailableError: no broker answers.
        """
        offset = await self.append_request(request)
        await self._require_decided(offset)
        return self._views.topology.indexes.get(uid), self._views.topology.answer(offset)

    async def append_documents(self, index: IndexRecord, records: Sequence[Keyed]) -> Produced:
        """Append documents and deletions in order, each to its key's partition.

        Raises:
            LogUnavailableError: some may be in the log: the client posts again, which changes nothing more.
            RecordTooLargeError: one is larger than the broker takes.
        """
        appends = [
            Append(index.topic, partition_of(each.key, index.shards, index.partitioner), each.key, each.value)
            for each in records
        ]
        offsets = await self._writer.append(appends) if appends else ()
        return produced_at([(append.partition, offset) for append, offset in zip(appends, offsets, strict=True)])

    async def append_task(self, task: TaskRecord) -> TaskUid:
        """Append a client's task and return its uid.

        Raises:
            LogUnavailableError: no broker answers.
        """
        (offset,) = await self._writer.append([Append(TASKS, Partition(0), None, build_task(task))])
        return TaskUid(offset)

    async def _require_decided(self, request: Offset) -> None:
        """Wait until everything up to the request is decided, and what was decided is folded in."""

        def decided() -> bool | None:
            return True if self._views.topology.requests_cursor > request else None

        if await self._views.wait_for(decided, timeout_s=ANSWER_WAIT_S) is None:
            message = f"request {request} has not been answered within {ANSWER_WAIT_S:.0f} s: is a worker running?"
            raise InvalidRequestError("miroir_unavailable", message)


def produced_at(places: Sequence[tuple[Partition, Offset]]) -> Produced:
    """Return where documents went that lie at these places; each partition's in order."""
    found: dict[Partition, list[tuple[Position, Position]]] = {}
    for partition, offset in places:
        pieces, start = found.setdefault(partition, []), Position(offset)
        if pieces and pieces[-1][1] == start:
            start, _ = pieces.pop()
        pieces.append((start, Position(offset + 1)))
    return Produced(
        {partition: (pieces[0][0], pieces[-1][1]) for partition, pieces in found.items()},
        {partition: tuple(pieces) for partition, pieces in found.items() if len(pieces) > 1},
        [offset for _, offset in places],
    )


def task_now(kind: str, index: IndexUid | None, **fields: object) -> TaskRecord:
    """Return a task that is enqueued now."""
    return TaskRecord(type=kind, index=index, enqueued_ms=now_ms(), **{"incarnation": None, **fields})  # type: ignore[arg-type]  # the dataclass names the fields
