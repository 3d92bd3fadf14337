"""What is asked of the controller: read back as built, and refused with the field where it is malformed."""

import json

import pytest
from hypothesis import given

from schemas.errors import InvalidInputError
from schemas.ids import IndexUid, NodeId
from schemas.requests import AddNode, CreateIndex, Request, build_request, parse_request
from tests.strategies import requests


@given(requests)
def test_request_is_read_back_as_it_was_built(request: Request) -> None:
    """Parse of build is identity, and the kind tells requests of the same fields apart."""
    assert parse_request(build_request(request)) == request


def test_request_with_defaults_left_out_is_taken() -> None:
    """An operator with a console producer writes what matters only."""
    assert parse_request(b'{"kind": "create_index", "uid": "films"}') == CreateIndex(IndexUid("films"))


def test_share_of_a_node_that_stays_is_left_out() -> None:
    """Readers from before know no null there; what they wrote, and a null, are read as they are meant."""
    node = NodeId("n1")
    asked = AddNode(node, "http://n1:7700", zone="")

    assert json.loads(build_request(asked)) == {
        "id": "n1",
        "url": "http://n1:7700",
        "zone": "",
        "kind": "add_node",
    }
    before = b'{"kind":"add_node","id":"n1","url":"http://n1:7700","weight":1.0,"zone":"","group":0}'
    assert parse_request(before) == AddNode(node, "http://n1:7700", 1.0, "", 0)
    with_null = b'{"kind":"add_node","id":"n1","url":"http://n1:7700","weight":null,"zone":""}'
    assert parse_request(with_null) == asked


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
