"""What one document adds to the index: word occurrences and facet values.

What always holds: the same document and settings give the same entries, so that removing a document needs only its old
body. Source: ``ranking.md`` sections 1.3 and 5. Who calls it: the indexer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from miroir.node.engine.flatten import Leaf, flatten, is_under, leaf_text, values_at
from miroir.node.engine.geo import read_point
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.tokens import Tokenizer, facet_form
from miroir.node.protocol.errors import ApiError
from schemas.attribute_patterns import is_within

NUMBER, STRING, STATE, WORD_COUNT = 0, 1, 2, 3
"""Kinds of facet values: numbers, texts in facet form, states of a field, number of words in a field."""

EXISTS, IS_NULL, IS_EMPTY = "exists", "null", "empty"

FIELDS_MAX = 65_535
"""An index numbers fields with 16 bits, as a real node does; names nested in objects are fields, too."""

WORD_BYTES_MAX = 250
POSITIONS_MAX = 65_536
COUNTED_WORDS_MAX = 30
LEAF_STEP = 8

FacetKey = tuple[str, int, str | float]
"""Field, kind and value."""


@dataclass(slots=True)
class Entries:
    """What a document adds.

    Attributes:
        words: (exact, word) → occurrences, each ``field << 16 | position``.
        facets: facet keys.
    """

    words: dict[tuple[bool, str], list[int]]
    facets: set[FacetKey]


class EntryMaker:
    """Makes entries under one index's settings; ``field_numbers`` grows as new names appear."""

    def __init__(self, settings: IndexSettings, tokenizer: Tokenizer, field_numbers: dict[str, int]) -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._numbers = field_numbers
        self._searchable: dict[str, bool] = {}

    def make(self, document: Mapping[str, Any]) -> Entries:
        """Return the entries of ``document``.

        Raises:
            ApiError: the index would have too many fields.
        """
        entries = Entries({}, set())
        leaves = flatten(document)
        for name in document:
            self.field_number(name)
        for name, items in leaves.items():
            if self._is_searchable(name) and not is_within(name, "_geo"):
                self._add_words(name, items, entries)
        self._add_facets(document, leaves, entries)
        return entries

    def field_number(self, name: str) -> int:
        """Return the number of a field, a new one for a new name."""
        number = self._numbers.get(name)
        if number is None:
            if len(self._numbers) >= FIELDS_MAX:
                raise too_many_fields()
            number = self._numbers[name] = len(self._numbers)
        return number

    def _is_searchable(self, name: str) -> bool:
        known = self._searchable.get(name)
        if known is None:
            known = self._searchable[name] = is_under(name, self._settings.searchable) is not None
        return known

    def _add_words(self, name: str, items: Sequence[Leaf], entries: Entries) -> None:
        settings = self._settings
        base = self.field_number(name) << 16
        exact_field = is_under(name, settings.exact_attributes) is not None
        position = -LEAF_STEP
        count = 0
        for leaf in items:
            position += LEAF_STEP
            text = leaf_text(leaf)
            if not text:
                continue
            for word, step, is_stop in self._tokenizer.words(text):
                position += step
                if is_stop:
                    continue
                count += 1
                if position >= POSITIONS_MAX or len(word) > WORD_BYTES_MAX or len(word.encode()) > WORD_BYTES_MAX:
                    continue
                exact = exact_field or (settings.exact_numbers and _is_numeric(word))
                entries.words.setdefault((exact, word), []).append(base | position)
        if 0 < count <= COUNTED_WORDS_MAX:
            entries.facets.add((name, WORD_COUNT, float(count)))

    def _add_facets(self, document: Mapping[str, Any], leaves: Mapping[str, Sequence[Leaf]], entries: Entries) -> None:
        for name in self._faceted_names(document, leaves):
            for value in values_at(document, name):
                _add_state(name, value, entries.facets)
            for leaf in leaves.get(name, ()):
                _add_value(name, leaf, entries.facets)
        if self._settings.is_geo_used:
            point = read_point(document.get("_geo"))
            if point is not None:
                entries.facets.add(("_geo", STATE, "point"))

    def _faceted_names(self, document: Mapping[str, Any], leaves: Mapping[str, Sequence[Leaf]]) -> set[str]:
        is_faceted = self._settings.is_faceted
        names = {name for name in document if is_faceted(name)}
        for name in leaves:
            while "." in name:
                if is_faceted(name):
                    names.add(name)
                name = name.rpartition(".")[0]  # noqa: PLW2901 - a name's parents exist too
        return names


def too_many_fields() -> ApiError:
    """Return the error for an index that has no number left for another field."""
    return ApiError("max_fields_limit_exceeded", "A document cannot contain more than 65,535 fields.")


def _add_state(name: str, value: Any, facets: set[FacetKey]) -> None:
    facets.add((name, STATE, EXISTS))
    if value is None:
        facets.add((name, STATE, IS_NULL))
    elif value in ("", [], {}):
        facets.add((name, STATE, IS_EMPTY))


def _add_value(name: str, leaf: Leaf, facets: set[FacetKey]) -> None:
    match leaf:
        case None:
            pass
        case bool():
            facets.add((name, STRING, "true" if leaf else "false"))
        case str():
            form = facet_form(leaf)
            if form:
                facets.add((name, STRING, form))
        case _:
            number = float(leaf)
            if math.isfinite(number):
                facets.add((name, NUMBER, number))


def _is_numeric(word: str) -> bool:
    return word.isascii() and not any(character.isalpha() for character in word)
