"""The front of a node: the queue, the indexer it feeds, the readers it searches with.

What always holds: a task is on the disk before its uid is told; one batch runs at a time; only this process writes the
queue's file and only the indexer writes the indexes'. Blocking work runs in two threads, one for the queue and one for
searching, so that accepting a task waits for neither.
"""

import asyncio
import logging
import sys
import time
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import orjson

from miroir.node.protocol.batching import decide_batch
from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.keys import Key, Permit, authorise, default_keys, derive_value
from miroir.node.protocol.task_filters import TaskFilters, parse_selection
from miroir.node.protocol.tasks import Outcome, Task
from miroir.node.server.indexer import INDEX_FILE, QUEUE_FILE
from miroir.node.sqlite.index_reader import CatalogReader
from miroir.node.sqlite.queue_store import NewTask, QueueStore

T = TypeVar("T")

ACCEPT_MAX = 256
"""Tasks that share one commit: many small posts at once cost one fsync."""

WAITING_SEARCHES_MAX = 1_000
"""Searches that may wait for the search thread; a real node queues as many and then answers 503."""

WAITING_TASKS_MAX = 1_000
"""Posts whose bodies wait to be written; more wait with theirs unread by the queue."""

LINE_BYTES_MAX = 256 * 1024 * 1024
"""Longest line of the indexer: a full batch of tasks whose errors are as long as they may be, at six bytes a character,
stays below."""

RESTARTS_MAX = 5
"""An indexer that dies this often without finishing a batch will not do better the next time."""

_log = logging.getLogger(__name__)


