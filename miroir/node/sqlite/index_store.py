"""Indexes on disk: catalog, documents, postings, facets.

What always holds: only the indexer process writes here; each index has tables of its own, named by a number that is
never used twice. A posting row holds one word's occurrences in one chunk of documents, so that a small write touches
little. Wire form of the rows: ``docs/embedded-node.md``.
"""

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from miroir.node.engine import bitmaps
from miroir.node.engine.bitmaps import CHUNK
from miroir.node.indexing.ports import IndexRecord
from miroir.node.sqlite.connection import open_writer, transaction
from schemas.meilisearch_settings import DEFAULT_SETTINGS

_SCHEMA = """
CREATE TABLE IF NOT EXISTS indexes (number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT UNIQUE NOT NULL, body BLOB);
CREATE TABLE IF NOT EXISTS last_batch (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
"""

_INDEX_SCHEMA = """
CREATE TABLE documents_{n} (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, body BLOB NOT NULL);
CREATE TABLE words_{n} (exact INTEGER NOT NULL, word TEXT NOT NULL, chunk INTEGER NOT NULL, numbers BLOB NOT NULL,
  occurrences BLOB NOT NULL, UNIQUE (exact, word, chunk));
CREATE TABLE facets_{n} (field TEXT NOT NULL, kind INTEGER NOT NULL, value NOT NULL, chunk INTEGER NOT NULL,
  numbers BLOB NOT NULL, UNIQUE (field, kind, value, chunk));
"""

_ID_BATCH = 500
"""Ids asked for in one statement."""

_CUT_ONE_BY_ONE_MAX = 64
"""Up to so many removed documents a binary search each beats a walk over all occurrences."""

_NUMBER_SHIFT = 32


class IndexStore:
    """The catalog; use from one thread."""

    def __init__(self, path: str) -> None:
        self.db = open_writer(path)
        self.db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def commit_batch(self, batch: Any) -> None:
        """Remember how the running batch ended, in the same commit as its effects."""
        self.db.execute("INSERT OR REPLACE INTO last_batch VALUES (1, ?)", (orjson.dumps(batch),))

    def last_batch(self) -> Any:
        """Return what ``commit_batch`` kept last, or None."""
        row = self.db.execute("SELECT body FROM last_batch").fetchone()
        return None if row is None else orjson.loads(row[0])

    def transaction(self) -> Any:
        """Return a context whose effects happen all or not at all."""
        return transaction(self.db)

    def find(self, uid: str) -> IndexRecord | None:
        """Return an index, or None."""
        row = self.db.execute("SELECT number, uid, body FROM indexes WHERE uid = ?", (uid,)).fetchone()
        return None if row is None else read_record(row)

    def create(self, uid: str, primary_key: str | None, now_ns: int) -> IndexRecord:
        """Bring an empty index to life."""
        number = self.db.execute("INSERT INTO indexes (uid, body) VALUES (?, NULL)", (uid,)).lastrowid
        assert number is not None
        for statement in _INDEX_SCHEMA.format(n=number).split(";"):
            self.db.execute(statement)
        record = IndexRecord(number, uid, primary_key, now_ns, now_ns, dict(DEFAULT_SETTINGS))
        self.save(record)
        return record

    def save(self, record: IndexRecord) -> None:
        """Keep a changed record; a changed uid renames the index."""
        body = {name: getattr(record, name) for name in _RECORD_FIELDS}
        self.db.execute(
            "UPDATE indexes SET uid = ?, body = ? WHERE number = ?", (record.uid, orjson.dumps(body), record.number)
        )

    def drop(self, record: IndexRecord) -> None:
        """Remove an index and all it holds."""
        self.db.execute("DELETE FROM indexes WHERE number = ?", (record.number,))
        for table in ("documents", "words", "facets"):
            self.db.execute(f"DROP TABLE {table}_{record.number}")

    def open(self, record: IndexRecord) -> "SqliteIndexFiles":
        """Return the documents and postings of an index."""
        return SqliteIndexFiles(self.db, record.number)


_RECORD_FIELDS = (
    "primary_key",
    "created_ns",
    "updated_ns",
    "settings",
    "field_numbers",
    "next_number",
    "documents",
    "distribution",
    "generation",
    "body_bytes",
)


def read_record(row: Sequence[Any]) -> IndexRecord:
    """Return the record of a row ``number, uid, body``."""
    return IndexRecord(number=row[0], uid=row[1], **orjson.loads(row[2]))


