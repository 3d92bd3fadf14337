"""An index's settings as the engine uses them.

What always holds: built from a whole settings object as ``schemas.meilisearch_settings`` shows it, and never changed.
Who calls it: entries, queries, filters, facets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from miroir.node.engine.tokens import Tokenizer
from schemas.attribute_patterns import is_within, matches, matches_or_holds

INDEXED = (
    "searchableAttributes",
    "filterableAttributes",
    "sortableAttributes",
    "rankingRules",
    "stopWords",
    "nonSeparatorTokens",
    "separatorTokens",
    "dictionary",
    "distinctAttribute",
    "typoTolerance",
)
"""Settings whose change makes every document be indexed again (where it changes what is indexed)."""


@dataclass(frozen=True, slots=True)
class FilterPattern:
    """One entry of ``filterableAttributes``.

    Attributes:
        legacy: written as a plain string: it covers its nested fields too.
    """

    patterns: tuple[str, ...]
    facet_search: bool = True
    equality: bool = True
    comparison: bool = True
    legacy: bool = True

    def covers(self, name: str) -> bool:
        """Tell whether a field falls under the entry."""
        return any((is_within if self.legacy else matches)(name, pattern) for pattern in self.patterns)

    def meets(self, pattern: str) -> bool:
        """Tell whether the entry and a pattern may stand for a same field, or something nested in it."""
        if self.legacy:
            return any(
                is_within(pattern, own) or is_within(own, pattern) or matches_or_holds(own, pattern)
                for own in self.patterns
            )
        return any(matches_or_holds(own, pattern) or matches_or_holds(pattern, own) for own in self.patterns)

    @property
    def is_filterable(self) -> bool:
        """Tell whether any condition may name the entry's fields."""
        return self.equality or self.comparison


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Settings in the engine's words; see ``schemas.meilisearch_settings`` for their meaning."""

    searchable: tuple[str, ...]
    displayed: tuple[str, ...]
    filterable: tuple[FilterPattern, ...]
    sortable: tuple[str, ...]
    ranking_rules: tuple[str, ...]
    stop_words: tuple[str, ...]
    separators: tuple[str, ...]
    non_separators: tuple[str, ...]
    dictionary: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    distinct: str | None
    by_word: bool
    typos_enabled: bool
    one_typo: int
    two_typos: int
    exact_query_words: tuple[str, ...]
    exact_attributes: tuple[str, ...]
    exact_numbers: bool
    max_values_per_facet: int
    facet_orders: Mapping[str, str]
    max_total_hits: int
    facet_search: bool
    prefix_search: bool
    custom_sorted: tuple[str, ...] = ()

    def filter_pattern(self, name: str) -> FilterPattern | None:
        """Return the first entry of ``filterableAttributes`` that covers a field."""
        return next((entry for entry in self.filterable if entry.covers(name)), None)

    def is_faceted(self, name: str) -> bool:
        """Tell whether a field's values are kept by value: it can be filtered, sorted by, or told apart."""
        return (
            name == self.distinct
            or any(is_within(name, entry) for entry in (*self.sortable, *self.custom_sorted))
            or ((entry := self.filter_pattern(name)) is not None and (entry.is_filterable or entry.facet_search))
        )

    @property
    def is_geo_used(self) -> bool:
        """Tell whether ``_geo`` is filterable or sortable."""
        return "_geo" in self.sortable or self.is_geo_filterable

    @property
    def is_geo_filterable(self) -> bool:
        """Tell whether ``_geo`` is named as filterable; a pattern that stands for it does not count."""
        return any(entry.legacy and "_geo" in entry.patterns for entry in self.filterable)

    def list_displayed(self, names: Iterable[str]) -> str:
        """Return names as errors list them, rising; those that are not displayed are hinted at only."""
        listed = sorted(set(names))
        shown = listed if "*" in self.displayed else [name for name in listed if name in self.displayed]
        return ", ".join(shown if len(shown) == len(listed) else [*shown, "<..hidden-attributes>"])

    def facet_order(self, name: str) -> str:
        """Return the order of a facet's values: ``alpha`` or ``count``."""
        return self.facet_orders.get(name) or self.facet_orders.get("*", "alpha")

    def tokenizer(self) -> Tokenizer:
        """Return a tokeniser of these settings."""
        return Tokenizer(
            separators=self.separators,
            non_separators=self.non_separators,
            dictionary=self.dictionary,
            stop_words=self.stop_words,
        )


def parse_index_settings(settings: Mapping[str, Any]) -> IndexSettings:
    """Return the engine's settings of a whole settings object."""
    typos = settings["typoTolerance"]
    rules = tuple(settings["rankingRules"])
    custom = {rule.rpartition(":")[0] for rule in rules if ":" in rule}
    distinct = settings["distinctAttribute"]
    return IndexSettings(
        searchable=tuple(settings["searchableAttributes"]),
        displayed=tuple(settings["displayedAttributes"]),
        filterable=tuple(_parse_pattern(entry) for entry in settings["filterableAttributes"]),
        sortable=tuple(settings["sortableAttributes"]),
        ranking_rules=rules,
        stop_words=tuple(settings["stopWords"]),
        separators=tuple(settings["separatorTokens"]),
        non_separators=tuple(settings["nonSeparatorTokens"]),
        dictionary=tuple(settings["dictionary"]),
        synonyms={key: tuple(values) for key, values in settings["synonyms"].items()},
        distinct=distinct,
        by_word=settings["proximityPrecision"] == "byWord",
        typos_enabled=typos["enabled"],
        one_typo=typos["minWordSizeForTypos"]["oneTypo"],
        two_typos=typos["minWordSizeForTypos"]["twoTypos"],
        exact_query_words=tuple(typos["disableOnWords"]),
        exact_attributes=tuple(typos["disableOnAttributes"]),
        exact_numbers=typos["disableOnNumbers"],
        max_values_per_facet=settings["faceting"]["maxValuesPerFacet"],
        facet_orders=settings["faceting"]["sortFacetValuesBy"],
        max_total_hits=settings["pagination"]["maxTotalHits"],
        facet_search=settings["facetSearch"],
        prefix_search=settings["prefixSearch"] != "disabled",
        custom_sorted=tuple(custom),
    )


def _parse_pattern(entry: Any) -> FilterPattern:
    if isinstance(entry, str):
        return FilterPattern((entry,))
    features = entry["features"]
    return FilterPattern(
        patterns=tuple(entry["attributePatterns"]),
        facet_search=features["facetSearch"],
        equality=features["filter"]["equality"],
        comparison=features["filter"]["comparison"],
        legacy=False,
    )
