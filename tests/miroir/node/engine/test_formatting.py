"""What hits show of their texts: cropped, highlighted, located."""

from typing import Any

import pytest

from miroir.node.engine.search import search
from miroir.node.engine.search_request import parse_search
from miroir.node.indexing.batch import BatchTask
from miroir.node.sqlite.index_reader import SqliteIndexReader
from tests.miroir.node.indexing.test_batch import Bench

TEXT = "C++ and C# are in node.js land, by J. R. R. Tolkien|others"


def formatted(request: dict[str, Any], settings: dict[str, Any], **document: Any) -> dict[str, Any]:
    """Return the one hit of a search in an index with these settings."""
    bench = Bench()
    bench.run([BatchTask(1, "a", "settings", {"changes": settings})])
    bench.apply([("replace", [{"id": 1, "text": TEXT, **document}])])
    answer = search(SqliteIndexReader(bench.store.db, bench.record), parse_search(request))
    hit: dict[str, Any] = answer["hits"][0]
    return hit


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "C++ and C# are in node…"),
        ({"nonSeparatorTokens": ["#", "+"]}, "C++ and C# are in node…"),
        ({"nonSeparatorTokens": ["."]}, "C++ and C# are in node.js…"),
        ({"separatorTokens": ["n"]}, "C++ and C# are i…"),
        ({"dictionary": ["C++ and"]}, "C++ and C# are in node.js…"),
    ],
    ids=["none", "joined signs", "joined dots", "more separators", "dictionary"],
)
def test_crop_without_a_query_counts_words_by_the_settings(settings: dict[str, Any], expected: str) -> None:
    """Separators and dictionary of the index decide what a word is, also where no word was looked for."""
    hit = formatted({"attributesToCrop": ["text"], "cropLength": 6}, settings)

    assert hit["_formatted"]["text"] == expected


def test_highlight_marks_words_and_turns_numbers_into_text() -> None:
    """A typed prefix is marked as far as it was typed; null and booleans stay."""
    request = {"q": "tolk", "attributesToHighlight": ["*"]}

    hit = formatted(request, {"separatorTokens": ["|"]}, count=3, open=True, none=None)

    shown = hit["_formatted"]
    assert shown["text"].endswith("<em>Tolk</em>ien|others")
    assert (shown["count"], shown["open"], shown["none"]) == ("3", True, None)


def test_synonym_is_marked_as_a_whole() -> None:
    """However much of its key was typed, and only where it stands as a word of its own."""
    request = {"q": "by", "attributesToHighlight": ["text"]}

    hit = formatted(request, {"synonyms": {"by": ["land"]}}, text="by landing on land")

    assert hit["_formatted"]["text"] == "<em>by</em> landing on <em>land</em>"


def test_positions_of_matches_are_bytes_of_the_text() -> None:
    """Starts and lengths count UTF-8 bytes, and name the place in an array."""
    hit = formatted({"q": "été", "showMatchesPosition": True}, {}, tags=["à l'été"])

    assert hit["_matchesPosition"] == {"tags": [{"start": 5, "length": 5, "indices": [0]}]}


@pytest.mark.parametrize(("displayed", "shown"), [(["*"], True), (["_vectors"], True), (["id"], False)])
def test_vectors_are_shown_where_they_are_displayed(displayed: list[str], shown: bool) -> None:  # noqa: FBT001 - a column of the table
    """Asked for or not, an attribute that is not displayed is not shown."""
    hit = formatted({"retrieveVectors": True}, {"displayedAttributes": displayed})

    assert ("_vectors" in hit) is shown


def test_crop_length_that_is_no_number_is_passed_over() -> None:
    """A length of thousands of digits is none: the request's own counts."""
    hit = formatted({"attributesToCrop": [f"text:{'9' * 5_000}"], "cropLength": 1}, {})

    assert hit["_formatted"]["text"] == "C…"
