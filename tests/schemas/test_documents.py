"""What a record must be to become a document. The tables were tried on a real Meilisearch 1.50."""

import json
from collections.abc import Callable, Sequence

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.document_ids import find_ids, parse_id
from schemas.documents import INTEGER_MAX, INTEGER_MIN, NESTING_MAX, check_fields, check_integers, parse_document
from schemas.errors import InvalidDocumentError
from tests.strategies import document_ids, json_objects


def refused_as(reason: str, value: bytes, *, key: str = "7") -> InvalidDocumentError:
    """Return the error with which a value is refused, after checking its reason."""
    with pytest.raises(InvalidDocumentError) as caught:
        parse_document(key, value, "id")
    assert caught.value.reason == reason
    return caught.value


@given(document_ids, json_objects)
@example("7", {"a": 2**53 + 1, "b": 2**64 - 1, "c": -(2**63), "d": 0.1, "e": 1e-300})
def test_document_keeps_every_value_and_has_its_id(document_id: str, fields: dict[str, object]) -> None:
    """Nothing is rounded, lost or added but an id that was not there; one line, for NDJSON."""
    fields = {name: value for name, value in fields.items() if name != "id" and not name.startswith("_")}

    parsed = parse_document(document_id, json.dumps(fields).encode(), "id")

    assert json.loads(parsed) == {"id": document_id, **fields}
    assert b"\n" not in parsed


@given(document_ids, json_objects)
def test_parsing_a_parsed_document_changes_nothing(document_id: str, fields: dict[str, object]) -> None:
    """The form is a fixed point: every replica and every rebuild hold the same bytes."""
    fields = {name: value for name, value in fields.items() if name != "id" and not name.startswith("_")}
    once = parse_document(document_id, orjson.dumps(fields), "id")

    assert parse_document(document_id, once, "id") == once


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        pytest.param("7", b'{"a":1}', b'{"id":"7","a":1}', id="id taken from the key"),
        pytest.param("7", b'{"id":7}', b'{"id":7}', id="id as a number"),
        pytest.param("7", b'{"id":"7"}', b'{"id":"7"}', id="id as text"),
        pytest.param("7", b'{"id":8,"id":7}', b'{"id":7}', id="id twice, the last counts"),
        pytest.param("7", b'{"id":7,"a":1,"a":2}', b'{"id":7,"a":2}', id="a field twice, the last counts"),
        pytest.param("0", b'{"id":-0}', b'{"id":0}', id="minus zero, which a node refuses as it stands"),
        pytest.param("7", b' {"id" : 7 }\n', b'{"id":7}', id="white space"),
        pytest.param("7", b'{"id":7,"n":9007199254740993}', b'{"id":7,"n":9007199254740993}', id="2^53+1"),
        pytest.param("7", b'{"id":7,"n":18446744073709551615}', b'{"id":7,"n":18446744073709551615}', id="2^64-1"),
        pytest.param("7", b'{"id":7,"s":"\\ud83d\\ude00"}', '{"id":7,"s":"😀"}'.encode(), id="a surrogate pair"),
        pytest.param("7", b'{"id":7,"s":"a\\u0000b"}', b'{"id":7,"s":"a\\u0000b"}', id="a zero character"),
        pytest.param("7", b'{"id":7,"":1}', b'{"id":7,"":1}', id="a field without a name"),
        pytest.param("7", b'{"id":7,"a":{"_miroir":1}}', b'{"id":7,"a":{"_miroir":1}}', id="reserved name inside"),
        pytest.param("7", b'{"id":7,"_vectors":{"a":[0.5]}}', b'{"id":7,"_vectors":{"a":[0.5]}}', id="vectors"),
    ],
)
def test_good_value_becomes_this_document(key: str, value: bytes, parsed: bytes) -> None:
    """What a node is sent, byte for byte, but for the marker."""
    assert orjson.loads(parse_document(key, value, "id")) == orjson.loads(parsed)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(b"", "not_json", id="nothing"),
        pytest.param(b"{", "not_json", id="cut short"),
        pytest.param(b'{"id":7}{"id":8}', "not_json", id="two objects"),
        pytest.param(b"\xff", "not_json", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", "not_json", id="a byte order mark"),
        pytest.param(b'\0\0\0\0\1{"id":7}', "not_json", id="a schema registry's header"),
        pytest.param(b"{'id':7}", "not_json", id="single quotes"),
        pytest.param(b'{"a":NaN}', "not_json", id="NaN"),
        pytest.param(b'{"a":1e400}', "not_json", id="a number beyond every float"),
        pytest.param(b'{"a":"\\ud800"}', "not_json", id="lone surrogate in a value"),
        pytest.param(b'{"\\udc00":1}', "not_json", id="lone surrogate in a name"),
        pytest.param(b'{"a":"\n"}', "not_json", id="a bare line break in text"),
        pytest.param(b"\x00\x00\x00\x00\x2a\x02a", "not_json", id="Avro"),
        pytest.param(b"null", "not_an_object", id="the text null"),
        pytest.param(b"7", "not_an_object", id="a number"),
        pytest.param(b'"7"', "not_an_object", id="text"),
        pytest.param(b"true", "not_an_object", id="a boolean"),
        pytest.param(b'[{"id":7}]', "not_an_object", id="an array"),
        pytest.param(b'{"id":8}', "id_disagrees", id="another id"),
        pytest.param(b'{"id":"07"}', "id_disagrees", id="another text of the same number"),
        pytest.param(b'{"id":7.0}', "invalid_id", id="id a fraction"),
        pytest.param(b'{"id":null}', "invalid_id", id="id null"),
        pytest.param(b'{"id":" 7 "}', "invalid_id", id="id with blanks"),
        pytest.param(b'{"id":18446744073709551616}', "invalid_id", id="id 2^64"),
        pytest.param(b'{"_miroir":"x"}', "reserved_field", id="the marker"),
        pytest.param(b'{"_miroir_x":1}', "reserved_field", id="reserved prefix"),
        pytest.param(b'{"_vectors":3}', "invalid_vectors", id="vectors a number"),
        pytest.param(b'{"_vectors":null}', "invalid_vectors", id="vectors null"),
        pytest.param(b'{"_vectors":[1]}', "invalid_vectors", id="vectors an array"),
    ],
)
def test_bad_value_is_refused_for_this_reason(value: bytes, reason: str) -> None:
    """The reason is a stable code; the text is for people and fits a dead letter."""
    assert 10 < len(str(refused_as(reason, value))) < 300


