"""Documents as the node lists them."""

import pytest

from tests.miroir.node.process import NodeProcess

pytestmark = pytest.mark.slow

DOCUMENTS = [{"id": 1, "a": 2, "b": 1}, {"id": 2, "a": 1, "b": 1}, {"id": 3, "a": 1, "b": 2}, {"id": 4}]


def test_documents_are_listed_by_any_number_of_criteria(node: NodeProcess) -> None:
    """Each criterion orders what those before it leave together, however many there are."""
    node.run("POST", "/indexes/a/documents", DOCUMENTS)
    node.run("PATCH", "/indexes/a/settings", {"sortableAttributes": ["a", "b"]})

    two = node.call("POST", "/indexes/a/documents/fetch", {"sort": ["a:asc", "b:desc"]})
    many = node.call("POST", "/indexes/a/documents/fetch", {"sort": ["a:asc"] * 3_000 + ["b:desc"]})
    unknown = node.call("POST", "/indexes/a/documents/fetch", {"sort": ["a:asc", "zz:asc"]})

    assert [document["id"] for document in two.body["results"]] == [3, 2, 1, 4]
    assert many.body == two.body
    assert unknown.body["code"] == "invalid_document_sort"