class SqliteIndexFiles:
    """One index's tables."""

    def __init__(self, db: sqlite3.Connection, number: int) -> None:
        self._db = db
        self._documents = f"documents_{number}"
        self._words = f"words_{number}"
        self._facets = f"facets_{number}"

    def numbers_of(self, document_ids: Sequence[str]) -> dict[str, int]:
        """Return the numbers of those ids that exist."""
        found: dict[str, int] = {}
        for start in range(0, len(document_ids), _ID_BATCH):
            part = document_ids[start : start + _ID_BATCH]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT id, number FROM {self._documents} WHERE id IN ({marks})", tuple(part))  # noqa: S608 - own names
            found.update(rows.fetchall())
        return found

    def body(self, number: int) -> bytes:
        """Return a document's JSON."""
        row = self._db.execute(f"SELECT body FROM {self._documents} WHERE number = ?", (number,)).fetchone()  # noqa: S608 - own names
        return bytes(row[0])

    def put_body(self, number: int, document_id: str, body: bytes) -> None:
        """Keep a document's JSON."""
        self._db.execute(f"INSERT OR REPLACE INTO {self._documents} VALUES (?, ?, ?)", (number, document_id, body))  # noqa: S608 - own names

    def drop_body(self, number: int) -> None:
        """Forget a document."""
        self._db.execute(f"DELETE FROM {self._documents} WHERE number = ?", (number,))  # noqa: S608 - own names

    def bodies(self) -> Iterator[tuple[int, str, bytes]]:
        """Yield number, id and JSON of every document, by number rising."""
        yield from self._db.execute(f"SELECT number, id, body FROM {self._documents} ORDER BY number")  # noqa: S608 - own names

    def all_numbers(self) -> int:
        """Return the set of all document numbers."""
        rows = self._db.execute(f"SELECT chunk, numbers FROM {self._facets} WHERE field = '' AND kind = 2")  # noqa: S608 - own names
        return join_chunks(rows)

    def set_all_numbers(self, numbers: int) -> None:
        """Keep the set of all document numbers."""
        self._db.execute(f"DELETE FROM {self._facets} WHERE field = '' AND kind = 2")  # noqa: S608 - own names
        mask = (1 << CHUNK) - 1
        chunk = 0
        while numbers >> (chunk * CHUNK):
            part = numbers >> (chunk * CHUNK) & mask
            if part:
                self._db.execute(
                    f"INSERT INTO {self._facets} VALUES ('', 2, 'all', ?, ?)",  # noqa: S608 - own names
                    (chunk, bitmaps.encode_chunk(part)),
                )
            chunk += 1

    def merge_words(self, added: dict[tuple[bool, str], list[int]], removed: dict[tuple[bool, str], set[int]]) -> None:
        """Take occurrences in, after those of removed numbers went."""
        select = f"SELECT rowid, numbers, occurrences FROM {self._words} WHERE exact = ? AND word = ? AND chunk = ?"  # noqa: S608 - own names
        inserts: list[tuple[Any, ...]] = []
        for key in sorted(added.keys() | removed.keys()):
            occurrences = added.get(key, [])
            gone = removed.get(key, set())
            for chunk, new, old in _by_chunk(occurrences, gone):
                row = self._db.execute(select, (key[0], key[1], chunk)).fetchone()
                if row is None:
                    if new:
                        inserts.append((key[0], key[1], chunk, *_encode_words(new, chunk)))
                    continue
                self._replace_words(row, chunk, new, old)
        self._db.executemany(f"INSERT INTO {self._words} VALUES (?, ?, ?, ?, ?)", inserts)  # noqa: S608 - own names

    def _replace_words(self, row: Sequence[Any], chunk: int, new: list[int], gone: set[int]) -> None:
        occurrences = array("Q")
        occurrences.frombytes(row[2])
        numbers = bitmaps.decode_chunk(row[1])
        occurrences = _cut(occurrences, gone)
        for number in gone:
            numbers &= ~(1 << number - chunk * CHUNK)
        if new:
            in_order = not occurrences or occurrences[-1] < new[0]
            occurrences.extend(new)
            if not in_order:
                occurrences = array("Q", sorted(occurrences))
            numbers |= bitmaps.from_numbers({(o >> _NUMBER_SHIFT) - chunk * CHUNK for o in new})
        if occurrences:
            self._db.execute(
                f"UPDATE {self._words} SET numbers = ?, occurrences = ? WHERE rowid = ?",  # noqa: S608 - own names
                (bitmaps.encode_chunk(numbers), occurrences.tobytes(), row[0]),
            )
        else:
            self._db.execute(f"DELETE FROM {self._words} WHERE rowid = ?", (row[0],))  # noqa: S608 - own names

    def merge_facets(
        self,
        added: dict[tuple[str, int, str | float], list[int]],
        removed: dict[tuple[str, int, str | float], set[int]],
    ) -> None:
        """Take document numbers in under facet keys, after removed ones went."""
        select = f"SELECT rowid, numbers FROM {self._facets} WHERE field = ? AND kind = ? AND value = ? AND chunk = ?"  # noqa: S608 - own names
        inserts: list[tuple[Any, ...]] = []
        for key in added.keys() | removed.keys():
            shifted = [number << _NUMBER_SHIFT for number in added.get(key, [])]
            for chunk, new, gone in _by_chunk(shifted, removed.get(key, set())):
                row = self._db.execute(select, (*key, chunk)).fetchone()
                own = bitmaps.decode_chunk(row[1]) if row is not None else 0
                for number in gone:
                    own &= ~(1 << number - chunk * CHUNK)
                own |= bitmaps.from_numbers([(o >> _NUMBER_SHIFT) - chunk * CHUNK for o in new])
                if row is None:
                    if own:
                        inserts.append((*key, chunk, bitmaps.encode_chunk(own)))
                elif own:
                    self._db.execute(
                        f"UPDATE {self._facets} SET numbers = ? WHERE rowid = ?",  # noqa: S608 - own names
                        (bitmaps.encode_chunk(own), row[0]),
                    )
                else:
                    self._db.execute(f"DELETE FROM {self._facets} WHERE rowid = ?", (row[0],))  # noqa: S608 - own names
        self._db.executemany(f"INSERT INTO {self._facets} VALUES (?, ?, ?, ?, ?)", inserts)  # noqa: S608 - own names

    def clear_postings(self) -> None:
        """Forget all words and facets, not the documents."""
        numbers = self.all_numbers()
        self._db.execute(f"DELETE FROM {self._words}")  # noqa: S608 - own names
        self._db.execute(f"DELETE FROM {self._facets}")  # noqa: S608 - own names
        self.set_all_numbers(numbers)

    def clear(self) -> None:
        """Forget everything."""
        for table in (self._documents, self._words, self._facets):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - own names


