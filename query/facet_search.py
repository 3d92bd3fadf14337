"""A search in the values of a facet, over shards: parsed, checked, asked, merged.

Every node lists the values its documents have among its shards, with counts; the same values (by facet form) are added
up, ordered as Meilisearch orders them, and cut to ``maxValuesPerFacet`` after that. What always holds: the outcome is
exact unless a node itself cut its list, and then it says so where the cut may matter. Who calls it: the facet search
route. It must not know: nodes, HTTP.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from query.body import read_flag, read_string, wrong_type
from query.facets import facet_form
from query.rewrite import is_marker, similarity, user_filter, with_shards
from query.rounds import Ask, Purpose, Round
from query.routing import Part
from query.rules import IndexRules, covers
from query.search import SearchRequest, parse_search
from query.validate import check_filter, named_attributes
from schemas.errors import InvalidSearchError
from schemas.meilisearch_requests import FACET_SEARCH_FIELDS
from streams.marker import strip_plane_15

_OWN = ("facetName", "facetQuery", "exhaustiveFacetCount")
_SEARCH_FIELDS = frozenset((*FACET_SEARCH_FIELDS, "media", "useNetwork")).difference(_OWN)
"""Clients send along what their searches ask for; as in Meilisearch, what is not named here is left alone."""


@dataclass(frozen=True, slots=True)
class FacetSearch:
    """A facet search as its user wrote it.

    Attributes:
        name: the facet.
        query: what its values are to begin with, typos allowed; None is all values.
        exhaustive: whether candidates are looked at to the end.
        search: which documents count.
    """

    name: str
    query: str | None
    exhaustive: bool | None
    search: SearchRequest


@dataclass(frozen=True, slots=True)
class FacetHits:
    """What was found: values with counts, in order, and whether they are all there and right."""

    hits: tuple[Mapping[str, Any], ...]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class FacetSearchCase:
    """What is the same in all rounds of a facet search."""

    wanted: FacetSearch
    rules: IndexRules
    shards: int


def parse_facet_search(body: object) -> FacetSearch:
    """Return the facet search of a POST body; fields that mean nothing to one are left alone.

    Raises:
        InvalidSearchError: a field is missing, or has a wrong type or value.
    """
    if not isinstance(body, dict):
        raise wrong_type(body, "bad_request", "", "an object")
    if "facetName" not in body:
        raise InvalidSearchError("missing_facet_search_facet_name", "Missing field `facetName`")
    name = read_string(body["facetName"], "invalid_facet_search_facet_name", ".facetName")
    query, exhaustive = body.get("facetQuery"), body.get("exhaustiveFacetCount")
    return FacetSearch(
        name,
        None if query is None else read_string(query, "invalid_facet_search_query", ".facetQuery"),
        None
        if exhaustive is None
        else read_flag(exhaustive, "invalid_facet_search_exhaustive_facet_count", ".exhaustiveFacetCount"),
        parse_search({name: value for name, value in body.items() if name in _SEARCH_FIELDS}),
    )


def check_facet_search(wanted: FacetSearch, rules: IndexRules) -> None:
    """Refuse what the user's settings do not allow, in the order in which Meilisearch looks.

    Raises:
        InvalidSearchError: with Meilisearch's code and message for the first fault.
    """
    if not rules.facet_search:
        raise InvalidSearchError("facet_search_disabled", "The facet search is disabled for this index")
    check_filter(wanted.search.filter, rules)
    if not is_marker(wanted.name) and covers(rules.facet_searchable, wanted.name):
        return
    patterns = sorted(rules.facet_searchable)
    known = "This index does not have configured facet-searchable attributes."
    if patterns:
        known = f"Available facet-searchable attributes patterns are: `{', '.join(named_attributes(patterns, rules))}`."
    rule = None if is_marker(wanted.name) else rules.entry_of(wanted.name)
    if rule is not None:
        note = (
            f"Note: this attribute matches rule #{rule} in filterableAttributes, but this rule does not enable"
            f' facetSearch.\nHint: enable facetSearch in rule #{rule} by adding `"facetSearch": true` to the rule.\n'
            f"Hint: prepend another rule matching {wanted.name} with facetSearch: true before rule #{rule}"
        )
        message = f"Attribute `{wanted.name}` is not facet-searchable. {note}"
        raise InvalidSearchError("invalid_facet_search_facet_name", message)
    hint = "To make it facet-searchable add it to the `filterableAttributes` index settings."
    message = f"Attribute `{wanted.name}` is not facet-searchable. {known} {hint}"
    raise InvalidSearchError("invalid_facet_search_facet_name", message)


def facet_search_body(case: FacetSearchCase, _ask: Ask, part: Part) -> dict[str, Any]:
    """Return the body of the facet search that a part's node is asked."""
    wanted, search = case.wanted, case.wanted.search
    whole = len(part.shards) == case.shards
    given = {
        "facetQuery": None if wanted.query is None else strip_plane_15(wanted.query),
        "q": None if search.q is None else strip_plane_15(search.q),
        "filter": user_filter(search.filter) if whole else with_shards(search.filter, part.shards),
        "attributesToSearchOn": search.attributes_to_search_on,
        "rankingScoreThreshold": search.ranking_score_threshold,
        "locales": search.locales,
        "exhaustiveFacetCount": wanted.exhaustive,
    }
    body = {"facetName": wanted.name, "matchingStrategy": search.matching_strategy, **similarity(search)}
    return body | {name: value for name, value in given.items() if value is not None}


def decide_facet_search(case: FacetSearchCase, _route: Sequence[Part], rounds: Sequence[Round]) -> Ask | FacetHits:
    """Return the one question, then the outcome."""
    if not rounds:
        return Ask(Purpose.HEADS)
    lists = [answer["facetHits"] for _, answer in rounds[-1].answers]
    return merge_facet_hits(lists, rules=case.rules, facet=case.wanted.name, searched=case.wanted.query is not None)


def merge_facet_hits(
    lists: Sequence[Sequence[Mapping[str, Any]]], *, rules: IndexRules, facet: str, searched: bool = False
) -> FacetHits:
    """Return the values of all nodes' ``facetHits``: by name, or by count with the later name first among equals.

    Args:
        lists: one of each node.
        rules: the user's order and cut, and the nodes' own cut.
        facet: its name.
        searched: whether a text was searched for: then names compare without their accents first.
    """
    counts: dict[str, int] = {}
    shown: dict[str, tuple[int, str]] = {}
    for hits in lists:
        for hit in hits:
            form = facet_form(hit["value"])
            counts[form] = counts.get(form, 0) + hit["count"]
            shown[form] = max(shown.get(form, (0, "")), (hit["count"], hit["value"]))
    by_count = rules.facet_order(facet) == "count"
    if by_count:
        order = sorted(counts, key=lambda form: (counts[form], shown[form][1]), reverse=True)
    else:
        order = sorted(counts, key=lambda form: (_plain(form) if searched else "", form))
    kept = order[: rules.facet_values_max]
    # By name every list holds its first values, and the first of all are among them; counts may be in what was cut.
    cut = [hits for hits in lists if len(hits) >= rules.facet_values_node]
    exact = len(lists) == 1 or not cut or not by_count
    return FacetHits(tuple({"value": shown[form][1], "count": counts[form]} for form in kept), exact)


def _plain(form: str) -> str:
    """Return the form without accents: facet searches walk values in this order."""
    if form.isascii():
        return form
    return "".join(letter for letter in unicodedata.normalize("NFKD", form) if not unicodedata.combining(letter))
