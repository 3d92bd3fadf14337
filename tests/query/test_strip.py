"""What is taken out of answers."""

from typing import Any

import pytest

from query.rules import IndexRules
from query.search import SearchRequest
from query.strip import select, strip_document, strip_hit, strip_message, strip_report, view_of
from schemas.ids import ShardId
from streams.marker import MARKER_FIELD, marker_of

OPEN = IndexRules(index="films", primary_key="id")
HIDING = IndexRules(index="films", primary_key="id", displayed=("title", "id"))
MARKER = marker_of(ShardId(7))

HIT: dict[str, Any] = {
    MARKER_FIELD: MARKER,
    "id": 1,
    "title": "a",
    "year": 1999,
    "_geoDistance": 5,
    "_rankingScore": 0.5,
    "_rankingScoreDetails": {
        "typo": {"order": 0, "typoCount": 0, "score": 1.0},
        "year:asc": {"order": 1, "value": 1999.0},
    },
    "_formatted": {MARKER_FIELD: MARKER, "id": "1", "title": "<em>a</em>", "year": "1999"},
    "_matchesPosition": {"title": [{"start": 0, "length": 1}], "year": [], MARKER_FIELD: []},
}


def test_open_hit_loses_the_marker_and_what_was_not_asked() -> None:
    """By default a hit shows its document, and neither scores nor the marker."""
    stripped = strip_hit(HIT, view_of(SearchRequest(), OPEN))

    assert stripped == {
        "id": 1,
        "title": "a",
        "year": 1999,
        "_geoDistance": 5,
        "_formatted": {"id": "1", "title": "<em>a</em>", "year": "1999"},
        "_matchesPosition": {"title": [{"start": 0, "length": 1}], "year": []},
    }
    assert MARKER_FIELD in HIT


def test_hidden_attributes_show_nowhere() -> None:
    """What is not displayed shows neither in the document nor formatted, as a position or as a sort value."""
    search = SearchRequest(show_ranking_score=True, show_ranking_score_details=True, attributes_to_highlight=("*",))

    stripped = strip_hit(HIT, view_of(search, HIDING))

    assert stripped == {
        "id": 1,
        "title": "a",
        "_geoDistance": 5,
        "_rankingScore": 0.5,
        "_rankingScoreDetails": {
            "typo": {"order": 0, "typoCount": 0, "score": 1.0},
            "<hidden-rule-1>": {"order": 1, "value": "<hidden>"},
        },
        "_formatted": {"id": "1", "title": "<em>a</em>"},
        "_matchesPosition": {"title": [{"start": 0, "length": 1}]},
    }


def test_attributes_fetched_for_the_merge_go_again() -> None:
    """Only the chosen attributes show; formatted ones show in ``_formatted`` even where not chosen."""
    search = SearchRequest(attributes_to_retrieve=("year",), attributes_to_crop=("title:5",))

    stripped = strip_hit(HIT, view_of(search, OPEN))

    assert [name for name in stripped if not name.startswith("_")] == ["year"]
    assert stripped["_formatted"] == {"title": "<em>a</em>", "year": "1999"}


@pytest.mark.parametrize("attributes", [("a",), ("o",), ("o.k",), ("l.k",), ("x", "a.b", "o.x")])
def test_selection_keeps_named_paths_only(attributes: tuple[str, ...]) -> None:
    """A dotted name is a field within an object, or within each object of an array; unknown names give nothing."""
    document = {"a": 1, "o": {"k": 2, "j": 3}, "l": [{"k": 4, "j": 5}, {"k": 6}, {"j": 7}]}
    expected: dict[tuple[str, ...], object] = {
        ("a",): {"a": 1},
        ("o",): {"o": {"k": 2, "j": 3}},
        ("o.k",): {"o": {"k": 2}},
        ("l.k",): {"l": [{"k": 4}, {"k": 6}]},
    }

    assert select(document, attributes) == expected.get(attributes, {})