@pytest.mark.parametrize(
    "geo",
    [
        {"lat": 1, "lng": 2},
        {"lat": -90.0, "lng": 180.0},
        {"lat": 100, "lng": 200},
        {"lat": "10", "lng": "-20.5"},
        {"lat": "+10", "lng": "1e1"},
        {"lat": "5.", "lng": ".5"},
        None,
    ],
    ids=str,
)
def test_geo_that_a_node_takes_is_taken(geo: object) -> None:
    """Also beyond the globe: a node does not mind, and one big Meilisearch would have the document."""
    check_fields({"_geo": geo})


@pytest.mark.parametrize(
    "geo",
    [
        {},
        {"lat": 1},
        {"lat": 1, "lng": 2, "alt": 3},
        {"lat": None, "lng": None},
        {"lat": True, "lng": 1},
        {"lat": "1_0", "lng": 1},
        {"lat": " 10", "lng": 1},
        {"lat": "nan", "lng": 1},
        {"lat": "inf", "lng": 1},
        {"lat": "1e999", "lng": 1},
        {"lat": "\u0661", "lng": 1},
        {"lat": "", "lng": 1},
        {"lat": [1], "lng": 1},
        "1,2",
        [1, 2],
        1,
        False,
    ],
    ids=str,
)
def test_geo_that_a_node_refuses_is_refused(geo: object) -> None:
    """Even where it is not filterable: a later settings task would fail for it."""
    with pytest.raises(InvalidDocumentError) as caught:
        check_fields({"_geo": geo})

    assert caught.value.reason == "invalid_geo"


