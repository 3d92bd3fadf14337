"""Search in the values of a facet on the embedded node."""

import pytest

from tests.query.embedded import EmbeddedIndex

KINDS = ["b", "a", "c", "c", "Éa", "z", "z", "z"]


@pytest.mark.parametrize(
    ("order", "values_max", "wanted"),
    [
        ("count", 10, [("z", 3), ("c", 2), ("Éa", 1), ("b", 1), ("a", 1)]),
        ("count", 4, [("z", 3), ("c", 2), ("Éa", 1), ("b", 1)]),
        ("alpha", 3, [("a", 1), ("b", 1), ("c", 2)]),
        ("count", 0, []),
    ],
)
def test_values_of_equal_counts_stand_with_the_later_text_first(
    order: str, values_max: int, wanted: list[tuple[str, int]]
) -> None:
    """By count, ties by text falling; by name, the first ones."""
    faceting = {"maxValuesPerFacet": values_max, "sortFacetValuesBy": {"*": order}}
    documents = [{"id": number, "kind": kind} for number, kind in enumerate(KINDS)]
    index = EmbeddedIndex("films", {"filterableAttributes": ["kind"], "faceting": faceting}, documents)

    found = index.facet_search({"facetName": "kind"})

    assert [(hit["value"], hit["count"]) for hit in found] == wanted
