"""The user's search, as it is put to one node.

What always holds: the node is asked for everything the merge needs (the head of its list, score details, ids) and for
documents of the named shards only; nothing the user may not see is asked for; no text of the user can meet the marker.
A node that holds all shards of the index is asked the user's own question, and its answer is passed through.
Who calls it: the search path, once a node. It knows no topology and no HTTP.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from query.rules import IndexRules, covers
from query.search import SearchKind, SearchRequest, Window
from schemas.ids import ShardId
from streams.marker import MARKER_FIELD, shards_filter, strip_plane_15

FILTERS_MAX = 1024
"""Filters remembered, one a part of a cover: few covers an index, few parts a cover."""


@dataclass(frozen=True, slots=True)
class NodeSearch:
    """What one node is asked: the JSON body of its search route."""

    body: dict[str, Any]


def rewrite(
    search: SearchRequest,
    *,
    rules: IndexRules,
    shards: Sequence[ShardId] | None,
    length: int | None = None,
    window: Window | None = None,
    plain: bool = False,
) -> NodeSearch:
    """Return the question for one node.

    Args:
        search: the user's search, already validated against the rules.
        rules: the user's settings.
        shards: the shards this node is to answer for; None where it alone answers for the whole index.
        length: how many hits to ask for where it is not up to the window's end: fewer most likely do, or a page that
            ``distinct`` left short is asked for again with more.
        window: which hits of the node's own list, where they are not its first: facets have been counted before.
        plain: whether the node is not to look for duplicates of the search's own ``distinct``.
    """
    body: dict[str, Any] = {}
    if search.q is not None:
        body["q"] = strip_plane_15(search.q)
    if shards is None:
        body |= _own_window(search)
    elif window is not None:
        body |= _scored(search) | {"offset": window.offset, "limit": window.limit}
    else:
        body |= _head(search, length or head_length(search, rules))
    body |= _copied(search)
    if plain:
        body.pop("distinct", None)
    if search.show_matches_position:
        body["showMatchesPosition"] = True
    if search.facets is not None and window is None:
        body["facets"] = facet_patterns(search.facets, rules)
    condition = user_filter(search.filter) if shards is None else with_shards(search.filter, shards)
    if condition:
        body["filter"] = condition
    body["attributesToRetrieve"] = _retrieved(search, rules, merged=shards is not None)
    if shows_vectors(search, rules):
        body["retrieveVectors"] = True
    body |= _formats(search, rules)
    return NodeSearch(body)


def rewrite_keys(
    search: SearchRequest, *, rules: IndexRules, shards: Sequence[ShardId], details: bool, length: int | None = None
) -> dict[str, Any]:
    """Return the question for the head of one node's list, of which only what ranks the hits is wanted.

    Args:
        search: the user's search.
        rules: the user's settings.
        shards: the shards this node is to answer for.
        details: whether score details are wanted, or the score is enough.
        length: how many hits to ask for where it is not up to the window's end.
    """
    body: dict[str, Any] = {}
    if search.q is not None:
        body["q"] = strip_plane_15(search.q)
    body |= _head(search, length or head_length(search, rules))
    body |= {"showRankingScore": not details, "showRankingScoreDetails": details}
    body |= _copied(search)
    if search.facets is not None:
        body["facets"] = facet_patterns(search.facets, rules)
    body["filter"] = with_shards(search.filter, shards)
    needed = (rules.primary_key, distinct_attribute(search, rules))
    body["attributesToRetrieve"] = [name for name in dict.fromkeys(needed) if name is not None]
    return body


def head_length(search: SearchRequest, rules: IndexRules) -> int:
    """Return the hits up to the end of the user's window, none where that is empty: no node has to give more."""
    window = search.window(rules.hits_max)
    return window.offset + window.limit if window.limit else 0


def user_filter(condition: object) -> object:
    """Return the user's filter, or None where it is one of the forms that filter nothing."""
    if isinstance(condition, str):
        return condition if condition.strip() else None
    # What is neither text nor a list is no filter at all, and refused as one, also where it is false or zero.
    return None if condition == [] else condition


def with_shards(condition: object, shards: Iterable[ShardId]) -> list[Any]:
    """Return the filter, in Meilisearch's array form, for what the user asked *and* these shards."""
    own = user_filter(condition)
    parts = own if isinstance(own, list) else [own] if own is not None else []
    return [*(part for part in parts if user_filter(part) is not None), _shards_condition(tuple(shards))]


@lru_cache(maxsize=FILTERS_MAX)
def _shards_condition(shards: tuple[ShardId, ...]) -> str:
    return shards_filter(shards)


def facet_patterns(facets: Sequence[str], rules: IndexRules) -> list[str]:
    """Return the facets to count, ``*`` written out as the user's filterable attributes, without the marker."""
    wanted = dict.fromkeys(name for facet in facets for name in (rules.filterable if facet == "*" else (facet,)))
    return [name for name in wanted if not is_marker(name)]


def shown_attributes(search: SearchRequest, rules: IndexRules) -> tuple[str, ...]:
    """Return what a hit may show: the attributes asked for, cut to the displayed ones; ``("*",)`` is all."""
    return displayed_attributes(
        search.attributes_to_retrieve or () if search.attributes_to_retrieve is not None else ("*",), rules
    )


