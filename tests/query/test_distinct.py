"""Values of the distinct attribute: which documents share one."""

import pytest

from query.distinct import DistinctValues, values_at

PAIRS = {
    "equal texts": ("a", "a", False),
    "case and blanks": ("Drama", " drama", False),
    "accents": ("eclair", "éclair", True),
    "number and its text": (1, "1", True),
    "whole and float": (1, 1.0, False),
    "any value of a list": (["a", "b"], ["c", "b"], False),
    "nothing": (None, None, True),
    "empty text": ("", "", True),
    "bool and its name": (True, "true", False),
    "objects": ({"k": 1}, {"k": 1}, True),
}


@pytest.mark.parametrize(("first", "second", "kept"), PAIRS.values(), ids=PAIRS.keys())
def test_second_document_is_kept_unless_it_shares_a_value(
    first: object,
    second: object,
    kept: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Values compare in the facet form, numbers and texts apart; without a value nothing is shared."""
    values = DistinctValues("v")

    assert values.add({"v": first})
    assert values.add({"v": second}) is kept


def test_dropped_document_leaves_no_values() -> None:
    """A document that was dropped drops no other."""
    values = DistinctValues("v")

    assert [values.add({"v": v}) for v in ("a", ["a", "b"], "b")] == [True, False, True]


@pytest.mark.parametrize(
    "document",
    [{"o": {"k": "x"}}, {"o": [{"k": "x"}, {"j": "y"}]}, {"o.k": "x"}, {"o": {"k": ["x", None]}}],
    ids=["object", "array of objects", "dotted name", "array within"],
)
def test_values_are_found_through_objects_and_arrays(document: dict[str, object]) -> None:
    """A dotted name reaches the leaves a node would index under it."""
    assert list(values_at(document, "o.k")) == ["x"]
