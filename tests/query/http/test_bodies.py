"""Bodies and parameters: taken as they are, or refused in Meilisearch's words."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from query.http.bodies import json_response, parse_json, read_count, read_fields, read_json, read_parameters
from schemas.errors import InvalidRequestError


def refused(code: str) -> Any:
    """Return a context in which a refusal with this code is expected."""
    return pytest.raises(InvalidRequestError, check=lambda error: error.code == code)


def test_json_response_is_json_with_its_status_and_headers() -> None:
    """Numbers as keys become text, as clients expect."""
    answer = json_response({1: None}, status=202, headers={"X-Miroir-Token": "t"})

    assert (answer.status, answer.content_type, answer.headers["X-Miroir-Token"]) == (202, "application/json", "t")
    assert isinstance(answer.body, bytes)
    assert orjson.loads(answer.body) == {"1": None}


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, "missing_content_type"), ({"Content-Type": "text/plain"}, "invalid_content_type")],
    ids=["none", "another"],
)
async def test_read_json_of_another_content_type_is_refused(headers: dict[str, str], code: str) -> None:
    """A body is JSON because its sender says so."""
    with refused(code):
        await read_json(make_mocked_request("POST", "/", headers=headers))


def test_parse_json_of_nothing_says_so() -> None:
    """An empty body is no malformed one, in Meilisearch's words."""
    with refused("missing_payload") as caught:
        parse_json(b"")

    assert str(caught.value) == "A json payload is missing."


@pytest.mark.parametrize("body", [b"{", b" ", b"nul", b'"\\ud800"', b"[" * 5000])
def test_parse_json_of_no_json_names_where_it_stops(body: bytes) -> None:
    """Also of brackets without end."""
    with refused("malformed_payload") as caught:
        parse_json(body)

    assert " at line " in str(caught.value)


def test_read_parameters_unknown_one_is_refused_with_those_there_are() -> None:
    """A typing error shows, with a guess where one is near."""
    request = make_mocked_request("GET", "/indexes?limt=3")

    with refused("bad_request") as caught:
        read_parameters(request, ("limit", "offset"))
    assert "did you mean `limit`?" in str(caught.value)
    with refused("bad_request") as caught:
        read_parameters(request, ())
    assert "there is none" in str(caught.value)
    assert dict(read_parameters(request, ("limt",))) == {"limt": "3"}


def deep(levels: int) -> list[Any]:
    """Return lists inside one another."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "expected an object, but found an array: `[]`"),
        (7, "expected an object, but found a positive integer: `7`"),
        (deep(400), "expected an object, but found an array: `[…]`"),
        ({"uid": 1, "uids": 2}, "Unknown field `uids`: did you mean `uid`?"),
    ],
    ids=["list", "number", "too deep to be shown", "another field"],
)
def test_read_fields_of_anything_but_known_fields_is_refused(body: Any, text: str) -> None:
    """Never with an internal error, however odd it is."""
    with refused("bad_request") as caught:
        read_fields(body, ("uid", "primaryKey"))

    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["-1", "1.5", "", "ten", "\u0661"])
def test_read_count_of_no_count_is_refused_with_its_code(text: str) -> None:
    """With the code of its route."""
    with refused("invalid_index_limit"):
        read_count({"limit": text}, "limit", 20, "invalid_index_limit")


def test_read_count_is_the_default_where_none_is_given() -> None:
    """And the number where one is."""
    assert read_count({}, "limit", 20, "c") == 20
    assert read_count({"limit": "007"}, "limit", 20, "c") == 7


async def test_read_json_of_a_body_in_its_limit_is_its_value() -> None:
    """With parameters of the content type, too."""
    app = web.Application()
    request = make_mocked_request("POST", "/", headers={"Content-Type": "application/json; charset=utf-8"}, app=app)
    request._read_bytes = b'{"a": 1}'

    assert await read_json(request) == {"a": 1}
