"""Keys of records and ids of documents. The tables were tried on a real Meilisearch 1.50."""

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.document_ids import ID_BYTES_MAX, find_ids, parse_id, parse_key
from schemas.errors import InvalidDocumentError
from tests.strategies import document_ids


@given(document_ids)
def test_key_of_an_ids_characters_is_the_id(text: str) -> None:
    """A key is the document's id as UTF-8 text."""
    assert parse_key(text.encode()) == text


@pytest.mark.parametrize(
    ("key", "reason", "cure"),
    [
        pytest.param(None, "null_key", "id as UTF-8 text", id="no key"),
        pytest.param(b"", "invalid_id", "1 to 511", id="empty"),
        pytest.param(b"a b", "invalid_id", "'a b'", id="a blank"),
        pytest.param(b"7\n", "invalid_id", "1 to 511", id="a line break"),
        pytest.param("é".encode(), "invalid_id", "'é'", id="not ASCII"),
        pytest.param(b"a.b", "invalid_id", "'a.b'", id="a dot"),
        pytest.param(b"a" * 512, "invalid_id", "512 bytes", id="512 bytes"),
        pytest.param(struct.pack(">q", 7), "key_binary_integer", "8 binary bytes", id="a long"),
        pytest.param(struct.pack(">q", 2**24 + 7), "key_binary_integer", "number as text", id="a larger long"),
        pytest.param(struct.pack(">q", -7), "key_binary_integer", "number as text", id="a negative long"),
        pytest.param(struct.pack("<q", 7), "key_binary_integer", "number as text", id="a long, little end first"),
        pytest.param(struct.pack(">i", 7), "key_binary_integer", "4 binary bytes", id="an int"),
        pytest.param(uuid.UUID(int=2**127 + 7).bytes, "key_binary_uuid", "UUID as text", id="a UUID"),
        pytest.param(b'"7"', "key_json_string", "without quotes", id="a JSON string"),
        pytest.param(b'{"id":7}', "key_struct", "ExtractField$Key", id="a Debezium struct as JSON"),
        pytest.param(b'{"schema":{},"payload":{"id":7}}', "key_struct", "ExtractField$Key", id="with its schema"),
        pytest.param(b"Struct{id=7}", "key_struct", "ExtractField$Key", id="a struct as text"),
        pytest.param(b"\x00\x00\x00\x00\x2a\x027", "key_schema_registry", "magic byte", id="Avro, one letter"),
        pytest.param(b"\x00\x00\x00\x00\x2a\x04ab", "key_schema_registry", "magic byte", id="Avro, eight bytes"),
        pytest.param(b'\x00\x00\x00\x00\x2a"a"', "key_schema_registry", "magic byte", id="JSON schema, eight bytes"),
        pytest.param(b"\x00\x00\x00\x00\x2a" + b'\x0e"film"', "key_schema_registry", "magic byte", id="Avro, longer"),
        pytest.param(b"\xff\xfe\xfd", "invalid_id", r"\xff\xfe\xfd", id="not UTF-8"),
    ],
)
def test_key_of_another_form_names_it_and_the_cure(key: bytes | None, reason: str, cure: str) -> None:
    """Who set the producer up finds out what it sends, and what it should."""
    with pytest.raises(InvalidDocumentError) as caught:
        parse_key(key)

    assert caught.value.reason == reason
    assert cure in str(caught.value)


@given(st.none() | st.binary(max_size=600))
def test_any_key_is_an_id_or_a_typed_error(key: bytes | None) -> None:
    """No bytes at all stop a worker, and every message fits a dead letter."""
    try:
        parsed = parse_key(key).encode()
    except InvalidDocumentError as error:
        parsed, message = key or b"", str(error)
    else:
        message = ""
    assert (parsed, len(message) < 600) == (key or b"", True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        ("7", "7"),
        (-5, "-5"),
        (0, "0"),
        (2**53 + 1, "9007199254740993"),
        (2**64 - 1, "18446744073709551615"),
        ("a" * ID_BYTES_MAX, "a" * ID_BYTES_MAX),
    ],
)
def test_integer_or_text_is_an_id(value: object, text: str) -> None:
    """``7`` and ``"7"`` are the same document."""
    assert parse_id(value) == text


@pytest.mark.parametrize(
    "value",
    [None, True, 1.0, 1e100, [], [7], {}, {"id": 7}, "", " 7", "7 ", "7\t", "a b", "a.b", "é", "\u0667", "a" * 512],
)
def test_other_values_are_no_ids(value: object) -> None:
    """A node refuses each of these in its task, and the whole post with it."""
    with pytest.raises(InvalidDocumentError) as caught:
        parse_id(value)

    assert caught.value.reason == "invalid_id"
    assert len(str(caught.value)) < 250


def test_id_nested_too_deeply_to_be_shown_is_a_typed_error() -> None:
    """The message names its type instead."""
    value: object = 1
    for _ in range(300):
        value = [value]

    with pytest.raises(InvalidDocumentError, match="an array"):
        parse_id(value)


@pytest.mark.parametrize(
    ("document", "primary_key", "found"),
    [
        ({"id": 7}, "id", [7]),
        ({"a": {"id": 7}}, "id", []),
        ({"a": {"id": 7}}, "a.id", [7]),
        ({"a.id": 7}, "a.id", [7]),
        ({"a.id": 7, "a": {"id": 7}}, "a.id", [7, 7]),
        ({"a": {"b": {"id": 7}}}, "a.b.id", [7]),
        ({"a.b": {"id": 7}}, "a.b.id", [7]),
        ({"a": {"b.id": 7}}, "a.b.id", [7]),
        ({"a": [{"id": 7}]}, "a.id", []),
        ({"a": {"id": None}}, "a.id", [None]),
        ({"ab": {"id": 7}}, "a.id", []),
    ],
    ids=str,
)
def test_id_is_found_where_a_node_finds_it(document: dict[str, object], primary_key: str, found: list[object]) -> None:
    """A dotted primary key is a field's name, or a path through objects; not through lists."""
    assert list(find_ids(document, primary_key)) == found
