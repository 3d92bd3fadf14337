"""The order of listed documents over several lists."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.document_order import fold_text, merge_sorted, parse_criteria, sort_key

values = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from(["a", "B", "é", "ab", " a", ""]))
documents = st.lists(st.fixed_dictionaries({"x": st.one_of(values, st.lists(values, max_size=3)), "y": values}))


@given(st.lists(documents, max_size=4), st.sampled_from(["asc", "desc"]), st.integers(0, 9), st.integers(0, 9))
def test_merge_of_sorted_lists_is_one_sorted_list(
    lists: list[list[dict[str, Any]]], direction: str, offset: int, limit: int
) -> None:
    """Merged lists are in order, keep each list's own order, and any window is a piece of the whole."""
    criteria = parse_criteria([f"x:{direction}", "y:asc"])
    ordered = [sorted(each, key=lambda document: sort_key(document, criteria)) for each in lists]

    whole = merge_sorted(ordered, criteria, offset=0, limit=10_000)
    window = merge_sorted(ordered, criteria, offset=offset, limit=limit)

    keys = [sort_key(document, criteria) for document in whole]
    assert keys == sorted(keys)
    assert len(whole) == sum(map(len, lists))
    assert window == whole[offset : offset + limit]
    for each in ordered:
        places = [next(at for at, found in enumerate(whole) if found is document) for document in each]
        assert places == sorted(places)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("x:asc", [1, 2, 10, "Ab", "éa", None]),
        ("x:desc", [10, 2, 1, "éa", "Ab", None]),
    ],
)
def test_order_is_numbers_then_texts_then_nothing(sort: str, expected: list[object]) -> None:
    """In both directions numbers come first and documents without a value last."""
    criteria = parse_criteria([sort])
    lists = [[{"x": value}] for value in ("éa", None, 10, 1, "Ab", 2)]

    assert [found.get("x") for found in merge_sorted(lists, criteria, offset=0, limit=9)] == expected


def test_order_of_nested_and_several_values() -> None:
    """Fields are found within objects and lists; the least value counts, going down the greatest."""
    one: dict[str, Any] = {"a": {"b": [5, 1]}}
    other: dict[str, Any] = {"a": [{"b": 3}], "a.b": 2}

    assert merge_sorted([[other], [one]], parse_criteria(["a.b:asc"]), offset=0, limit=2) == [one, other]
    assert merge_sorted([[other], [one]], parse_criteria(["a.b:desc"]), offset=0, limit=2) == [one, other]


def test_order_by_distance_puts_documents_without_a_place_last() -> None:
    """Nearest or farthest first."""
    near: dict[str, Any] = {"_geo": {"lat": 1, "lng": 1}}
    far: dict[str, Any] = {"_geo": {"lat": "50", "lng": 50}}
    nowhere: dict[str, Any] = {"_geo": None}
    lists = [[nowhere], [far], [near]]

    by_near = merge_sorted(lists, parse_criteria(["_geoPoint(0, 0):asc"]), offset=0, limit=3)
    by_far = merge_sorted(lists, parse_criteria(["_geoPoint(0,0):desc"]), offset=0, limit=3)

    assert by_near == [near, far, nowhere]
    assert by_far == [far, near, nowhere]


def test_texts_fold_case_and_keep_accents() -> None:
    """As the nodes compare values of facets."""
    assert fold_text(" Éclair ") == "e\u0301clair"
