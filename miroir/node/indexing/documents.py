"""Changing the documents of one index: the net effect of a batch, and what it does to postings.

What always holds: postings describe exactly the kept bodies; a document keeps its number while it lives, and a new one
takes the smallest free number. Who calls it: ``indexing.batch``. It must not know tasks.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from miroir.node.engine import bitmaps
from miroir.node.engine.entries import Entries, EntryMaker, FacetKey
from miroir.node.engine.geo import check_geo
from miroir.node.engine.index_settings import IndexSettings, parse_index_settings
from miroir.node.indexing.ports import IndexFiles, IndexRecord

PENDING_MAX = 3_000_000
"""Occurrences gathered before they are merged into the store: about 150 MB."""

_NUMBER_SHIFT = 32


class Postings:
    """Gathers what documents add and take away, and merges it into the store in large pieces."""

    def __init__(self, files: IndexFiles) -> None:
        self._files = files
        self._reset()

    def _reset(self) -> None:
        self._added_words: dict[tuple[bool, str], list[int]] = {}
        self._removed_words: dict[tuple[bool, str], set[int]] = {}
        self._added_facets: dict[FacetKey, list[int]] = {}
        self._removed_facets: dict[FacetKey, set[int]] = {}
        self._pending = 0

    def add(self, number: int, entries: Entries) -> None:
        """Take a document's entries in."""
        base = number << _NUMBER_SHIFT
        for key, occurrences in entries.words.items():
            self._added_words.setdefault(key, []).extend([base | place for place in occurrences])
            self._pending += len(occurrences)
        for facet in entries.facets:
            self._added_facets.setdefault(facet, []).append(number)
        self._pending += len(entries.facets)
        if self._pending > PENDING_MAX:
            self.flush()

    def remove(self, number: int, entries: Entries) -> None:
        """Take a document's entries away."""
        for key in entries.words:
            self._removed_words.setdefault(key, set()).add(number)
        for facet in entries.facets:
            self._removed_facets.setdefault(facet, set()).add(number)
        self._pending += len(entries.words) + len(entries.facets)

    def flush(self) -> None:
        """Merge everything gathered."""
        self._files.merge_words(self._added_words, self._removed_words)
        self._files.merge_facets(self._added_facets, self._removed_facets)
        self._reset()


class DocumentChanges:
    """One index's documents while a batch runs; ``finish`` brings record and store up to date."""

    def __init__(self, record: IndexRecord, files: IndexFiles) -> None:
        self._record = record
        self._files = files
        self._settings = parse_index_settings(record.settings)
        self._maker = EntryMaker(self._settings, self._settings.tokenizer(), record.field_numbers)
        self._numbers = files.all_numbers()

    def apply(self, changes: Mapping[str, dict[str, Any] | None]) -> None:
        """Make the documents with these ids be these, or none.

        Raises:
            ApiError: a bad ``_geo`` where it is used; the caller must then undo everything.
        """
        if self._settings.is_geo_used:
            for document_id, document in changes.items():
                check_geo((document or {}).get("_geo"), document_id, self._record.uid)
        known = self._files.numbers_of(list(changes))
        postings = Postings(self._files)
        free = _FreeNumbers(self._numbers, self._record.next_number)
        for document_id, document in changes.items():
            number = known.get(document_id)
            if document is None:
                if number is not None:
                    self._delete(number, postings)
            elif number is None:
                self._insert(free.take(), document_id, document, postings)
            else:
                self._replace(number, document_id, document, postings)
        postings.flush()
        self._record.next_number = max(self._record.next_number, self._numbers.bit_length())

    def clear(self) -> int:
        """Delete every document; return how many there were."""
        count = self._record.documents
        self._files.clear()
        self._numbers = 0
        self._record.next_number = 0
        self._record.documents = 0
        self._record.body_bytes = 0
        self._record.distribution = {}
        return count

    def reindex(self) -> None:
        """Make all postings anew, after the settings changed."""
        self._files.clear_postings()
        postings = Postings(self._files)
        for number, _, body in self._files.bodies():
            postings.add(number, self._maker.make(orjson.loads(body)))
        postings.flush()

    def finish(self) -> None:
        """Keep what is known of the whole."""
        self._files.set_all_numbers(self._numbers)
        self._record.documents = self._numbers.bit_count()

    def _insert(self, number: int, document_id: str, document: dict[str, Any], postings: Postings) -> None:
        entries = self._maker.make(document)
        body = self._dump(document)
        self._files.put_body(number, document_id, body)
        postings.add(number, entries)
        self._numbers |= 1 << number
        self._count(document, 1)
        self._record.body_bytes += len(body)

    def _replace(self, number: int, document_id: str, document: dict[str, Any], postings: Postings) -> None:
        old_body = self._files.body(number)
        entries = self._maker.make(document)
        body = self._dump(document)
        if body == old_body:
            return
        old = orjson.loads(old_body)
        postings.remove(number, self._maker.make(old))
        postings.add(number, entries)
        self._files.put_body(number, document_id, body)
        self._count(old, -1)
        self._count(document, 1)
        self._record.body_bytes += len(body) - len(old_body)

    def _delete(self, number: int, postings: Postings) -> None:
        body = self._files.body(number)
        old = orjson.loads(body)
        postings.remove(number, self._maker.make(old))
        self._files.drop_body(number)
        self._numbers &= ~(1 << number)
        self._count(old, -1)
        self._record.body_bytes -= len(body)

    def _dump(self, document: Mapping[str, Any]) -> bytes:
        # Answers show fields in the order the index first met them.
        numbers = self._record.field_numbers
        return orjson.dumps({name: document[name] for name in sorted(document, key=numbers.__getitem__)})

    def _count(self, document: Mapping[str, Any], step: int) -> None:
        distribution = self._record.distribution
        for name in document:
            count = distribution.get(name, 0) + step
            if count:
                distribution[name] = count
            else:
                distribution.pop(name, None)


class _FreeNumbers:
    """Hands out the smallest free numbers."""

    def __init__(self, used: int, following: int) -> None:
        self._holes = bitmaps.members(((1 << following) - 1) & ~used)[::-1]
        self._following = following

    def take(self) -> int:
        """Return a number no document has."""
        if self._holes:
            return self._holes.pop()
        self._following += 1
        return self._following - 1


def needs_reindex(old: IndexSettings, new: IndexSettings) -> bool:
    """Tell whether a change of settings changes what documents add to the index."""
    return any(getattr(old, name) != getattr(new, name) for name in _INDEXED)


_INDEXED = (
    "searchable",
    "filterable",
    "sortable",
    "stop_words",
    "separators",
    "non_separators",
    "dictionary",
    "exact_attributes",
    "exact_numbers",
    "distinct",
    "custom_sorted",
)
