"""Searches held against the user's settings."""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from query.parameters import parse_search_parameters
from query.rules import IndexRules, rules_of
from query.search import Hybrid, SearchRequest, parse_search
from query.validate import validate
from schemas.errors import InvalidSearchError
from streams.marker import MARKER_FIELD

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "conversation.json.gz"

OPEN = IndexRules(index="films", primary_key="id", filterable=("*",), filterable_patterns=("*",), sortable=("*",))
CLOSED = IndexRules(
    index="films",
    primary_key="id",
    displayed=("title", "genre", "year"),
    filterable=("year", "genre", "o"),
    sortable=("year", "rating"),
    searchable=("title", "genre.name", "genre", "secret"),
    ranking_rules=("words", "sort"),
    embedders={"own": 2},
)

REFUSED = {
    "filter": (
        SearchRequest(filter="year > 1 AND nope = 1"),
        (
            "Index `films`: Attribute `nope` is not filterable."
            " Available filterable attribute patterns are: `genre`, `o`, `year`."
            '\n22:26 ("year" > "1") AND ("nope" = "1")'
        ),
    ),
    "lone filter": (
        SearchRequest(filter="nope = 1"),
        (
            "Index `films`: Attribute `nope` is not filterable."
            ' Available filterable attribute patterns are: `genre`, `o`, `year`.\n2:6 "nope" = "1"'
        ),
    ),
    "list of filters": (
        SearchRequest(filter=["nope = 1", ["year > 1", "NOT other IN [a, 'b c']"]]),
        (
            "Index `films`: Attribute `other` is not filterable."
            " Available filterable attribute patterns are: `genre`, `o`, `year`."
            '\n46:51 ("nope" = "1") AND (("year" > "1") OR (NOT ("other" IN ["a", "b c"])))'
        ),
    ),
    "box": (
        SearchRequest(filter="year = 1 AND _geoBoundingBox([45,9],[ 44, 8 ])"),
        (
            "Index `films`: Attribute `_geo/_geojson` is not filterable."
            " Available filterable attribute patterns are: `genre`, `o`, `year`."
            '\n38:40 ("year" = "1") AND (_geoBoundingBox([45, 9], [44, 8]))'
        ),
    ),
    "condition that nodes alone know": (
        SearchRequest(filter="nope = 1 AND _geoPolygon([1,2],[3,4],[5,6])"),
        (
            "Index `films`: Attribute `_geo/_geojson` is not filterable."
            " Available filterable attribute patterns are: `genre`, `o`, `year`."
            "\n14:25 nope = 1 AND _geoPolygon([1,2],[3,4],[5,6])"
        ),
    ),
    "form before attribute": (
        SearchRequest(filter="nope >", sort=("year",)),
        "Was expecting a value but instead got nothing.\n7:7 nope >",
    ),
    "form before feature": (
        SearchRequest(filter="year CONTAINS"),
        "Was expecting a value but instead got nothing.\n14:14 year CONTAINS",
    ),
    "sort before attribute": (
        SearchRequest(filter="nope > 1", sort=("year",)),
        "Invalid syntax for the sort parameter: expected expression ending by `:asc` or `:desc`, found `year`.",
    ),
    "sort": (
        SearchRequest(sort=("year:asc", "title:desc")),
        (
            "Index `films`: Attribute `title` is not sortable."
            " Available sortable attributes are: `year, <..hidden-attributes>`."
        ),
    ),
    "sort without direction": (
        SearchRequest(sort=("year",)),
        "Invalid syntax for the sort parameter: expected expression ending by `:asc` or `:desc`, found `year`.",
    ),
    "searched attribute": (
        SearchRequest(attributes_to_search_on=("title", "year")),
        (
            "Index `films`: Attribute `year` is not searchable."
            " Available searchable attributes are: `genre, title, <..hidden-attributes>`."
        ),
    ),
    "distinct": (
        SearchRequest(distinct="title"),
        (
            "Index `films`: Attribute `title` is not filterable and thus, cannot be used as distinct attribute."
            " Available filterable attributes patterns are: `genre, year, <..hidden-attributes>`."
        ),
    ),
    "facet": (
        SearchRequest(facets=("year", "title")),
        (
            "Invalid facet distribution: Pattern `title` is not filterable."
            " Available filterable attributes patterns are: `genre, o, year`."
        ),
    ),
    "filter before facet": (
        SearchRequest(facets=("title",), filter=5),
        "Invalid syntax for the filter parameter: `expected String, Array, found: 5`.",
    ),
    "filter of a list that is none": (
        SearchRequest(filter=["year = 1", 1]),
        "Invalid syntax for the filter parameter: `expected String, [String], found: 1`.",
    ),
    "filter that is false": (
        SearchRequest(filter=False),
        "Invalid syntax for the filter parameter: `expected String, Array, found: false`.",
    ),
    "filter that is zero": (
        SearchRequest(filter=0),
        "Invalid syntax for the filter parameter: `expected String, Array, found: 0`.",
    ),
    "embedder": (SearchRequest(q="a", hybrid=Hybrid("e")), "Cannot find embedder with name `e`."),
    "vector of another length": (
        SearchRequest(hybrid=Hybrid("own"), vector=(1.0, 2.0, 3.0)),
        "Invalid vector dimensions: expected: `2`, found: `3`.",
    ),
}


