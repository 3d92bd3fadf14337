"""What an index's settings let a search ask for and see.

Nodes hold wider settings than the user's: ``displayedAttributes`` is open, one more attribute is filterable, and
``maxValuesPerFacet`` is high, since an exact merge needs all of it. The user's own settings are enforced here, in front
of the nodes.

What always holds: made once per settings version, read by every search; immutable. Who calls it: validation, rewriting,
merging and stripping of searches. It knows no search and no node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.attribute_patterns import is_within, matches, matches_or_holds
from schemas.meilisearch_embedders import shown_embedders

HITS_MAX_DEFAULT = 1000
"""Meilisearch's default of ``pagination.maxTotalHits``."""

FACET_VALUES_MAX_DEFAULT = 100
"""Meilisearch's default of ``faceting.maxValuesPerFacet``."""

FACET_VALUES_NODE = 10_000
"""What nodes hold as ``maxValuesPerFacet``: a facet with fewer values than this merges exactly in any order."""

_ALL = ("*",)


@dataclass(frozen=True, slots=True)
class IndexRules:
    """The user's settings as far as a search is concerned.

    Attributes:
        index: the index's name as users know it; error messages begin with it.
        primary_key: the id's field, or None while no document has named it.
        displayed: attributes a user may see; ``("*",)`` is all.
        filterable: names and patterns of attributes a user may filter by, in the order of the settings.
        filterable_patterns: those of them that are patterns: in a name ``*`` is a letter like any other.
        filterable_entries: all entries of the setting, in order, whatever their features: names or patterns, and
            whether it is a name.
        sortable: attributes a user may sort by.
        searchable: attributes a user may search in; ``("*",)`` is all.
        ranking_rules: the user's rules in order.
        distinct: the setting's attribute, or None.
        embedders: the dimensions of each embedder.
        hits_max: ``pagination.maxTotalHits``.
        facet_values_max: ``faceting.maxValuesPerFacet`` of the user, not of the nodes.
        facet_values_node: what the nodes hold for it.
        facet_search: whether values of facets may be searched.
        facet_searchable: patterns of attributes whose values may be.
        facet_orders: ``alpha`` or ``count`` by attribute; ``*`` is every other one.
        knows_filters: whether no node can know a filter that our grammar does not: then one that is none is refused
            before any node is asked.
    """

    index: str
    primary_key: str | None
    displayed: tuple[str, ...] = _ALL
    filterable: tuple[str, ...] = ()
    filterable_patterns: tuple[str, ...] = ()
    filterable_entries: tuple[tuple[tuple[str, ...], bool], ...] = ()
    sortable: tuple[str, ...] = ()
    searchable: tuple[str, ...] = _ALL
    ranking_rules: tuple[str, ...] = ()
    distinct: str | None = None
    embedders: Mapping[str, int] = field(default_factory=dict)
    hits_max: int = HITS_MAX_DEFAULT
    facet_values_max: int = FACET_VALUES_MAX_DEFAULT
    facet_values_node: int = FACET_VALUES_NODE
    facet_search: bool = True
    facet_searchable: tuple[str, ...] = ()
    facet_orders: Mapping[str, str] = field(default_factory=dict)
    knows_filters: bool = False

    @property
    def shows_everything(self) -> bool:
        """Whether no attribute is hidden from users."""
        return "*" in self.displayed

    def opened(self) -> "IndexRules":
        """Return the same rules with everything displayed: for answers that are merged again before they are shown."""
        return replace(self, displayed=_ALL)

    def is_filterable(self, attribute: str) -> bool:
        """Return whether a user may filter by the attribute: a name stands for what is nested in it too."""
        names = (name for name in self.filterable if name not in self.filterable_patterns)
        return any(matches(attribute, pattern) for pattern in self.filterable_patterns) or any(
            is_within(attribute, name) for name in names
        )

    def entry_of(self, attribute: str) -> int | None:
        """Return the number of the first entry of ``filterableAttributes`` that stands for the attribute."""
        for number, (patterns, plain) in enumerate(self.filterable_entries):
            if any((is_within if plain else matches)(attribute, pattern) for pattern in patterns):
                return number
        return None

    def is_facet(self, pattern: str) -> bool:
        """Return whether a user may ask for values by this name or pattern: an entry may stand for a same attribute.

        Of a parent of a named attribute there are none, nor of what is nested in one that a pattern names: that is no
        fault in Meilisearch.
        """
        return any(
            matches_or_holds(own, pattern)
            or (matches_or_holds(pattern, own) if own in self.filterable_patterns else is_within(own, pattern))
            for own in self.filterable
        )

    def facet_order(self, attribute: str) -> str:
        """Return ``alpha`` or ``count``: how the values of this facet stand in an answer."""
        return self.facet_orders.get(attribute) or self.facet_orders.get("*") or "alpha"


