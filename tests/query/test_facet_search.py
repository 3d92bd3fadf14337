"""Facet search over shards, with one embedded engine as oracle."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query.facet_search import (
    FacetSearchCase,
    check_facet_search,
    facet_search_body,
    merge_facet_hits,
    parse_facet_search,
)
from query.rounds import Ask, Purpose
from query.routing import Part
from query.rules import IndexRules, rules_of
from schemas.errors import InvalidSearchError
from schemas.ids import NodeId, ShardId
from streams.marker import marker_of, shards_filter
from tests.query.embedded import EmbeddedIndex, ShardedIndex

RULES = IndexRules(index="films", primary_key="id", filterable=("kind",), facet_searchable=("kind",))
HIDING = IndexRules(
    index="films", primary_key="id", displayed=("kind",), facet_searchable=("kind", "secret"), filterable=("kind",)
)
PART = Part(NodeId("a"), (ShardId(1),))
ASK = Ask(Purpose.HEADS)
KINDS: st.SearchStrategy[Any] = st.sampled_from(
    ["Drama", "drama", "Éclair", "ecru", "Comedy", ["War", "Drama"], 7, None]
)


@settings(max_examples=50)
@given(
    st.lists(KINDS, max_size=40),
    st.sampled_from(["alpha", "count"]),
    st.sampled_from([None, "d", "é", "c", "x"]),
    st.sampled_from([{}, {"q": "word"}, {"filter": "kind != Comedy"}]),
    st.integers(1, 6),
)
def test_facet_search_over_shards_equals_the_single_engines(
    kinds: list[Any], order: str, query: str | None, wish: dict[str, str], values_max: int
) -> None:
    """Values and counts are those of one engine with all documents; the order among equal counts is Meilisearch's."""
    faceting = {"maxValuesPerFacet": values_max, "sortFacetValuesBy": {"*": order}}
    wanted_settings = {"filterableAttributes": ["kind"], "faceting": faceting}
    documents = [{"id": at, "kind": kind, "text": "word" if at % 3 else ""} for at, kind in enumerate(kinds)]
    body = {"facetName": "kind", "facetQuery": query, **wish}

    wanted = EmbeddedIndex("films", wanted_settings, documents).facet_search(body)
    got = ShardedIndex("films", wanted_settings, documents).facet_search(body)

    assert got.exact
    assert [hit["count"] for hit in got.hits] == [hit["count"] for hit in wanted]
    if order == "alpha":
        assert [hit["value"].lower() for hit in got.hits] == [hit["value"].lower() for hit in wanted]


def test_facet_hits_by_count_end_with_the_earlier_name() -> None:
    """Among equal counts the later name stands first, and counts of one value are added up."""
    rules = IndexRules(index="films", primary_key="id", facet_values_max=3, facet_orders={"*": "count"})
    lists = [
        [{"value": "b", "count": 2}, {"value": "a", "count": 1}],
        [{"value": "A", "count": 1}, {"value": "c", "count": 1}],
    ]

    found = merge_facet_hits(lists, rules=rules, facet="kind")

    assert [(hit["value"], hit["count"]) for hit in found.hits] == [("b", 2), ("a", 2), ("c", 1)]


def test_facet_hits_of_a_text_stand_by_name_without_accents() -> None:
    """Searched values are walked in the order of their plain letters, listed ones in that of their facet form."""
    lists = [[{"value": "Éclair", "count": 1}], [{"value": "ecru", "count": 1}]]

    searched = merge_facet_hits(lists, rules=RULES, facet="kind", searched=True)
    listed = merge_facet_hits(lists, rules=RULES, facet="kind")

    assert [hit["value"] for hit in searched.hits] == ["Éclair", "ecru"]
    assert [hit["value"] for hit in listed.hits] == ["ecru", "Éclair"]


def test_facet_hits_by_count_of_cut_lists_are_not_called_exact() -> None:
    """What a node left out may have counted."""
    rules = IndexRules(
        index="films", primary_key="id", facet_values_max=1, facet_values_node=1, facet_orders={"*": "count"}
    )
    lists = [[{"value": "b", "count": 2}], [{"value": "c", "count": 1}]]

    assert not merge_facet_hits(lists, rules=rules, facet="kind").exact
    assert merge_facet_hits(lists[:1], rules=rules, facet="kind").exact


def test_node_is_asked_for_its_shards_without_the_marker_in_texts() -> None:
    """The user's filter and the shards' both count; no text can meet the marker."""
    marker = marker_of(ShardId(1))
    wanted = parse_facet_search({"facetName": "kind", "facetQuery": f"d{marker}", "q": marker, "filter": "kind = a"})

    body = facet_search_body(FacetSearchCase(wanted, RULES, 4), ASK, PART)
    whole = facet_search_body(FacetSearchCase(wanted, RULES, 1), ASK, PART)

    assert body["filter"] == ["kind = a", shards_filter(PART.shards)]
    assert (body["facetName"], body["facetQuery"], body["q"]) == ("kind", "d", "")
    assert whole["filter"] == "kind = a"


