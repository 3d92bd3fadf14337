"""Opening the node's database files.

What always holds: write-ahead logging, so that readers never wait for the writer; a commit is on the disk when it
returns. Who calls it: the stores of this package.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

BUSY_TIMEOUT_S = 30.0
"""One writer a file: only a checkpoint or a schema read can hold a lock, and never for long."""

_CACHE_KIB = 65_536
"""Pages kept by the writer of an index: bulk loads come back to the same inner pages."""


def open_writer(path: str) -> sqlite3.Connection:
    """Open a database for its one writer, creating it where it is missing."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute("PRAGMA journal_size_limit=67108864")
    return connection


def open_reader(path: str) -> sqlite3.Connection:
    """Open a database that another connection writes."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA mmap_size=1073741824")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or none of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