def similarity(search: SearchRequest) -> dict[str, Any]:
    """Return what nodes are told of similarity; nothing where a search compares words only."""
    if search.hybrid is None or search.kind is SearchKind.WORDS:
        return {}
    body: dict[str, Any] = {"hybrid": {"embedder": search.hybrid.embedder, "semanticRatio": search.hybrid.ratio}}
    return body if search.vector is None else body | {"vector": search.vector}


def shows_vectors(search: SearchRequest, rules: IndexRules) -> bool:
    """Return whether hits show their vectors: asked for, and displayed."""
    return search.retrieve_vectors and (rules.shows_everything or covers(rules.displayed, "_vectors"))


def distinct_attribute(search: SearchRequest, rules: IndexRules) -> str | None:
    """Return the attribute whose values show up once only: the search's own, else the setting's."""
    return search.distinct if search.distinct is not None else rules.distinct


def is_marker(attribute: str) -> bool:
    """Return whether a name given by a user means the hidden field or something below it."""
    return attribute == MARKER_FIELD or attribute.startswith(f"{MARKER_FIELD}.")


def _own_window(search: SearchRequest) -> dict[str, Any]:
    """Return window and scores as the user asked for them."""
    body: dict[str, Any] = {
        "showRankingScore": search.show_ranking_score,
        "showRankingScoreDetails": search.show_ranking_score_details,
    }
    if search.is_paged:
        return body | {"page": search.page_number(), "hitsPerPage": search.page_size()}
    return body | {"offset": search.offset, "limit": search.limit}


def _head(search: SearchRequest, length: int) -> dict[str, Any]:
    """Return the window that begins at the best hit.

    Page mode stays page mode: only then does a node count exactly.
    """
    body = _scored(search)
    if search.is_paged:
        return body | {"page": 1, "hitsPerPage": length}
    return body | {"offset": 0, "limit": length}


def _scored(search: SearchRequest) -> dict[str, Any]:
    return {"showRankingScore": search.show_ranking_score, "showRankingScoreDetails": True}


def _copied(search: SearchRequest) -> dict[str, Any]:
    """Return what nodes are asked just as the user asked."""
    body: dict[str, Any] = {"matchingStrategy": search.matching_strategy}
    if search.sort is not None:
        body["sort"] = search.sort
    if search.distinct is not None:
        body["distinct"] = search.distinct
    if search.attributes_to_search_on is not None:
        body["attributesToSearchOn"] = search.attributes_to_search_on
    if search.ranking_score_threshold is not None:
        body["rankingScoreThreshold"] = search.ranking_score_threshold
    if search.locales is not None:
        body["locales"] = search.locales
    return body | similarity(search)


def _retrieved(search: SearchRequest, rules: IndexRules, *, merged: bool) -> list[str]:
    """Return the attributes to fetch: what may be shown, and for a merge the id and the distinct value."""
    shown = shown_attributes(search, rules)
    if "*" in shown:
        return ["*"]
    needed = (rules.primary_key, distinct_attribute(search, rules)) if merged else ()
    return list(dict.fromkeys([*shown, *(name for name in needed if name is not None)]))


def _formats(search: SearchRequest, rules: IndexRules) -> dict[str, Any]:
    """Return highlighting and cropping, cut to attributes the user may see."""
    body: dict[str, Any] = {}
    if search.attributes_to_highlight is not None:
        body["attributesToHighlight"] = list(displayed_attributes(search.attributes_to_highlight, rules))
        body["highlightPreTag"] = search.highlight_pre_tag
        body["highlightPostTag"] = search.highlight_post_tag
    if search.attributes_to_crop is not None:
        body["attributesToCrop"] = _cropped(search.attributes_to_crop, rules)
        body["cropLength"] = search.crop_length
        body["cropMarker"] = search.crop_marker
    return body


def _cropped(entries: Sequence[str], rules: IndexRules) -> list[str]:
    """Return the ``attribute:length`` entries the user may see, ``*`` with a length included."""
    cropped: dict[str, None] = {}
    for entry in entries:
        name = cropped_attribute(entry)
        length = entry[len(name) :]
        cropped |= dict.fromkeys(f"{shown}{length}" for shown in displayed_attributes((name,), rules))
    return list(cropped)


def cropped_attribute(entry: str) -> str:
    """Return the attribute of an ``attribute:length`` entry; behind the last colon stands a length, if a wrong one."""
    name, colon, _ = entry.rpartition(":")
    return name if colon else entry


def displayed_attributes(names: Sequence[str], rules: IndexRules) -> tuple[str, ...]:
    """Return the named attributes as far as they are displayed; ``*`` becomes all that are.

    As in Meilisearch names are compared whole: neither does a displayed attribute stand for what is nested in it, nor
    one that is asked for.
    """
    if "*" in names:
        return rules.displayed
    shown = (name for name in dict.fromkeys(names) if rules.shows_everything or name in rules.displayed)
    return tuple(name for name in shown if not is_marker(name))
