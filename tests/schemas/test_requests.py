"""What is asked of the controller: read back as built, and refused with the field where it is malformed."""

import pytest
from hypothesis import given

from schemas.errors import InvalidInputError
from schemas.ids import IndexUid
from schemas.requests import CreateIndex, Request, build_request, parse_request
from tests.strategies import requests


@given(requests)
def test_request_is_read_back_as_it_was_built(request: Request) -> None:
    """Parse of build is identity, and the kind tells requests of the same fields apart."""
    assert parse_request(build_request(request)) == request


def test_request_with_defaults_left_out_is_taken() -> None:
    """An operator with a console producer writes what matters only."""
    assert parse_request(b'{"kind": "create_index", "uid": "films"}') == CreateIndex(IndexUid("films"))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"{", "Request: value: Invalid JSON", id="not JSON"),
        pytest.param(b"[]", "Request: value: ", id="an array"),
        pytest.param(b'{"uid": "films"}', "Request: value: .*'kind'", id="no kind"),
        pytest.param(b'{"kind": "explode"}', "Request: value: .*'explode'", id="an unknown kind"),
        pytest.param(b'{"kind": "create_index"}', r"Request: create_index\.uid: ", id="a field is missing"),
        pytest.param(b'{"kind": "delete_index", "uid": 3}', r"Request: delete_index\.uid: ", id="a wrong type"),
        pytest.param(
            b'{"kind": "create_index", "uid": "films", "shards": "12"}',
            r"Request: create_index\.shards: ",
            id="a number as text",
        ),
        pytest.param(
            b'{"kind": "create_index", "uid": "films", "color": 1}',
            r"Request: create_index\.color: ",
            id="unknown field",
        ),
        pytest.param(
            b'{"kind": "create_index", "uid": "films", "partitioner": "md5"}',
            r"Request: create_index\.partitioner: .*murmur2",
            id="an unknown partitioner",
        ),
    ],
)
def test_malformed_request_names_kind_and_field(data: bytes, text: str) -> None:
    """The controller can answer it with what is wrong."""
    with pytest.raises(InvalidInputError, match=text):
        parse_request(data)