DEFAULT_RANKING_RULES = ("words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness")
"""What an index ranks by unless its settings say otherwise."""


def rules_of(index: str, primary_key: str | None, settings: Mapping[str, Any]) -> IndexRules:
    """Return the rules that a settings object of Meilisearch's API spells out.

    Args:
        index: the index's name as users know it.
        primary_key: the id's field, if known.
        settings: the user's settings; absent and null mean the default.
    """
    pagination = settings.get("pagination") or {}
    faceting = settings.get("faceting") or {}
    facet_values_max = _count(faceting.get("maxValuesPerFacet"), FACET_VALUES_MAX_DEFAULT)
    return IndexRules(
        index=index,
        primary_key=primary_key,
        displayed=_names(settings.get("displayedAttributes"), _ALL),
        filterable=_filterable(settings.get("filterableAttributes") or ()),
        filterable_patterns=_filterable(
            [entry for entry in settings.get("filterableAttributes") or () if not isinstance(entry, str)]
        ),
        filterable_entries=tuple(
            ((entry,), True) if isinstance(entry, str) else (tuple(entry["attributePatterns"]), False)
            for entry in settings.get("filterableAttributes") or ()
        ),
        sortable=_names(settings.get("sortableAttributes"), ()),
        searchable=_names(settings.get("searchableAttributes"), _ALL),
        ranking_rules=_names(settings.get("rankingRules"), DEFAULT_RANKING_RULES),
        distinct=settings.get("distinctAttribute"),
        embedders={name: embedder["dimensions"] for name, embedder in _embedders(settings).items()},
        hits_max=_count(pagination.get("maxTotalHits"), HITS_MAX_DEFAULT),
        facet_values_max=facet_values_max,
        facet_values_node=max(facet_values_max, FACET_VALUES_NODE),
        facet_search=settings.get("facetSearch") is not False,
        facet_searchable=_facet_searchable(settings.get("filterableAttributes") or ()),
        facet_orders=dict(faceting.get("sortFacetValuesBy") or {}),
    )


def covers(names: Sequence[str], attribute: str) -> bool:
    """Return whether one of the names, which may end or begin with ``*``, is this attribute or a parent of it."""
    return any(_covers(name, attribute) for name in names)


def _covers(name: str, attribute: str) -> bool:
    if name in ("*", attribute) or attribute.startswith(f"{name}."):
        return True
    if name.startswith("*") and name.endswith("*"):
        return name[1:-1] in attribute
    if name.startswith("*"):
        return attribute.endswith(name[1:])
    return name.endswith("*") and attribute.startswith(name[:-1])


def _embedders(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return shown_embedders(settings.get("embedders") or {})


def _names(value: Sequence[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if value is None else tuple(value)


def _count(value: int | None, default: int) -> int:
    return default if value is None else value


def _filterable(entries: Sequence[str | Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the patterns by which a user may filter; an entry whose features forbid every operator gives none."""
    patterns: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            patterns.append(entry)
            continue
        operators = (entry.get("features") or {}).get("filter") or {}
        if operators.get("equality", True) or operators.get("comparison", False):
            patterns += entry["attributePatterns"]
    return tuple(patterns)


def _facet_searchable(entries: Sequence[str | Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the patterns whose values may be searched: plain entries, and those whose features say so."""
    patterns: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            patterns.append(entry)
        elif (entry.get("features") or {}).get("facetSearch"):
            patterns += entry["attributePatterns"]
    return tuple(patterns)
