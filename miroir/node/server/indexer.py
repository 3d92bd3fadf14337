"""The indexer process: runs batches one after the other, told by the front over a pipe.

What always holds: a batch's effects and its outcome are committed together, so that a front that dies before it has
noted the outcome finds it here; the process dies with the front, at once. Lines on both pipes are JSON objects: in
``{"batch", "started_ns", "tasks"}``, out first ``{"last_batch"}`` and then ``{"batch", "finished_ns", "outcomes"}``.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import orjson

from miroir.node.engine.reader import IndexReader
from miroir.node.indexing.batch import BatchTask, run_batch
from miroir.node.indexing.ports import IndexRecord
from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.tasks import Outcome
from miroir.node.sqlite.index_reader import SqliteIndexReader
from miroir.node.sqlite.index_store import IndexStore
from miroir.node.sqlite.queue_store import PayloadReader

_log = logging.getLogger(__name__)

QUEUE_FILE = "queue.sqlite"
INDEX_FILE = "indexes.sqlite"


class BatchStore(IndexStore):
    """The store with what a batch needs besides."""

    def reader(self, record: IndexRecord) -> IndexReader:
        """Return a reader that sees what was written so far."""
        return SqliteIndexReader(self.db, record)

    @contextmanager
    def undoable(self) -> Iterator[None]:
        """Undo the block if it raises."""
        self.db.execute("SAVEPOINT batch")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK TO batch")
            self.db.execute("RELEASE batch")
            raise
        self.db.execute("RELEASE batch")


NICENESS = 5
"""Where processors are short, searches of the front get three times as much of them as a bulk load."""


def main(directory: str) -> None:
    """Serve the front until its pipe ends."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    store = BatchStore(str(Path(directory) / INDEX_FILE))
    payloads = PayloadReader(str(Path(directory) / QUEUE_FILE))
    _answer({"last_batch": store.last_batch()})
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    while True:
        order = orjson.loads(lines.get())
        _answer(_run(order, store, payloads))


def _listen(lines: "SimpleQueue[bytes]") -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    # The front has gone: what is not committed must not be, for its successor will send the batch again.
    os._exit(0)


def _run(order: dict[str, Any], store: BatchStore, payloads: PayloadReader) -> dict[str, Any]:
    tasks = [BatchTask(**task) for task in order["tasks"]]
    try:
        with store.transaction():
            return _commit(order, run_batch(tasks, store, payloads.read, time.time_ns()), store)
    except Exception:  # noqa: BLE001 - the top of the process: a batch that breaks the code must not block the queue
        _log.exception("batch failed", extra={"batch": order["batch"]})
        error = ApiError("internal", "An internal error has occurred.").to_wire()
        with store.transaction():
            return _commit(order, [Outcome(task.uid, error) for task in tasks], store)


def _commit(order: dict[str, Any], outcomes: list[Outcome], store: BatchStore) -> dict[str, Any]:
    result = {
        "batch": order["batch"],
        "started_ns": order["started_ns"],
        "finished_ns": time.time_ns(),
        "outcomes": outcomes,
    }
    store.commit_batch(result)
    return result


def _answer(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