@pytest.mark.parametrize(
    ("displayed", "asked", "shows"),
    [(("*",), True, True), (("*",), False, False), (("id",), True, False), (("id", "_vectors"), True, True)],
)
def test_vectors_show_where_they_are_asked_for_and_displayed(
    displayed: tuple[str, ...], *, asked: bool, shows: bool
) -> None:
    """As Meilisearch documents it."""
    rules = IndexRules(index="films", primary_key="id", displayed=displayed)
    view = view_of(SearchRequest(retrieve_vectors=asked), rules)

    shown = strip_hit({"id": 1, "_vectors": {"e": {}}}, view)

    assert ("_vectors" in shown) is shows


def test_document_loses_the_marker() -> None:
    """A document fetched by id shows its own fields, or the chosen ones."""
    document = {MARKER_FIELD: MARKER, "id": 1, "a": 2}

    assert strip_document(document, None) == {"id": 1, "a": 2}
    assert strip_document(document, ("a",)) == {"a": 2}


MESSAGES = {
    "index name": ("Index `films__12` not found.", "Index `films` not found."),
    "listed first": ("patterns are: `_miroir`, `genre`.", "patterns are: `genre`."),
    "listed last": ("patterns are: `genre`, `_miroir`.", "patterns are: `genre`."),
    "listed bare": ("attributes are: `_miroir, genre`.", "attributes are: `genre`."),
    "combined filter": (
        f'Bad latitude `91`.\n13:15 (_geoRadius(91, 2, 3)) AND ("_miroir" IN ["{MARKER}", "{MARKER}"])',
        "Bad latitude `91`.\n12:14 _geoRadius(91, 2, 3)",
    ),
    "combined list": (
        f'Bad latitude `91`.\n13:15 (_geoRadius(91, 2, 3)) AND ("a" = ")") AND ("_miroir" IN ["{MARKER}"])',
        'Bad latitude `91`.\n13:15 (_geoRadius(91, 2, 3)) AND ("a" = ")")',
    ),
    "combined alternatives": (
        f'Filter operator `>` is not allowed.\n4:5 (("a" > "(") OR ("b" = "1")) AND ("_miroir" IN ["{MARKER}"])',
        'Filter operator `>` is not allowed.\n3:4 ("a" > "(") OR ("b" = "1")',
    ),
    "shards alone": (f'Too many values.\n1:9 _miroir IN ["{MARKER}"]', "Too many values.\n1:9 "),
    "rule's number": (
        "field `a` matched rule #4 in `filterableAttributes`\n  - Hint: enable comparison in rule #4 by",
        "field `a` matched rule #3 in `filterableAttributes`\n  - Hint: enable comparison in rule #3 by",
    ),
}


@pytest.mark.parametrize(("given", "shown"), MESSAGES.values(), ids=MESSAGES.keys())
def test_messages_name_the_users_index_and_never_the_marker(given: str, shown: str) -> None:
    """A node's message is shown in the user's terms."""
    assert strip_message(given, node_index="films__12", index="films") == shown


@pytest.mark.parametrize(("given", "shown"), MESSAGES.values(), ids=MESSAGES.keys())
def test_reports_never_show_the_marker_of_whatever_index(given: str, shown: str) -> None:
    """Where it is not known which index a node speaks of, every name of its own loses the incarnation."""
    assert strip_report(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("POST /indexes/films__12/search: 500", "POST /indexes/films/search: 500"),
        ("`a__1__0` and `b-_3__7`", "`a__1` and `b-_3`"),
        ("`a__07`, `__3`, `a__3b`, `a__3-b`", "`a__07`, `__3`, `a__3b`, `a__3-b`"),
    ],
)
def test_report_keeps_what_is_no_name_of_ours(given: str, shown: str) -> None:
    """Only what nodes are made to call an index is taken for one."""
    assert strip_report(given) == shown
