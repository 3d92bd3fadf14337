"""The task queue and the API keys on disk.

What always holds: a task is on the disk, payload included, before ``accept`` returns; its uid is larger than that of
any task before it, pruned ones included. Only the front process writes here; the indexer reads payloads.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from miroir.node.protocol.batching import Waiting
from miroir.node.protocol.keys import Key
from miroir.node.protocol.task_filters import TaskFilters, TaskPage
from miroir.node.protocol.tasks import Outcome, Task, Work
from miroir.node.sqlite.connection import open_reader, open_writer, transaction

WAITING_MAX = 5_000
"""Enqueued tasks looked at for one batch; more than a batch can take."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
  uid INTEGER PRIMARY KEY, batch_uid INTEGER, index_uid TEXT, status TEXT NOT NULL, type TEXT NOT NULL,
  kind TEXT NOT NULL, options BLOB NOT NULL, details BLOB NOT NULL, error BLOB, canceled_by INTEGER,
  enqueued_ns INTEGER NOT NULL, started_ns INTEGER, finished_ns INTEGER, metadata TEXT, payload_bytes INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS tasks_status ON tasks (status, uid);
CREATE INDEX IF NOT EXISTS tasks_index ON tasks (index_uid, uid);
CREATE INDEX IF NOT EXISTS tasks_batch ON tasks (batch_uid, uid);
CREATE TABLE IF NOT EXISTS payloads (uid INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (uid TEXT PRIMARY KEY, created_ns INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

_COLUMNS = (
    "uid, index_uid, type, status, enqueued_ns, kind, options, details, batch_uid, error, canceled_by, started_ns,"
    " finished_ns, metadata"
)
_DATE_COLUMNS = {
    "EnqueuedAt": "enqueued_ns",
    "StartedAt": "started_ns",
    "FinishedAt": "finished_ns",
}

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to accept; ``payload`` is what the indexer will read again."""

    index_uid: str | None
    type: str
    work: Work
    details: dict[str, Any]
    enqueued_ns: int
    metadata: str | None = None
    payload: bytes | None = None


class QueueStore:
    """The queue's file; use from one thread."""

    def __init__(self, path: str) -> None:
        self._db = open_writer(path)
        self._db.executescript(_SCHEMA)
        self._next_uid = self._counter("next_uid")
        self._next_batch = self._counter("next_batch")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def accept(self, tasks: Sequence[NewTask]) -> list[Task]:
        """Put tasks at the end of the queue in one commit and return them with their uids."""
        accepted = [_as_task(new, self._next_uid + place) for place, new in enumerate(tasks)]
        with transaction(self._db):
            for new, task in zip(tasks, accepted, strict=True):
                self._insert(task, len(new.payload or b""))
                if new.payload is not None:
                    self._db.execute("INSERT INTO payloads VALUES (?, ?)", (task.uid, new.payload))
            self._set_counter("next_uid", self._next_uid + len(tasks))
        self._next_uid += len(tasks)
        return accepted

    def waiting(self) -> list[Waiting]:
        """Return the oldest enqueued tasks, by uid rising."""
        rows = self._db.execute(
            "SELECT uid, index_uid, kind, options, payload_bytes FROM tasks WHERE status = 'enqueued'"
            " AND kind NOT IN ('cancel', 'prune') ORDER BY uid LIMIT ?",
            (WAITING_MAX,),
        )
        found = []
        for uid, index_uid, kind, options, size in rows:
            parsed = orjson.loads(options)
            found.append(Waiting(uid, index_uid, kind, bool(parsed.get("creates")), parsed.get("primary_key"), size))
        return found

    def unfinished_own(self) -> list[Task]:
        """Return cancelations and deletions of tasks that a crash has interrupted, oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM tasks WHERE status = 'enqueued' AND kind IN ('cancel', 'prune') ORDER BY uid"  # noqa: S608 - constant
        )
        return [_read_task(row) for row in rows]

    def start(self, uids: Sequence[int], now_ns: int) -> tuple[int, list[Task]]:
        """Mark those of some tasks that still wait as processing; return their batch's uid and these tasks."""
        batch_uid = self._next_batch
        marks = ",".join("?" * len(uids))
        with transaction(self._db):
            self._db.execute(
                "UPDATE tasks SET status = 'processing', started_ns = ?, batch_uid = ?"  # noqa: S608 - only marks
                f" WHERE status = 'enqueued' AND uid IN ({marks})",
                (now_ns, batch_uid, *uids),
            )
            self._set_counter("next_batch", batch_uid + 1)
        self._next_batch += 1
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM tasks WHERE batch_uid = ? ORDER BY uid", (batch_uid,))  # noqa: S608 - constant
        return batch_uid, [_read_task(row) for row in rows]

    def finish(self, batch_uid: int, outcomes: Iterable[Outcome], *, started_ns: int, finished_ns: int) -> None:
        """Record how the tasks of a batch ended and drop their payloads; repeating it changes nothing."""
        with transaction(self._db):
            for outcome in outcomes:
                row = self._db.execute("SELECT details, status FROM tasks WHERE uid = ?", (outcome.uid,)).fetchone()
                if row is None or row[1] not in {"processing", "enqueued"}:
                    continue
                details = orjson.dumps({**orjson.loads(row[0]), **outcome.details})
                error = None if outcome.error is None else orjson.dumps(outcome.error)
                self._db.execute(
                    "UPDATE tasks SET status = ?, details = ?, error = ?, batch_uid = ?, started_ns = ?,"
                    " finished_ns = ? WHERE uid = ?",
                    (
                        "failed" if outcome.error else "succeeded",
                        details,
                        error,
                        batch_uid,
                        started_ns,
                        finished_ns,
                        outcome.uid,
                    ),
                )
                self._db.execute("DELETE FROM payloads WHERE uid = ?", (outcome.uid,))
            if batch_uid >= self._next_batch:
                self._set_counter("next_batch", batch_uid + 1)
                self._next_batch = batch_uid + 1

    def requeue(self) -> None:
        """Put tasks that were processing back: the indexer that had them is gone."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE tasks SET status = 'enqueued', started_ns = NULL, batch_uid = NULL WHERE status = 'processing'"
            )

    def get(self, uid: int) -> Task | None:
        """Return one task."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM tasks WHERE uid = ?", (uid,)).fetchone()  # noqa: S608 - constant
        return None if row is None else _read_task(row)

    def page(self, page: TaskPage) -> tuple[list[Task], int, int | None]:
        """Return the tasks of a page, how many match in all, and the uid the next page starts at."""
        where, values = _where(page.filters)
        total = self._db.execute(f"SELECT count(*) FROM tasks WHERE {where}", values).fetchone()[0]  # noqa: S608 - built here
        order, bound = ("ASC", ">=") if page.reverse else ("DESC", "<=")
        if page.start is not None:
            where, values = f"{where} AND uid {bound} ?", (*values, page.start)
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM tasks WHERE {where} ORDER BY uid {order} LIMIT ?",  # noqa: S608 - built here
            (*values, page.limit + 1),
        ).fetchall()
        tasks = [_read_task(row) for row in rows]
        following = tasks[page.limit].uid if len(tasks) > page.limit else None
        return tasks[: page.limit], total, following

    def batches(self, page: TaskPage) -> tuple[dict[int, list[Task]], int, int | None]:
        """Return the batches of a page with all their tasks, how many batches match, and where the next page starts.

        A batch matches where one of its tasks does; ``page.start`` is a batch's uid.
        """
        where, values = _where(page.filters)
        where += " AND batch_uid IS NOT NULL"
        count = f"SELECT count(DISTINCT batch_uid) FROM tasks WHERE {where}"  # noqa: S608 - built here
        total = self._db.execute(count, values).fetchone()[0]
        order, bound = ("ASC", ">=") if page.reverse else ("DESC", "<=")
        if page.start is not None:
            where, values = f"{where} AND batch_uid {bound} ?", (*values, page.start)
        rows = self._db.execute(
            f"SELECT DISTINCT batch_uid FROM tasks WHERE {where} ORDER BY batch_uid {order} LIMIT ?",  # noqa: S608 - built here
            (*values, page.limit + 1),
        ).fetchall()
        members = f"SELECT {_COLUMNS} FROM tasks WHERE batch_uid = ? ORDER BY uid"  # noqa: S608 - constant
        found = {uid: [_read_task(row) for row in self._db.execute(members, (uid,))] for (uid,) in rows[: page.limit]}
        return found, total, rows[page.limit][0] if len(rows) > page.limit else None

    def cancel(self, task: Task, filters: TaskFilters, now_ns: int) -> None:
        """Run a cancelation: enqueued tasks that match become canceled."""
        where, values = _where(filters)
        with transaction(self._db):
            matched = self._db.execute(
                f"SELECT count(*) FROM tasks WHERE {where} AND uid != ?",  # noqa: S608 - built here
                (*values, task.uid),
            ).fetchone()[0]
            uids = [
                row[0]
                for row in self._db.execute(
                    f"SELECT uid FROM tasks WHERE {where} AND status = 'enqueued' AND uid != ?",  # noqa: S608 - built here
                    (*values, task.uid),
                )
            ]
            for uid in uids:
                self._db.execute(
                    "UPDATE tasks SET status = 'canceled', canceled_by = ?, started_ns = ?, finished_ns = ?"
                    " WHERE uid = ?",
                    (task.uid, now_ns, now_ns, uid),
                )
                self._db.execute("DELETE FROM payloads WHERE uid = ?", (uid,))
            self._end_own(task, {"matchedTasks": matched, "canceledTasks": len(uids)}, now_ns)

    def prune(self, task: Task, filters: TaskFilters, now_ns: int) -> None:
        """Run a deletion of tasks: finished tasks that match are forgotten."""
        where, values = _where(filters)
        finished = "status IN ('succeeded', 'failed', 'canceled')"
        with transaction(self._db):
            matched = self._db.execute(
                f"SELECT count(*) FROM tasks WHERE {where} AND uid != ?",  # noqa: S608 - built here
                (*values, task.uid),
            ).fetchone()[0]
            deleted = self._db.execute(
                f"DELETE FROM tasks WHERE {where} AND {finished} AND uid != ?",  # noqa: S608 - built here
                (*values, task.uid),
            ).rowcount
            self._end_own(task, {"matchedTasks": matched, "deletedTasks": deleted}, now_ns)

    def keys(self) -> list[Key]:
        """Return all API keys, newest first."""
        rows = self._db.execute("SELECT body FROM keys ORDER BY created_ns DESC, uid")
        return [_read_key(json.loads(row[0])) for row in rows]

    def put_key(self, key: Key) -> None:
        """Keep a key."""
        with transaction(self._db):
            # Not by orjson: a key may expire after 2554, which is more than 64 bits of nanoseconds.
            body = json.dumps(asdict(key)).encode()
            self._db.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", (key.uid, key.created_ns, body))

    def drop_key(self, uid: str) -> None:
        """Forget a key."""
        with transaction(self._db):
            self._db.execute("DELETE FROM keys WHERE uid = ?", (uid,))

    def _end_own(self, task: Task, details: Mapping[str, Any], now_ns: int) -> None:
        batch_uid = self._next_batch
        self._db.execute(
            "UPDATE tasks SET status = 'succeeded', details = ?, batch_uid = ?, started_ns = ?, finished_ns = ?"
            " WHERE uid = ?",
            (orjson.dumps({**task.details, **details}), batch_uid, now_ns, now_ns, task.uid),
        )
        self._set_counter("next_batch", batch_uid + 1)
        self._next_batch += 1

    def _insert(self, task: Task, payload_bytes: int) -> None:
        self._db.execute(
            "INSERT INTO tasks (uid, index_uid, status, type, kind, options, details, enqueued_ns, metadata,"
            " payload_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task.uid,
                task.index_uid,
                task.status,
                task.type,
                task.work.kind,
                orjson.dumps(task.work.options),
                orjson.dumps(task.details),
                task.enqueued_ns,
                task.metadata,
                payload_bytes,
            ),
        )

    def _counter(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def _set_counter(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (name, value))


class PayloadReader:
    """The indexer's view of the queue's file."""

    def __init__(self, path: str) -> None:
        self._db: sqlite3.Connection = open_reader(path)

    def read(self, uid: int) -> bytes:
        """Return a task's payload, empty where it has none."""
        row = self._db.execute("SELECT body FROM payloads WHERE uid = ?", (uid,)).fetchone()
        return b"" if row is None else bytes(row[0])


def _as_task(new: NewTask, uid: int) -> Task:
    return Task(
        uid=uid,
        index_uid=new.index_uid,
        type=new.type,
        status="enqueued",
        enqueued_ns=new.enqueued_ns,
        work=new.work,
        details=new.details,
        metadata=new.metadata,
    )


def _read_task(row: Sequence[Any]) -> Task:
    task = Task(
        uid=row[0],
        index_uid=row[1],
        type=row[2],
        status=row[3],
        enqueued_ns=row[4],
        work=Work(row[5], orjson.loads(row[6])),
        details=orjson.loads(row[7]),
        batch_uid=row[8],
        error=None if row[9] is None else orjson.loads(row[9]),
    )
    return replace(task, canceled_by=row[10], started_ns=row[11], finished_ns=row[12], metadata=row[13])


def _read_key(body: Mapping[str, Any]) -> Key:
    return Key(**{**body, "actions": tuple(body["actions"]), "indexes": tuple(body["indexes"])})


def _where(filters: TaskFilters) -> tuple[str, tuple[Any, ...]]:
    parts = ["1"]
    values: list[Any] = []
    columns: tuple[tuple[str, Sequence[Any] | None], ...] = (
        ("uid", filters.uids),
        ("batch_uid", filters.batch_uids),
        ("index_uid", filters.index_uids),
        ("status", filters.statuses),
        ("type", filters.types),
        ("canceled_by", filters.canceled_by),
    )
    for column, allowed in columns:
        if allowed is not None:
            parts.append(f"{column} IN ({','.join('?' * len(allowed))})")
            values.extend(allowed)
    if filters.allowed is not None:
        # A name has no sign that a pattern knows, so that it means itself.
        parts.append(f"({' OR '.join('index_uid GLOB ?' for _ in filters.allowed) or '0'})")
        values.extend(filters.allowed)
    for name, bound_ns in filters.dates:
        before = name.startswith("before")
        column = _DATE_COLUMNS[name.removeprefix("before").removeprefix("after")]
        parts.append(f"{column} {'<' if before else '>'} ?")
        # A column holds 64 bits, until 2262: no task is older or newer than its ends.
        values.append(max(_INTEGER_MIN, min(bound_ns, _INTEGER_MAX)))
    return " AND ".join(parts), tuple(values)
