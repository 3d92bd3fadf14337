"""What applying tasks needs of whatever holds the indexes.

What always holds: everything between two commits happens or nothing does; the caller commits. Who implements it: the
SQLite store, and a fake in tests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(slots=True)
class IndexRecord:
    """What is known of one index besides its documents.

    Attributes:
        number: the store's own name for it, never used twice.
        settings: every setting's effective value.
        field_numbers: field name → number, in order of first appearance.
        next_number: every document number in use is below.
        distribution: top-level field → documents that have it.
        generation: grows with every change.
    """

    number: int
    uid: str
    primary_key: str | None
    created_ns: int
    updated_ns: int
    settings: dict[str, Any]
    field_numbers: dict[str, int] = field(default_factory=dict)
    next_number: int = 0
    documents: int = 0
    distribution: dict[str, int] = field(default_factory=dict)
    generation: int = 0
    body_bytes: int = 0


class Catalog(Protocol):
    """All indexes of a node."""

    def find(self, uid: str) -> IndexRecord | None:
        """Return an index, or None."""

    def create(self, uid: str, primary_key: str | None, now_ns: int) -> IndexRecord:
        """Bring an empty index to life."""

    def save(self, record: IndexRecord) -> None:
        """Keep a changed record."""

    def drop(self, record: IndexRecord) -> None:
        """Remove an index and all it holds."""

    def open(self, record: IndexRecord) -> "IndexFiles":
        """Return the documents and postings of an index."""


class IndexFiles(Protocol):
    """Documents, postings and facets of one index."""

    def numbers_of(self, document_ids: Sequence[str]) -> dict[str, int]:
        """Return the numbers of those ids that exist."""

    def body(self, number: int) -> bytes:
        """Return a document's JSON."""

    def put_body(self, number: int, document_id: str, body: bytes) -> None:
        """Keep a document's JSON."""

    def drop_body(self, number: int) -> None:
        """Forget a document."""

    def bodies(self) -> Iterator[tuple[int, str, bytes]]:
        """Yield number, id and JSON of every document, by number rising."""

    def all_numbers(self) -> int:
        """Return the set of all document numbers."""

    def set_all_numbers(self, numbers: int) -> None:
        """Keep the set of all document numbers."""

    def merge_words(self, added: dict[tuple[bool, str], list[int]], removed: dict[tuple[bool, str], set[int]]) -> None:
        """Take occurrences (``number << 32 | field << 16 | position``) in, after those of removed numbers went."""

    def merge_facets(
        self,
        added: dict[tuple[str, int, str | float], list[int]],
        removed: dict[tuple[str, int, str | float], set[int]],
    ) -> None:
        """Take document numbers in under facet keys, after removed ones went."""

    def clear_postings(self) -> None:
        """Forget all words and facets, not the documents."""

    def clear(self) -> None:
        """Forget everything."""
