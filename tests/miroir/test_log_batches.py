"""Appends gathered into batches."""

from collections.abc import Sequence

from miroir.log_batches import AppendBatches
from miroir.produce import BATCH_BYTES, BATCH_RECORDS
from schemas.ids import Offset, Partition
from streams.log import Append


class CountingWriter:
    """A log writer that keeps what it is given, call by call."""

    def __init__(self) -> None:
        self.calls: list[list[Append]] = []

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Keep them."""
        self.calls.append(list(appends))
        return [Offset(0)] * len(appends)

    async def close(self) -> None:
        """Nothing is held."""


async def test_batches_are_bounded_in_records_and_bytes_and_keep_their_order() -> None:
    """Nothing is sent before a batch is full, or before the flush; everything is sent once."""
    writer = CountingWriter()
    batches = AppendBatches(writer)
    for number in range(BATCH_RECORDS + 1):
        await batches.add("t", Partition(0), b"%d" % number, b"{}")
    assert [len(call) for call in writer.calls] == [BATCH_RECORDS]

    await batches.add("t", Partition(1), b"large", b"x" * BATCH_BYTES)
    await batches.flush()
    await batches.flush()

    assert [len(call) for call in writer.calls] == [BATCH_RECORDS, 2]
    keys = [append.key for call in writer.calls for append in call]
    assert keys == [*(b"%d" % number for number in range(BATCH_RECORDS + 1)), b"large"]
    assert batches.records == BATCH_RECORDS + 2
