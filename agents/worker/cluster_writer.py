"""The cluster topic in the hands of its one writer: fence, fold to the end, write, read back.

What always holds: whoever holds the turn sees a topology that no record of ours is missing from; what is written is
folded by reading it back, never by assuming it. Who calls it: the controller's shell. It must not know: what is
decided.
"""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from schemas.errors import FencedError, LogUnavailableError
from schemas.ids import Partition
from streams.log import Append, LogBatch, LogReader, LogTransactions, TopicPartition
from streams.topics import CLUSTER
from streams.topology import Topology, fold_cluster

READ_S = 0.2
"""How long one read waits for records that are known to be there; the broker answers at once."""

READ_RECORDS_MAX = 10_000
"""A cluster of thousands of replicas is folded in a few reads."""

SILENCE_S = 20.0
"""How long a broker may bring nothing although the end is not reached, before it counts as away."""

CLUSTER_PARTITION = TopicPartition(CLUSTER, Partition(0))


class ClusterWriter:
    """The topology, and the turn to change it: ``async with writer: ... await writer.commit(...)``.

    Args:
        reader: nobody else's.
        transactions: of the controller's name.

    Attributes:
        topology: as last folded; replaced, never changed.
    """

    def __init__(self, reader: LogReader, transactions: LogTransactions) -> None:
        self.topology = Topology()
        self._reader = reader
        self._transactions = transactions
        self._turn = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every change of the topology, for as long as this writer lives."""
        self._listeners.append(listener)

    async def lead(self) -> None:
        """Shut out every earlier writer, then fold the topic from its beginning to the end it has from then on.

        Raises:
            LogUnavailableError: no broker answers.
            InvalidInputError: a record is not of its form: a newer writer was here.
        """
        await self._transactions.fence()
        bounds = (await self._reader.bounds([CLUSTER_PARTITION]))[CLUSTER_PARTITION]
        await self._reader.assign({CLUSTER_PARTITION: bounds.beginning})
        self.topology = Topology()
        while self.topology.epoch < bounds.end:
            self.topology = fold_cluster(self.topology, await self._read())
        self._tell()

    async def __aenter__(self) -> Self:
        await self._turn.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turn.release()

    async def commit(self, appends: Sequence[Append]) -> None:
        """Write all and fold what was written; only while holding the turn. Nothing to write is no error.

        Cancelling it leaves unknown whether the records were written: lead again.

        Raises:
            FencedError: another writer has taken over.
            LogUnavailableError: unknown whether it was written: lead again.
        """
        assert self._turn.locked(), "only who holds the turn writes"
        if not appends:
            return
        await self._transactions.commit(appends)
        # A broker answers a commit before its marker stands in the partition: the end asked now may still be the old
        # one, and a decision made upon it blind to what was just written. So the last record itself is waited for.
        last = (appends[-1].key, appends[-1].value)
        seen = False
        while not seen:
            batches = await self._read()
            self.topology = fold_cluster(self.topology, batches)
            seen = any((record.key, record.value) == last for batch in batches for record in batch.records)
        self._tell()

    async def require_lead(self) -> None:
        """Return where nobody else has written; only while holding the turn, before acting on anything but the log.

        The fence stops a former writer only where it writes: one that was frozen, and does not know that another leads
        by now, would act on nodes and topics as its old fold says. One small question to the broker. What is written
        after it is not seen, so act at once.

        Raises:
            FencedError: another writer has written since.
            LogUnavailableError: no broker answers.
        """
        assert self._turn.locked(), "a commit of ours under way would be taken for another writer's"
        end = (await self._reader.bounds([CLUSTER_PARTITION]))[CLUSTER_PARTITION].end
        while self.topology.epoch < end:
            batches = await self._read()
            # Whatever we wrote was folded before the turn was given back: at most its marker is left.
            if any(batch.records for batch in batches):
                raise FencedError(
                    f"{CLUSTER}: another writer has written at position {self.topology.epoch} or after it"
                )
            self.topology = fold_cluster(self.topology, batches)

    async def _read(self) -> Sequence[LogBatch]:
        """Return the next batches; there are some, since something is known to come."""
        try:
            async with asyncio.timeout(SILENCE_S):
                while not (batches := await self._reader.read(timeout_s=READ_S, records_max=READ_RECORDS_MAX)):
                    pass
        except TimeoutError:
            msg = f"{CLUSTER}: nothing came for {SILENCE_S:g} s at position {self.topology.epoch}"
            raise LogUnavailableError(msg) from None
        return batches

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