def join_chunks(rows: Iterable[Sequence[Any]]) -> int:
    """Return one set of rows ``chunk, numbers``."""
    listed: list[tuple[int, bytes]] = [(chunk, numbers) for chunk, numbers in rows]
    if len(listed) == 1:
        chunk, numbers = listed[0]
        return bitmaps.decode_chunk(numbers) << (chunk * CHUNK)
    chunks: dict[int, list[bytes]] = {}
    for chunk, numbers in listed:
        chunks.setdefault(chunk, []).append(numbers)
    found = 0
    for chunk, parts in chunks.items():
        found |= bitmaps.decode_chunks(parts) << (chunk * CHUNK)
    return found


def _by_chunk(occurrences: list[int], gone: set[int]) -> Iterator[tuple[int, list[int], set[int]]]:
    """Yield chunk, its new occurrences (rising) and its removed numbers."""
    news: dict[int, list[int]] = {}
    for occurrence in sorted(occurrences):
        news.setdefault((occurrence >> _NUMBER_SHIFT) // CHUNK, []).append(occurrence)
    olds: dict[int, set[int]] = {}
    for number in gone:
        olds.setdefault(number // CHUNK, set()).add(number)
    for chunk in sorted(news.keys() | olds.keys()):
        yield chunk, news.get(chunk, []), olds.get(chunk, set())


def _encode_words(occurrences: list[int], chunk: int) -> tuple[bytes, bytes]:
    numbers = bitmaps.from_numbers({(o >> _NUMBER_SHIFT) - chunk * CHUNK for o in occurrences})
    return bitmaps.encode_chunk(numbers), array("Q", occurrences).tobytes()


def _cut(occurrences: "array[int]", gone: set[int]) -> "array[int]":
    if not gone:
        return occurrences
    if len(gone) > _CUT_ONE_BY_ONE_MAX:
        return array("Q", [o for o in occurrences if o >> _NUMBER_SHIFT not in gone])
    for number in gone:
        start = bisect_left(occurrences, number << _NUMBER_SHIFT)
        end = bisect_left(occurrences, (number + 1) << _NUMBER_SHIFT)
        del occurrences[start:end]
    return occurrences
