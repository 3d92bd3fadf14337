"""Requests to list documents."""

from typing import Any

import pytest

from query.document_request import DocumentsRequest, parse_document_flag, parse_fetch, parse_list, split_list
from schemas.errors import InvalidRequestError, InvalidSearchError


def test_request_without_anything_is_the_default() -> None:
    """Twenty documents from the first, with all fields; where there may be none of it, null is as if not given."""
    empty = DocumentsRequest()

    assert parse_list({}) == empty
    assert parse_fetch({}) == empty
    assert parse_fetch(dict.fromkeys(("fields", "ids", "filter", "sort", "useNetwork"))) == empty
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
        ({"offset": None}, "invalid_document_offset"),
        ({"limit": None}, "invalid_document_limit"),
        ({"useNetwork": 1}, "invalid_document_use_network"),
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


@pytest.mark.parametrize("name", ["retrieveVectors", "useNetwork"])
def test_flags_are_true_or_false(name: str) -> None:
    """Nothing else."""
    assert parse_document_flag(name, "true")
    with pytest.raises(InvalidRequestError, match=f"parameter `{name}`: could not parse `1` as a boolean"):
        parse_document_flag(name, "1")


def test_list_splits_at_commas() -> None:
    """Nothing at all is no item."""
    assert split_list("a,b") == ("a", "b")
    assert split_list("") == ()


def test_sort_and_filter_are_read_as_those_of_a_search() -> None:
    """Blanks around criteria go, an empty one is none, and a filter may be any JSON."""
    assert parse_list({"sort": "title:asc, _geoPoint(1, 2):desc"}).sort == ("title:asc", "_geoPoint(1,2):desc")
    assert parse_list({"sort": ""}).sort == ("",)
    assert parse_list({"filter": "3"}).condition == 3
