"""What searching needs of whatever holds an index.

What always holds: everything a reader answers is of one generation of the index. Sets are integers
(``engine.bitmaps``). Who implements it: the SQLite reader.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from miroir.node.engine.geo import Point
from miroir.node.engine.index_settings import IndexSettings

RECENT_MAX = 5_000
"""Things remembered of searches, per index and generation: the largest, sets, take 15 KB at 117,791 documents."""


class Recent(dict[Any, Any]):
    """What searches found out and the next ones may want: once it is full it begins anew."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Remember a thing, and forget all others where there are too many."""
        if len(self) >= RECENT_MAX and key not in self:
            self.clear()
        super().__setitem__(key, value)


class IndexReader(Protocol):
    """One index at one generation."""

    uid: str
    primary_key: str | None
    settings: IndexSettings
    field_numbers: Mapping[str, int]
    memo: dict[Any, Any]
    """What the engine wants to remember for this generation: things whose number the index bounds, not its searches."""
    recent: Recent
    """What it wants to remember of searches."""

    def all_numbers(self) -> int:
        """Return the set of all documents."""

    def document(self, number: int) -> dict[str, Any]:
        """Return a document."""

    def facet(self, field: str, kind: int, value: str | float) -> int:
        """Return the documents under one facet key."""

    def facet_range(
        self, field: str, kind: int, low: str | float | None, high: str | float | None, *, open_ends: tuple[bool, bool]
    ) -> int:
        """Return the documents with a value between bounds; ``open_ends`` says which bounds are exclusive."""

    def facet_values(self, field: str, kind: int, *, descending: bool = False) -> Iterator[tuple[Any, int]]:
        """Yield values and their documents, in order of the values."""

    def fields_with_facets(self) -> Sequence[str]:
        """Return the names that have facet keys."""

    def word(self, word: str, *, exact: bool) -> int:
        """Return the documents that hold a word."""

    def occurrences(self, word: str, *, exact: bool) -> "array[int]":
        """Return a word's occurrences, ``number << 32 | field << 16 | position``, rising."""

    def words_from(self, prefix: str, *, exact: bool) -> Sequence[str]:
        """Return the words that start with ``prefix``, in code point order."""

    def known_words(self, words: Sequence[str]) -> Sequence[str]:
        """Return those of some words that typos may reach, rising."""

    def prefix_occurrences(self, prefix: str, *, with_itself: bool) -> "array[int]":
        """Return the occurrences of all longer words with this prefix, and of itself where asked for, rising."""

    def first_letters(self) -> Sequence[str]:
        """Return every first character of a word that typos may reach."""

    def points(self) -> Mapping[int, Point]:
        """Return the points of all documents that have one."""

    def string_values(self, field: str) -> Sequence[str]:
        """Return the facet forms of a field, rising."""
