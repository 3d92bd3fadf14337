"""Requests to list documents."""

from typing import Any

import pytest

from query.document_request import DocumentsRequest, parse_fetch, parse_list, parse_vectors, split_list
from schemas.errors import InvalidRequestError, InvalidSearchError


def test_request_without_anything_is_the_default() -> None:
    """Twenty documents from the first, with all fields; null is as if not given."""
    empty = DocumentsRequest()

    assert parse_list({}) == empty
    assert parse_fetch({}) == empty
    assert parse_fetch(dict.fromkeys(("offset", "limit", "fields", "ids", "filter", "sort"))) == empty
    assert (empty.offset, empty.limit) == (0, 20)


def test_request_by_parameters_equals_request_by_body() -> None:
    """Both forms say the same."""
    by_get = parse_list(
        {
            "offset": "3",
            "limit": "5",
            "fields": "id,title",
            "ids": "2,1,2",
            "sort": "_geoPoint(1,2):asc,x:desc",
            "filter": '["a = 1"]',
            "retrieveVectors": "false",
        }
    )
    by_post = parse_fetch(
        {
            "offset": 3,
            "limit": 5,
            "fields": ["id", "title"],
            "ids": [2, "1", 2],
            "sort": ["_geoPoint(1,2):asc", "x:desc"],
            "filter": ["a = 1"],
            "retrieveVectors": False,
        }
    )

    assert by_get == by_post
    assert by_post.ids == ("2", "1")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "bad_request"),
        ({"nope": 1}, "bad_request"),
        ({"offset": -1}, "invalid_document_offset"),
        ({"limit": "1"}, "invalid_document_limit"),
        ({"fields": "id"}, "invalid_document_fields"),
        ({"ids": "1"}, "invalid_document_ids"),
        ({"ids": [1, "a b"]}, "invalid_document_ids"),
        ({"ids": [True]}, "invalid_document_ids"),
        ({"sort": "x:asc"}, "invalid_document_sort"),
        ({"retrieveVectors": 1}, "invalid_document_retrieve_vectors"),
    ],
)
def test_body_that_is_wrong_has_the_fields_code(body: Any, code: str) -> None:
    """Each field has its own code."""
    with pytest.raises((InvalidRequestError, InvalidSearchError)) as caught:
        parse_fetch(body)

    assert caught.value.code == code  # type: ignore[attr-defined]  # both have one


@pytest.mark.parametrize("name", ["offset", "limit"])
def test_parameter_that_is_no_count_is_refused(name: str) -> None:
    """In Meilisearch's words."""
    with pytest.raises(InvalidRequestError, match=f"Invalid value in parameter `{name}`: could not parse `-1`"):
        parse_list({name: "-1"})


def test_vectors_are_true_or_false() -> None:
    """Nothing else."""
    assert parse_vectors("true")
    with pytest.raises(InvalidRequestError):
        parse_vectors("1")


def test_list_splits_at_commas_outside_of_points() -> None:
    """The comma inside a point separates nothing."""
    assert split_list("a,_geoPoint(1,2):asc,b:desc") == ("a", "_geoPoint(1,2):asc", "b:desc")
    assert split_list("") == ()