def nested(depth: int, *, arrays: bool, core: bytes = b"") -> bytes:
    """Return a document with so many arrays or objects inside one another in its one field."""
    if arrays:
        return b'{"a":' + b"[" * depth + core + b"]" * depth + b"}"
    return b'{"a":' + b'{"b":' * (depth - 1) + b"{" + core + b"}" * depth + b"}"


@pytest.mark.parametrize("arrays", [True, False], ids=["arrays", "objects"])
@pytest.mark.parametrize("depth", [1, 100, NESTING_MAX])
def test_nesting_that_a_node_takes_is_taken(depth: int, arrays: bool) -> None:  # noqa: FBT001 - a table's column
    """A node indexes 127 levels in a field."""
    parse_document("7", nested(depth, arrays=arrays), "id")
    parse_document("7", nested(depth, arrays=arrays, core=b"1" if arrays else b'"c":1'), "id")


@pytest.mark.parametrize("arrays", [True, False], ids=["arrays", "objects"])
@pytest.mark.parametrize("depth", [NESTING_MAX + 1, 254, 255, 1000])
def test_nesting_that_a_node_chokes_on_is_refused(depth: int, arrays: bool) -> None:  # noqa: FBT001 - as above
    """A node takes 128 levels, then fails the batch as ``internal``: no later retry would ever pass."""
    refused_as("too_deep", nested(depth, arrays=arrays))
    refused_as("too_deep", nested(depth, arrays=arrays, core=b"1" if arrays else b'"c":1'))


def test_nesting_beyond_the_parser_is_refused() -> None:
    """A megabyte of brackets stops no worker."""
    refused_as("not_json", nested(500_000, arrays=True))


def test_many_brackets_side_by_side_are_taken() -> None:
    """Only depth counts."""
    parse_document("7", b'{"a":[' + b",".join([b'{"b":[1]}'] * 1000) + b'],"s":"' + b"[" * 1000 + b'"}', "id")


def parse_thoroughly(key: str, value: bytes) -> bytes:
    """Return what ``parse_document`` does, by looking at everything every time."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidDocumentError("not_json", str(error)) from error
    if depth_of(document) > NESTING_MAX + 1:
        raise InvalidDocumentError("too_deep", "")
    # With such a name nothing is taken for granted.
    check_fields({"_": None, **document})
    for found in find_ids(document, "id"):
        if parse_id(found) != key:
            raise InvalidDocumentError("id_disagrees", "")
    check_integers(value)
    return orjson.dumps(document if "id" in document else {"id": key, **document})


def depth_of(value: object) -> int:
    """Return how many arrays and objects are inside one another."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth_of, inside), default=0)


def reason_or_document(parse: Callable[[str, bytes], bytes], key: str, value: bytes) -> bytes | str:
    """Return the document, or the reason for which there is none."""
    try:
        return parse(key, value)
    except InvalidDocumentError as fault:
        return fault.reason


def object_of(fields: Sequence[tuple[str, str]]) -> str:
    """Return the object of names and values that are JSON already; a name may be there twice."""
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields) + "}"


EDGES = [2**53 + 1, INTEGER_MIN, INTEGER_MIN - 1, -(2**63) - 2**20, INTEGER_MAX, INTEGER_MAX + 1, 10**30, 7]
edge_values = st.recursive(
    st.sampled_from([str(edge) for edge in EDGES])
    | st.sampled_from(["7.0", "1e19", "-1e19", "1e300", "0.1", "-0", "true", "null", '"7"', '"\\ud800"', '"1e19 e+"'])
    | st.sampled_from([nested(depth, arrays=True)[5:-1].decode() for depth in (1, NESTING_MAX, NESTING_MAX + 1)]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]")
        | st.lists(st.tuples(st.just("a"), inner), max_size=2).map(object_of)
    ),
    max_leaves=5,
)
edge_names = st.sampled_from(
    ["id", "a", "b", "", "_a", "a\\n_b", "_miroir", "\\u005fmiroir", "_geo", "_vectors", "a.id"]
)


