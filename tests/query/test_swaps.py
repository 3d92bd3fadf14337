"""Requests to swap indexes."""

import pytest

from query.swaps import check_swaps
from schemas.errors import InvalidRequestError, InvalidSearchError


def test_swaps_of_pairs_are_taken() -> None:
    """Any number of pairs, each index once."""
    assert check_swaps([{"indexes": ["a", "b"]}, {"indexes": ["c", "d"]}]) == (("a", "b"), ("c", "d"))
    assert check_swaps([]) == ()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad_request"),
        ([1], "bad_request"),
        ([{}], "missing_swap_indexes"),
        ([{"indexes": ["a", "b"], "nope": 1}], "bad_request"),
        ([{"indexes": "a"}], "invalid_swap_indexes"),
        ([{"indexes": ["a"]}], "invalid_swap_indexes"),
        ([{"indexes": ["a", "a"]}], "invalid_swap_duplicate_index_found"),
    ],
)
def test_swaps_of_another_form_are_refused(body: object, code: str) -> None:
    """Each fault has Meilisearch's code."""
    with pytest.raises((InvalidRequestError, InvalidSearchError)) as caught:
        check_swaps(body)

    assert caught.value.code == code  # type: ignore[attr-defined]  # both have one
