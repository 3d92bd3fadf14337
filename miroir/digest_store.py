"""The digests of one shard, of the log and of one replica, in a file: memory does not grow with the shard.

The file is SQLite's, in the directory for temporary files. It has no name from its first moment on, so that nothing of
it is left whatever becomes of the process. What always holds: of each id the last write counts, and what was handed in
comes back in blocks of ids in their order, each id once. No call handles more rows than it is given, or than a block
has. Who calls it: ``verify``. It must not know: what digests are of, or when two of them are equal.
"""

import os
import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from schemas.errors import MiroirError

CACHE_KIB = 16_384
"""Pages kept in memory. Four times as much saves a tenth of the time, and a fourth costs as much."""

BLOCK_IDS = 2_000
"""Of each table in one block: some 5 ms of work."""

_SCHEMA = """
CREATE TABLE truth (id TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE found (id TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE changed (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Block(NamedTuple):
    """All that is known of ids that follow each other: id → digest by the log and by the replica, and those changed."""

    truth: Mapping[str, bytes]
    found: Mapping[str, bytes]
    changed: Collection[str]


class DigestStore:
    """One shard's digests. Enter it, hand in what there is, ask for blocks.

    Args:
        block_ids: of each table in one block.

    Raises:
        MiroirError: the file cannot be made; of every call: it cannot be written or read.
    """

    def __init__(self, *, block_ids: int = BLOCK_IDS) -> None:
        self._block_ids = block_ids
        with _translated():
            file, path = tempfile.mkstemp(prefix="miroir-digests-")
            os.close(file)
            try:
                self._db = sqlite3.connect(path, isolation_level=None)
                self._prepare()
            finally:
                Path(path).unlink()

    def _prepare(self) -> None:
        # Nothing outlives the process: no journal, no waiting for the disk, one transaction that never ends.
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA mmap_size=0")
        self._db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        """It is open since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the file's room back."""
        self._db.close()

    def write_truth(self, digests: Mapping[str, bytes | None]) -> None:
        """Bring what the log says up to date: the digest replaces the id's; None deletes it."""
        gone = [(key,) for key, digest in digests.items() if digest is None]
        with _translated():
            self._db.executemany("DELETE FROM truth WHERE id = ?", gone)
            self._insert("truth", {key: digest for key, digest in digests.items() if digest is not None})

    def forget_found(self) -> None:
        """Begin with a replica, or with the same one again: what was found before is gone."""
        with _translated():
            self._db.execute("DELETE FROM found")

    def add_found(self, digests: Mapping[str, bytes]) -> None:
        """Take in what a replica holds; of an id that comes twice the last one counts."""
        with _translated():
            self._insert("found", digests)

    def add_changed(self, ids: Collection[str]) -> None:
        """Take in ids of which nothing is to be said."""
        with _translated():
            self._db.executemany("INSERT OR IGNORE INTO changed VALUES (?)", ((key,) for key in sorted(ids)))

    def blocks(self) -> Iterator[Block]:
        """Yield all that is there, by id; nothing may be handed in before the last one."""
        after: str | None = None
        while True:
            with _translated():
                truth, found = self._rows("truth", after), self._rows("found", after)
                changed = [key for (key,) in self._select("SELECT id FROM changed", after)]
            # Up to here every table is read whole: one that gave as many rows as were asked for may have more.
            ends = [ids[-1] for ids in ([*truth], [*found], changed) if len(ids) == self._block_ids]
            end = min(ends, default=None)
            yield Block(
                _up_to(truth, end), _up_to(found, end), {each for each in changed if end is None or each <= end}
            )
            if end is None:
                return
            after = end

    def _insert(self, table: str, digests: Mapping[str, bytes]) -> None:
        # In their order: ids that are near each other stand on one page.
        self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", sorted(digests.items()))  # noqa: S608 - own names

    def _rows(self, table: str, after: str | None) -> dict[str, bytes]:
        return dict(self._select(f"SELECT id, digest FROM {table}", after))  # noqa: S608 - own names

    def _select(self, what: str, after: str | None) -> list[Any]:  # rows
        # A document without an id, which only somebody else can have put there, has the empty one.
        where = "id >= ''" if after is None else "id > ?"
        values = (self._block_ids,) if after is None else (after, self._block_ids)
        return self._db.execute(f"{what} WHERE {where} ORDER BY id LIMIT ?", values).fetchall()


def _up_to(digests: Mapping[str, bytes], end: str | None) -> Mapping[str, bytes]:
    return digests if end is None else {key: digest for key, digest in digests.items() if key <= end}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise MiroirError(f"a temporary file in {tempfile.gettempdir()}: {error}") from error