@given(st.sampled_from(["7", "true", "True"]), st.lists(st.tuples(edge_names, edge_values), max_size=5))
@example("True", [("id", "true")])
@example("7", [("a", "[1e19]"), ("b", str(2**64))])
@example("7", [("a", str(-(2**63) - 1))])
@example("7", [("a", str(-(2**63) - 1)), ("a", "[]")])
@example("7", [("a", str(-(2**63) - 1)), ("a", "1e19")])
@example("7", [("\\u005fmiroir", "1")])
def test_common_document_is_read_as_thoroughly_as_any(key: str, fields: list[tuple[str, str]]) -> None:
    """What is not looked at would have changed nothing: the same bytes, or the same reason."""
    value = object_of(fields).encode()

    assert reason_or_document(lambda key, value: parse_document(key, value, "id"), key, value) == reason_or_document(
        parse_thoroughly, key, value
    )


@given(st.binary(max_size=60))
def test_any_value_is_a_document_or_a_typed_error(value: bytes) -> None:
    """No bytes at all stop a worker."""
    try:
        parsed = orjson.loads(parse_document("7", value, "id"))
    except InvalidDocumentError:
        return
    assert parse_id(parsed["id"]) == "7"


@given(st.integers(INTEGER_MIN, INTEGER_MAX) | st.sampled_from([INTEGER_MIN, INTEGER_MAX, 2**53 + 1, -(2**53) - 1]))
def test_integer_of_64_bits_stays_exact(number: int) -> None:
    """Beyond a float's 53 bits too."""
    assert orjson.loads(parse_document("7", b'{"n":%d}' % number, "id")) == {"id": "7", "n": number}


@given(
    st.integers(max_value=INTEGER_MIN - 1) | st.integers(INTEGER_MAX + 1, 10**300),
    st.sampled_from([b'{"n":%s}', b'{"a":{"b":[1,%s]}}', b'{"a":"\\"","n": %s }', b'{"n":1,"n":%s,"m":1e30}']),
)
def test_integer_beyond_64_bits_is_refused(number: int, form: bytes) -> None:
    """A node would round it, wherever it stands: nobody would get it back."""
    with pytest.raises(InvalidDocumentError, match="more than 64 bits"):
        check_integers(form % str(number).encode())


@pytest.mark.parametrize("number", [INTEGER_MIN - 1, INTEGER_MAX + 1, 10**30])
def test_record_with_an_integer_beyond_64_bits_is_refused(number: int) -> None:
    """It says which, and what to do."""
    assert str(number) in str(refused_as("integer_too_large", b'{"n":{"m":[%d]}}' % number))


@pytest.mark.parametrize(
    "value",
    [
        b'{"n":1e19}',
        b'{"n":0.12345678901234567890123}',
        b'{"n":"123456789012345678901234e+5"}',
        b'{"n":-0}',
        b'{"n":18446744073709551616,"n":1,"m":1e30}',
    ],
)
def test_long_number_that_is_no_integer_is_taken(value: bytes) -> None:
    """A float is as exact as floats are, and digits in a text are text."""
    check_integers(value)
    parse_document("7", value, "id")


def test_integers_nested_beyond_the_parser_are_left_to_the_depth_check() -> None:
    """Looking for long integers stops no process."""
    check_integers(b"[" * 100_000 + b"1" * 30)


def test_nested_id_must_agree_with_the_key() -> None:
    """As one at the top must; one that is missing is taken from the key; two are a fault."""
    assert parse_document("7", b'{"a":{"id":7}}', "a.id") == b'{"a":{"id":7}}'
    assert orjson.loads(parse_document("7", b'{"a":{"b":1}}', "a.id")) == {"a.id": "7", "a": {"b": 1}}
    for value, reason in ((b'{"a":{"id":8}}', "id_disagrees"), (b'{"a":{"id":7},"a.id":7}', "ambiguous_id")):
        with pytest.raises(InvalidDocumentError) as caught:
            parse_document("7", value, "a.id")
        assert caught.value.reason == reason
