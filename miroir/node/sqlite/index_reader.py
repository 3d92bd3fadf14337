"""Indexes on disk, read: the catalog as searches see it, and one index at one generation.

What always holds: between ``snapshot`` and its end all answers are of one commit, whatever the indexer does meanwhile.
Who calls it: the front's search thread, and the indexer for deletions by filter.
"""

import sqlite3
from array import array
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from miroir.node.engine.bitmaps import members
from miroir.node.engine.entries import STATE, STRING
from miroir.node.engine.geo import Point, read_point
from miroir.node.engine.index_settings import parse_index_settings
from miroir.node.engine.reader import Recent
from miroir.node.indexing.ports import IndexRecord
from miroir.node.sqlite.connection import open_reader
from miroir.node.sqlite.index_store import join_chunks, read_record

CACHED_MAX = 5_000
"""Sets kept per index and generation: at 117,791 documents one takes at most 15 KB."""

OCCURRENCES_MAX = 200_000
"""Words whose occurrences are kept: all of 117,791 dictionary entries are 25 MB."""

DOCUMENTS_MAX = 20_000
"""Parsed documents kept, where they are small."""

DOCUMENTS_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of JSON of the documents kept; parsed they take up to eight times as much."""

_WORD_BATCH = 500
"""Words asked for in one statement."""

_OPEN_INDEXES_MAX = 64
"""Indexes whose caches are kept at once."""


class CatalogReader:
    """The catalog as a reader sees it; use from one thread."""

    def __init__(self, path: str) -> None:
        self._db = open_reader(path)
        self._open: dict[int, SqliteIndexReader] = {}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make everything read inside the block be of one commit."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def records(self) -> list[IndexRecord]:
        """Return all indexes, by uid rising."""
        rows = self._db.execute("SELECT number, uid, body FROM indexes ORDER BY uid").fetchall()
        return [read_record(row) for row in rows]

    def find(self, uid: str) -> IndexRecord | None:
        """Return an index, or None."""
        row = self._db.execute("SELECT number, uid, body FROM indexes WHERE uid = ?", (uid,)).fetchone()
        return None if row is None else read_record(row)

    def open(self, record: IndexRecord) -> "SqliteIndexReader":
        """Return a reader of an index; call inside a snapshot."""
        known = self._open.get(record.number)
        if known is not None and known.generation == record.generation and known.uid == record.uid:
            return known
        if len(self._open) >= _OPEN_INDEXES_MAX:
            self._open.clear()
        reader = self._open[record.number] = SqliteIndexReader(self._db, record)
        return reader


class SqliteIndexReader:
    """One index at one generation."""

    def __init__(self, db: sqlite3.Connection, record: IndexRecord) -> None:
        self._db = db
        self.uid = record.uid
        self.generation = record.generation
        self.primary_key = record.primary_key
        self.settings = parse_index_settings(record.settings)
        self.field_numbers: Mapping[str, int] = record.field_numbers
        self._documents = f"documents_{record.number}"
        self._words = f"words_{record.number}"
        self._facets = f"facets_{record.number}"
        self._all: int | None = None
        self._facet_cache: dict[tuple[str, int, str | float], int] = {}
        self._word_cache: dict[tuple[bool, str], int] = {}
        self._occurrence_cache: dict[tuple[bool, str], array[int]] = {}
        self._document_cache: dict[int, dict[str, Any]] = {}
        self._document_bytes = 0
        self._sections: dict[tuple[bool, str], list[str]] = {}
        self._points: dict[int, Point] | None = None
        self.memo: dict[Any, Any] = {}
        self.recent = Recent()

    def all_numbers(self) -> int:
        """Return the set of all documents."""
        if self._all is None:
            rows = self._db.execute(f"SELECT chunk, numbers FROM {self._facets} WHERE field = '' AND kind = {STATE}")  # noqa: S608 - own names
            self._all = join_chunks(rows)
        return self._all

    def number_of(self, document_id: str) -> int | None:
        """Return a document's number."""
        row = self._db.execute(f"SELECT number FROM {self._documents} WHERE id = ?", (document_id,)).fetchone()  # noqa: S608 - own names
        return None if row is None else int(row[0])

    def document(self, number: int) -> dict[str, Any]:
        """Return a document; the caller must not change it."""
        known = self._document_cache.get(number)
        if known is None:
            row = self._db.execute(f"SELECT body FROM {self._documents} WHERE number = ?", (number,)).fetchone()  # noqa: S608 - own names
            self._document_bytes += len(row[0])
            if len(self._document_cache) >= DOCUMENTS_MAX or self._document_bytes > DOCUMENTS_BYTES_MAX:
                self._document_cache.clear()
                self._document_bytes = len(row[0])
            known = self._document_cache[number] = orjson.loads(row[0])
        return known

    def facet(self, field: str, kind: int, value: str | float) -> int:
        """Return the documents under one facet key."""
        key = (field, kind, value)
        known = self._facet_cache.get(key)
        if known is None:
            if len(self._facet_cache) >= CACHED_MAX:
                self._facet_cache.clear()
            rows = self._db.execute(
                f"SELECT chunk, numbers FROM {self._facets} WHERE field = ? AND kind = ? AND value = ?",  # noqa: S608 - own names
                key,
            )
            known = self._facet_cache[key] = join_chunks(rows)
        return known

    def facet_range(
        self, field: str, kind: int, low: str | float | None, high: str | float | None, *, open_ends: tuple[bool, bool]
    ) -> int:
        """Return the documents with a value between bounds."""
        parts = ["field = ? AND kind = ?"]
        values: list[Any] = [field, kind]
        if low is not None:
            parts.append("value > ?" if open_ends[0] else "value >= ?")
            values.append(low)
        if high is not None:
            parts.append("value < ?" if open_ends[1] else "value <= ?")
            values.append(high)
        where = " AND ".join(parts)
        return join_chunks(self._db.execute(f"SELECT chunk, numbers FROM {self._facets} WHERE {where}", values))  # noqa: S608 - own names

    def facet_values(self, field: str, kind: int, *, descending: bool = False) -> Iterator[tuple[Any, int]]:
        """Yield values and their documents, in order of the values."""
        order = "DESC" if descending else "ASC"
        rows = self._db.execute(
            f"SELECT value, chunk, numbers FROM {self._facets} WHERE field = ? AND kind = ? ORDER BY value {order}",  # noqa: S608 - own names
            (field, kind),
        )
        current: Any = None
        found = 0
        for value, chunk, numbers in rows:
            if value != current:
                if found:
                    yield current, found
                current, found = value, 0
            found |= join_chunks(((chunk, numbers),))
        if found:
            yield current, found

    def fields_with_facets(self) -> Sequence[str]:
        """Return the names that have facet keys."""
        key = "fields"
        if key not in self.memo:
            rows = self._db.execute(f"SELECT DISTINCT field FROM {self._facets} WHERE field != '' AND kind = {STATE}")  # noqa: S608 - own names
            self.memo[key] = sorted(row[0] for row in rows)
        fields: list[str] = self.memo[key]
        return fields

    def word(self, word: str, *, exact: bool) -> int:
        """Return the documents that hold a word."""
        key = (exact, word)
        known = self._word_cache.get(key)
        if known is None:
            if len(self._word_cache) >= CACHED_MAX:
                self._word_cache.clear()
            rows = self._db.execute(
                f"SELECT chunk, numbers FROM {self._words} WHERE exact = ? AND word = ?",  # noqa: S608 - own names
                key,
            )
            known = self._word_cache[key] = join_chunks(rows)
        return known

    def occurrences(self, word: str, *, exact: bool) -> "array[int]":
        """Return a word's occurrences, rising."""
        key = (exact, word)
        known = self._occurrence_cache.get(key)
        if known is None:
            if len(self._occurrence_cache) >= OCCURRENCES_MAX:
                self._occurrence_cache.clear()
            known = array("Q")
            for row in self._db.execute(
                f"SELECT occurrences FROM {self._words} WHERE exact = ? AND word = ? ORDER BY chunk",  # noqa: S608 - own names
                key,
            ):
                known.frombytes(row[0])
            self._occurrence_cache[key] = known
        return known

    def words_from(self, prefix: str, *, exact: bool) -> list[str]:
        """Return the words that start with ``prefix``, in code point order; the caller must not change the list."""
        key = (exact, prefix)
        known = self._sections.get(key)
        if known is None:
            if len(self._sections) >= CACHED_MAX:
                self._sections.clear()
            rows = self._db.execute(
                f"SELECT DISTINCT word FROM {self._words} WHERE exact = ? AND word >= ? AND word < ? ORDER BY word",  # noqa: S608 - own names
                (exact, prefix, prefix + "\U0010ffff"),
            )
            known = self._sections[key] = [row[0] for row in rows]
        return known

    def known_words(self, words: Sequence[str]) -> list[str]:
        """Return those of some words that typos may reach, rising."""
        found: set[str] = set()
        for start in range(0, len(words), _WORD_BATCH):
            part = words[start : start + _WORD_BATCH]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT word FROM {self._words} WHERE exact = 0 AND word IN ({marks})", part)  # noqa: S608 - own names
            found.update(row[0] for row in rows)
        return sorted(found)

    def prefix_occurrences(self, prefix: str, *, with_itself: bool) -> "array[int]":
        """Return the occurrences of all longer words with this prefix, and of itself where asked for, rising."""
        comparison = ">=" if with_itself else ">"
        rows = self._db.execute(
            f"SELECT occurrences FROM {self._words} WHERE exact IN (0, 1) AND word {comparison} ? AND word < ?",  # noqa: S608 - own names
            (prefix, prefix + "\U0010ffff"),
        )
        places = array("Q", b"".join([row[0] for row in rows])).tolist()
        places.sort()
        return array("Q", places)

    def first_letters(self) -> list[str]:
        """Return every first character of a word that typos may reach, rising."""
        key = "letters"
        if key not in self.memo:
            letters: list[str] = []
            last = ""
            while True:
                row = self._db.execute(
                    f"SELECT word FROM {self._words} WHERE exact = 0 AND word >= ? ORDER BY word LIMIT 1",  # noqa: S608 - own names
                    (last,),
                ).fetchone()
                if row is None or not row[0]:
                    break
                insort(letters, row[0][0])
                last = row[0][0] + "\U0010ffff"
            self.memo[key] = letters
        found: list[str] = self.memo[key]
        return found

    def points(self) -> dict[int, Point]:
        """Return the points of all documents that have one."""
        if self._points is None:
            self._points = {}
            for number in members(self.facet("_geo", STATE, "point")):
                point = read_point(self.document(number).get("_geo"))
                if point is not None:
                    self._points[number] = point
        return self._points

    def string_values(self, field: str) -> list[str]:
        """Return the facet forms of a field, rising."""
        key = ("strings", field)
        if key not in self.memo:
            rows = self._db.execute(
                f"SELECT DISTINCT value FROM {self._facets} WHERE field = ? AND kind = {STRING} ORDER BY value",  # noqa: S608 - own names
                (field,),
            )
            self.memo[key] = [row[0] for row in rows]
        values: list[str] = self.memo[key]
        return values
