"""Answers that are none of a Meilisearch."""

import pytest

from query.shapes import shape_fault

UID = "/indexes/films__1"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (f"{UID}/search", {"hits": []}),
        (f"{UID}/search", {"hits": [{"id": 1}], "estimatedTotalHits": 1}),
        ("/multi-search", {"results": [{"hits": []}]}),
        ("/multi-search", {"hits": [{"_federation": {}}], "limit": 20}),
        (f"{UID}/documents/fetch", {"results": []}),
        (f"{UID}/documents/stats?fields=a", {"id": "stats"}),
        (f"{UID}/stats", {"numberOfDocuments": 0}),
        ("/stats", {"databaseSize": 1}),
        ("/health", {"status": "available"}),
        ("/version", {"pkgVersion": "1.50.0"}),
    ],
)
def test_answer_of_a_meilisearch_has_no_fault(path: str, answer: object) -> None:
    """Whatever else is in it; a document may have any id."""
    assert shape_fault(path, answer) == ""


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (f"{UID}/search", {}),
        (f"{UID}/search", []),
        (f"{UID}/search", None),
        (f"{UID}/search", "maintenance"),
        (f"{UID}/search", {"hits": 1}),
        (f"{UID}/search", {"hits": [1]}),
        (f"{UID}/similar", {"results": []}),
        ("/multi-search", {"results": None}),
        (f"{UID}/facet-search", {}),
        (f"{UID}/documents/fetch", {}),
        (f"{UID}/documents/7", []),
        (f"{UID}/stats", {"numberOfDocuments": "7"}),
        ("/health", {}),
        ("/version", {}),
    ],
)
def test_answer_of_another_server_has_one(path: str, answer: object) -> None:
    """It names what is missing."""
    assert len(shape_fault(path, answer)) > 10