def test_refusal_names_no_attribute_that_only_lies_in_a_displayed_one() -> None:
    """Displayed attributes are named as the setting lists them; Meilisearch hides all others from its messages."""
    rules = IndexRules("films", "id", displayed=("o",), sortable=("o", "o.k"), ranking_rules=("sort",))

    with pytest.raises(InvalidSearchError, match=r"Available sortable attributes are: `o, <\.\.hidden-attributes>`\.$"):
        validate(SearchRequest(sort=("nope:asc",)), rules)


@pytest.mark.parametrize(("search", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_forbidden_search_is_refused_in_meilisearchs_words(search: SearchRequest, message: str) -> None:
    """What the settings forbid is refused with what they would allow."""
    with pytest.raises(InvalidSearchError) as refusal:
        validate(search, CLOSED)

    assert str(refusal.value) == message


ALLOWED = {
    "nothing": SearchRequest(),
    "child of a filterable": SearchRequest(filter="o.k = 1", facets=("o.k",), distinct="o.k"),
    "all facets": SearchRequest(facets=("*",)),
    "sort": SearchRequest(sort=("year:desc",)),
    "no filter": SearchRequest(filter=[[]]),
    "embedder that is not looked at": SearchRequest(q="a", hybrid=Hybrid("e", 0.0)),
    "vector": SearchRequest(hybrid=Hybrid("own"), vector=(1.0, 2.0)),
    "searched attributes": SearchRequest(attributes_to_search_on=("title", "*")),
}


@pytest.mark.parametrize("search", ALLOWED.values(), ids=ALLOWED.keys())
def test_allowed_search_passes(search: SearchRequest) -> None:
    """What the settings allow passes."""
    validate(search, CLOSED)


CLOSING = rules_of(
    "films",
    "id",
    {
        "filterableAttributes": [
            "year",
            {
                "attributePatterns": ["ge*"],
                "features": {"facetSearch": False, "filter": {"equality": False, "comparison": False}},
            },
        ]
    },
)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            SearchRequest(distinct="genre"),
            (
                "Index `films`: Attribute `genre` is not filterable and thus, cannot be used as distinct attribute."
                " Note: this attribute matches rule #1 in filterableAttributes, but this rule does not enable"
                " filtering.\nHint: enable filtering in rule #1 by adding appropriate filter features."
                "\nHint: prepend another rule matching genre with filter features before rule #1"
            ),
        ),
        (
            SearchRequest(facets=("genre",)),
            (
                "Invalid facet distribution: Attribute `genre` matched rule #1 in filterableAttributes, but this rule"
                " does not enable filtering.\nHint: enable filtering in rule #1 by modifying the features.filter object"
                "\nHint: prepend another rule matching `genre` with appropriate filter features before rule #1"
            ),
        ),
    ],
    ids=["distinct", "facet"],
)
def test_refusal_names_the_rule_that_forbids(search: SearchRequest, message: str) -> None:
    """An attribute that an entry without the feature stands for is not unknown: its entry is named."""
    with pytest.raises(InvalidSearchError) as refusal:
        validate(search, CLOSING)

    assert str(refusal.value) == message


MARKED = {
    "filter": SearchRequest(filter=f"{MARKER_FIELD} = x"),
    "filter below": SearchRequest(filter=[["a = 1", f"{MARKER_FIELD}.x EXISTS"]]),
    "filter in disguise": SearchRequest(filter=r'"\u{5f}miroir" EXISTS'),
    "sort": SearchRequest(sort=(f"{MARKER_FIELD}:asc",)),
    "distinct": SearchRequest(distinct=MARKER_FIELD),
    "facet": SearchRequest(facets=(MARKER_FIELD,)),
}