class Node:
    """One node; ``run`` serves its queue until cancelled."""

    def __init__(self, directory: Path, master_key: str | None) -> None:
        self._directory = directory
        self._master_key = master_key
        self._queue_thread = ThreadPoolExecutor(1, thread_name_prefix="queue")
        self._parse_thread = ThreadPoolExecutor(1, thread_name_prefix="parse")
        self._search_thread = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._queue = QueueStore(str(directory / QUEUE_FILE))
        self._queue.requeue()
        for task in self._queue.unfinished_own():
            filters = parse_selection(task.work.options["query"], task.work.kind)
            self._run_own(task, filters.narrowed(tuple(task.work.options["indexes"])))
        self._catalog: CatalogReader | None = None
        self._keys: dict[str, Key] = {}
        self._searches = 0
        self._batches_done = 0
        self._room = asyncio.Semaphore(WAITING_TASKS_MAX)
        self._pending: list[tuple[NewTask, asyncio.Future[Task]]] = []
        self._accepting = asyncio.Event()
        self._work = asyncio.Event()
        self.processing: frozenset[int] = frozenset()
        self.processing_index: str | None = None
        self._load_keys()

    def _load_keys(self) -> None:
        keys = self._queue.keys()
        if not keys and self._master_key is not None:
            for key in default_keys([str(uuid.uuid4()) for _ in range(4)], time.time_ns()):
                self._queue.put_key(key)
            keys = self._queue.keys()
        if self._master_key is not None:
            self._keys = {derive_value(self._master_key, key.uid): key for key in keys}

    def close(self) -> None:
        """Close threads and files."""
        self._search_thread.shutdown()
        self._parse_thread.shutdown()
        self._queue_thread.shutdown()
        self._queue.close()
        if self._catalog is not None:
            self._catalog.close()

    # Authorisation and keys.

    def authorise(self, header: str | None, action: str, index_uid: str | None = None) -> Permit:
        """Return what the bearer of a request may touch."""
        now_ns = time.time_ns()
        return authorise(
            header, action, master_key=self._master_key, keys=self._keys, now_ns=now_ns, index_uid=index_uid
        )

    def list_keys(self) -> list[tuple[Key, str]]:
        """Return all keys with their values, newest first."""
        found = [(key, value) for value, key in self._keys.items()]
        return sorted(found, key=lambda pair: -pair[0].created_ns)

    async def put_key(self, key: Key) -> str:
        """Keep a key and return its value."""
        assert self._master_key is not None
        value = derive_value(self._master_key, key.uid)
        await self.in_queue(lambda: self._queue.put_key(key))
        self._keys[value] = key
        return value

    async def drop_key(self, value: str) -> None:
        """Forget a key, at once and for good."""
        key = self._keys.pop(value)
        await self.in_queue(lambda: self._queue.drop_key(key.uid))

    # Threads.

    async def in_queue(self, job: Callable[[], T]) -> T:
        """Run a job on the queue's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._queue_thread, job)

    async def in_parser(self, job: Callable[[], T]) -> T:
        """Run a job that takes a payload apart on a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._parse_thread, job)

    async def in_search(self, job: Callable[[CatalogReader], T]) -> T:
        """Run a job on the search thread, all of it on one commit of the indexes.

        Raises:
            ApiError: too many wait already.
        """
        if self._searches >= WAITING_SEARCHES_MAX:
            text = f"Too many search requests running at the same time: {WAITING_SEARCHES_MAX}. Retry after 10s."
            raise ApiError("too_many_search_requests", text)
        self._searches += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._search_thread, self._read, job)
        finally:
            self._searches -= 1

    def _read(self, job: Callable[[CatalogReader], T]) -> T:
        catalog = self._catalog
        assert catalog is not None, "run() opens the catalog before the node is served"
        with catalog.snapshot():
            return job(catalog)

    @property
    def queue(self) -> QueueStore:
        """The queue's store; use it on the queue's thread."""
        return self._queue

    def sizes_bytes(self) -> tuple[int, int]:
        """Return the size of all files and the part in use, as far as anyone can tell."""
        total = sum(path.stat().st_size for path in self._directory.iterdir() if path.is_file())
        return total, total

    # The queue.

    async def accept(self, task: NewTask) -> Task:
        """Return the accepted task once it is on the disk. A cancelled caller's task may still be accepted."""
        async with self._room:
            future: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
            self._pending.append((task, future))
            self._accepting.set()
            return await asyncio.shield(future)

    async def cancel_tasks(self, task: NewTask, filters: TaskFilters) -> Task:
        """Accept and run a cancelation."""
        accepted = await self.accept(task)
        await self.in_queue(lambda: self._run_own(accepted, filters))
        return accepted

    async def prune_tasks(self, task: NewTask, filters: TaskFilters) -> Task:
        """Accept and run a deletion of tasks."""
        accepted = await self.accept(task)
        await self.in_queue(lambda: self._run_own(accepted, filters))
        return accepted

    def _run_own(self, task: Task, filters: TaskFilters) -> None:
        run = self._queue.cancel if task.work.kind == "cancel" else self._queue.prune
        run(task, filters, time.time_ns())

    async def run(self, started: asyncio.Event) -> None:
        """Serve the queue; sets ``started`` when the node can answer."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._accept_forever())
            group.create_task(self._index_forever(started))

    async def _accept_forever(self) -> None:
        while True:
            await self._accepting.wait()
            self._accepting.clear()
            while self._pending:
                batch, self._pending = self._pending[:ACCEPT_MAX], self._pending[ACCEPT_MAX:]
                news = [new for new, _ in batch]
                accepted = await self.in_queue(lambda news=news: self._queue.accept(news))  # type: ignore[misc]
                for task, (_, future) in zip(accepted, batch, strict=True):
                    if not future.done():
                        future.set_result(task)
                self._work.set()

    async def _index_forever(self, started: asyncio.Event) -> None:
        failures = 0
        while True:
            done_before = self._batches_done
            indexer = await self._start_indexer()
            try:
                await self._greet(indexer)
                if self._catalog is None:
                    self._catalog = CatalogReader(str(self._directory / INDEX_FILE))
                started.set()
                await self._feed(indexer)
            except _IndexerGoneError:
                failures = failures + 1 if self._batches_done == done_before else 1
                _log.exception("indexer process ended", extra={"failures": failures})
                if failures > RESTARTS_MAX:
                    raise
                await self.in_queue(self._queue.requeue)
            finally:
                await _stop(indexer)

    async def _start_indexer(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "miroir.node.server.indexer",
            str(self._directory),
            stdin=PIPE,
            stdout=PIPE,
            limit=LINE_BYTES_MAX,
        )

    async def _greet(self, indexer: Process) -> None:
        greeting = await _read_line(indexer)
        last = greeting["last_batch"]
        if last is not None:
            # Committed by an indexer whose front died before it noted the outcome.
            await self._note(last)

    async def _feed(self, indexer: Process) -> None:
        assert indexer.stdin is not None
        while True:
            uids = decide_batch(await self.in_queue(self._queue.waiting))
            if not uids:
                await self._work.wait()
                self._work.clear()
                continue
            started_ns = time.time_ns()
            batch_uid, tasks = await self.in_queue(lambda uids=uids, now=started_ns: self._queue.start(uids, now))  # type: ignore[misc]
            if not tasks:
                # All of them were canceled since they were chosen.
                continue
            self.processing = frozenset(task.uid for task in tasks)
            self.processing_index = tasks[0].index_uid
            orders = [
                {"uid": t.uid, "index_uid": t.index_uid, "kind": t.work.kind, "options": t.work.options} for t in tasks
            ]
            order = {"batch": batch_uid, "started_ns": started_ns, "tasks": orders}
            indexer.stdin.write(orjson.dumps(order) + b"\n")
            await self._note(await _read_line(indexer))
            self._batches_done += 1
            self.processing = frozenset()
            self.processing_index = None

    async def _note(self, result: dict[str, Any]) -> None:
        outcomes = [Outcome(**outcome) for outcome in result["outcomes"]]
        await self.in_queue(
            lambda: self._queue.finish(
                result["batch"], outcomes, started_ns=result["started_ns"], finished_ns=result["finished_ns"]
            )
        )


class _IndexerGoneError(Exception):
    """The indexer's pipe ended."""


async def _read_line(indexer: Process) -> dict[str, Any]:
    assert indexer.stdout is not None
    line = await indexer.stdout.readline()
    if not line.endswith(b"\n"):
        raise _IndexerGoneError
    message: dict[str, Any] = orjson.loads(line)
    return message


async def _stop(indexer: Process) -> None:
    if indexer.returncode is None:
        assert indexer.stdin is not None
        indexer.stdin.close()
        await indexer.wait()