HINT = "To make it facet-searchable add it to the `filterableAttributes` index settings."
REFUSED = {
    "not searchable": (
        {"facetName": "nope"},
        RULES,
        "invalid_facet_search_facet_name",
        "Attribute `nope` is not facet-searchable. Available facet-searchable attributes patterns are: `kind`.",
    ),
    "marker": (
        {"facetName": "_miroir"},
        rules_of("films", "id", {"filterableAttributes": ["*"]}),
        "invalid_facet_search_facet_name",
        "Attribute `_miroir` is not facet-searchable. Available facet-searchable attributes patterns are: `*`.",
    ),
    "hidden": (
        {"facetName": "nope"},
        HIDING,
        "invalid_facet_search_facet_name",
        "Attribute `nope` is not facet-searchable. Available facet-searchable attributes patterns are:",
    ),
    "nested in a displayed one": (
        {"facetName": "nope"},
        IndexRules(index="films", primary_key="id", displayed=("kind",), facet_searchable=("kind", "kind.a")),
        "invalid_facet_search_facet_name",
        "Attribute `nope` is not facet-searchable. Available facet-searchable attributes patterns are:",
    ),
    "filter first": (
        {"facetName": "nope", "filter": "year > 1990"},
        IndexRules(index="films", primary_key="id"),
        "invalid_search_filter",
        "Attribute `year` is not filterable. This index does not have configured filterable attributes.",
    ),
    "disabled": (
        {"facetName": "kind"},
        rules_of("films", "id", {"facetSearch": False, "filterableAttributes": ["kind"]}),
        "facet_search_disabled",
        "The facet search is disabled for this index",
    ),
}


@pytest.mark.parametrize(("body", "rules", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_facet_search_is_refused_in_meilisearchs_words(
    body: dict[str, Any], rules: IndexRules, code: str, message: str
) -> None:
    """What the user's settings forbid never reaches a node."""
    with pytest.raises(InvalidSearchError) as caught:
        check_facet_search(parse_facet_search(body), rules)

    first, _, second = str(caught.value).partition("\n")
    assert caught.value.code == code
    assert first in (message, f"{message} {HINT}", f"{message} `kind, <..hidden-attributes>`. {HINT}")
    assert second in ("", "1:5 year > 1990")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_facet_search_facet_name"),
        ({"facetName": 1}, "invalid_facet_search_facet_name"),
        ({"facetName": "a", "facetQuery": 1}, "invalid_facet_search_query"),
        ({"facetName": "a", "exhaustiveFacetCount": 1}, "invalid_facet_search_exhaustive_facet_count"),
        ({"facetName": "a", "q": 1}, "invalid_search_q"),
        ([], "bad_request"),
    ],
    ids=["no name", "name", "query", "exhaustive", "search", "no object"],
)
def test_malformed_facet_search_is_refused(body: object, code: str) -> None:
    """Wrong types are named by Meilisearch's codes."""
    with pytest.raises(InvalidSearchError) as caught:
        parse_facet_search(body)

    assert caught.value.code == code


def test_facet_search_leaves_other_fields_alone() -> None:
    """Clients send what their search asks for along, whatever it is; as in Meilisearch it does not matter."""
    besides = {"limit": "x", "facets": ["kind"], "attributesToHighlight": ["*"], "sort": ["year:asc"], "anything": 1}

    assert parse_facet_search({"facetName": "kind", "q": "a", **besides}) == parse_facet_search(
        {"facetName": "kind", "q": "a"}
    )
    assert parse_facet_search({"facetName": "kind", "useNetwork": True}).search.unsupported == ("useNetwork",)


def test_refusal_names_the_entry_without_the_feature() -> None:
    """An attribute that an entry stands for is not unknown: the entry is named, and what to do."""
    entries = ["year", {"attributePatterns": ["ki*"]}]
    rules = rules_of("films", "id", {"filterableAttributes": entries})

    with pytest.raises(InvalidSearchError) as refused:
        check_facet_search(parse_facet_search({"facetName": "kind"}), rules)

    assert refused.value.code == "invalid_facet_search_facet_name"
    assert str(refused.value) == (
        "Attribute `kind` is not facet-searchable. Note: this attribute matches rule #1 in filterableAttributes, but"
        " this rule does not enable facetSearch.\nHint: enable facetSearch in rule #1 by adding"
        ' `"facetSearch": true` to the rule.\n'
        "Hint: prepend another rule matching kind with facetSearch: true before rule #1"
    )