@pytest.mark.parametrize("search", MARKED.values(), ids=MARKED.keys())
def test_marker_is_no_attribute_even_where_all_are_allowed(search: SearchRequest) -> None:
    """Naming the hidden field is refused like any attribute that cannot be used."""
    with pytest.raises(InvalidSearchError, match=r"is not (filterable|sortable)"):
        validate(search, OPEN)


def test_sort_without_its_rule_is_refused() -> None:
    """Sorting needs the ``sort`` ranking rule."""
    rules = IndexRules(index="films", primary_key="id", sortable=("year",), ranking_rules=("words",))

    with pytest.raises(InvalidSearchError, match="where `sort` is listed in the rankingRules"):
        validate(SearchRequest(sort=("year:asc",)), rules)


MALFORMED = {
    "no operator": ("year", "Was expecting an operation"),
    "no value": ("year >", "Was expecting a value but instead got nothing."),
    "a list": (["genre = x", ["year > 1 year < 2"]], "Found unexpected characters at the end of the filter"),
    "an open bracket": ("year IN [1, 2", "Expected matching `]`"),
}


@pytest.mark.parametrize(("condition", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_filter_is_refused_here_where_no_node_can_know_more(condition: object, message: str) -> None:
    """A node that is newer than our grammar may take it: then it is the nodes' to refuse."""
    validate(SearchRequest(filter=condition), CLOSED)

    with pytest.raises(InvalidSearchError, match=re.escape(message)) as refusal:
        validate(SearchRequest(filter=condition), replace(CLOSED, knows_filters=True))

    assert refusal.value.code == "invalid_search_filter"


@pytest.mark.parametrize("condition", ["genre CONTAINS a", "genre CONTAINSa", ["year = 1", "NOT genre CONTAINS 'a'"]])
def test_operator_that_is_off_is_refused_as_that(condition: object) -> None:
    """Whether or not a blank stands behind it; a value that begins like it is one."""
    rules = replace(CLOSED, knows_filters=True)

    with pytest.raises(InvalidSearchError, match="requires enabling the `contains filter` experimental") as refusal:
        validate(SearchRequest(filter=condition), rules)
    validate(SearchRequest(filter="genre = CONTAINSa"), rules)

    assert refusal.value.code == "feature_not_enabled"


@pytest.mark.parametrize(
    "condition",
    ["year > 1", "_geoPolygon([1, 2], [3, 4], [5, 6])", "_foreign(o, id = 1)"],
    ids=["known", "polygon", "foreign"],
)
def test_filter_that_only_nodes_know_is_theirs_to_judge(condition: str) -> None:
    """Conditions that miroir has no grammar of pass."""
    validate(SearchRequest(filter=condition), replace(OPEN, knows_filters=True))


def _refusal(step: Mapping[str, Any], rules: IndexRules) -> tuple[str, str] | None:
    try:
        if step["method"] == "POST":
            search = parse_search(step["body"])
        else:
            search = parse_search_parameters(dict(parse_qsl(urlsplit(step["path"]).query)))
        validate(search, rules)
    except InvalidSearchError as refusal:
        return refusal.code, str(refusal)
    return None


@pytest.mark.skipif(not RECORDED.is_file(), reason="no recordings beside the checkout (../shared/fixtures)")
def test_recorded_searches_are_judged_as_recorded() -> None:
    """Every recorded search of an index without settings passes or gets the recorded error."""
    steps = json.loads(gzip.decompress(RECORDED.read_bytes()))["steps"]
    rules = rules_of("movies", "id", {})
    judged = 0
    for step in steps:
        if not step["path"].startswith("/indexes/movies/search") or "raw" in step:
            continue
        wanted = (step["response"]["code"], step["response"]["message"]) if step["status"] == 400 else None
        assert _refusal(step, rules) == wanted, step
        judged += 1
    assert judged >= 40


@pytest.mark.parametrize(
    "wrong", [SearchRequest(facets=("a",)), SearchRequest(distinct="a")], ids=["facets", "distinct"]
)
def test_one_filterable_attribute_is_told_as_several_are(wrong: SearchRequest) -> None:
    """Meilisearch's words know no singular."""
    with pytest.raises(InvalidSearchError, match="Available filterable attributes patterns are: `year`"):
        validate(wrong, IndexRules(index="films", primary_key="id", filterable=("year",)))
