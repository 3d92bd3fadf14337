"""Posted documents: cut into records byte for byte, refused in Meilisearch's words."""

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, target
from hypothesis import strategies as st

from query.documents import CSV, JSON, NDJSON, field_names, parse_content_type, parse_ids, parse_posted, with_keys
from schemas.errors import InvalidDocumentError, InvalidRequestError

CONVERSATION = Path(__file__).parents[3] / "shared" / "fixtures" / "conversation.json.gz"

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abc"\\é', max_size=4), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), values, max_size=4).map(
    lambda fields: {"key": "a-1", **fields}
)
blanks = st.text(" \t\r\n", max_size=3)


@given(st.lists(documents, max_size=5), blanks)
def test_json_list_of_documents_keeps_each_ones_bytes(posted: list[dict[str, Any]], blank: str) -> None:
    """Each document comes out as the bytes it went in as, whatever blanks stand between."""
    texts = [json.dumps(document, ensure_ascii=False) for document in posted]
    body = f"{blank}[{blank}{f'{blank},{blank}'.join(texts)}{blank}]{blank}".encode()

    parsed = parse_posted(JSON, body, primary_key="key")

    assert [each.value.decode() for each in parsed] == texts
    assert all(each.key == b"a-1" for each in parsed)


@given(st.lists(documents, min_size=1, max_size=5))
def test_ndjson_and_json_give_the_same_documents(posted: list[dict[str, Any]]) -> None:
    """The format a post has makes no difference to its documents."""
    as_lines = b"\n".join(orjson.dumps(each) for each in posted)

    assert parse_posted(NDJSON, as_lines, primary_key="key") == parse_posted(
        JSON, b"[" + as_lines.replace(b"\n", b",") + b"]", primary_key="key"
    )


@pytest.mark.parametrize(
    "number", ["18446744073709551615", "9007199254740993", "1.10", "-0", "0.1000000000000000055511151231257827"]
)
def test_numbers_of_any_length_stay_as_written(number: str) -> None:
    """No number is read and written again."""
    (document,) = parse_posted(JSON, b'{"id":1,"n":%s}' % number.encode(), primary_key="id")

    assert document.value == b'{"id":1,"n":%s}' % number.encode()


@st.composite
def posted_bodies(draw: st.DrawFn) -> bytes:
    """Return a post's body in one of the formats, some of its bytes lost, doubled or replaced."""
    lines = [orjson.dumps(each) for each in draw(st.lists(documents, min_size=1, max_size=4))]
    rows = [b"key,title", *(b"%d,film %d" % (at, at) for at in range(len(lines)))]
    body = draw(st.sampled_from((b"[" + b",".join(lines) + b"]", b"\n".join(lines), b"\n".join(rows))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=2)) + body[at + draw(st.integers(0, 2)) :]
    return body


@given(st.binary(max_size=60) | posted_bodies())
def test_any_bytes_are_documents_or_a_clear_refusal(body: bytes) -> None:
    """Whatever is posted becomes objects or an error of ours."""
    for kind in (JSON, NDJSON, CSV):
        try:
            parsed = parse_posted(kind, body, primary_key=None)
        except (InvalidRequestError, InvalidDocumentError):
            continue
        target(len(parsed), label=kind)
        assert all(isinstance(orjson.loads(each.value), dict) for each in parsed)


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (b'"bad id!"', "invalid_document_id"),
        (b"1.5", "invalid_document_id"),
        (b"null", "invalid_document_id"),
        (b"true", "invalid_document_id"),
        (b"18446744073709551616", "invalid_document_id"),
        (b'"' + b"x" * 512 + b'"', "invalid_document_id"),
        (b'""', "invalid_document_id"),
    ],
)
def test_bad_id_is_refused(identity: bytes, code: str) -> None:
    """An id that is none is refused for the whole post."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_posted(JSON, b'[{"id":7},{"id":%s}]' % identity, primary_key="id")

    assert caught.value.code == code


def test_missing_id_is_refused() -> None:
    """A document without the primary key is named in the message."""
    with pytest.raises(InvalidRequestError, match="Document doesn't have a `id` attribute") as caught:
        parse_posted(JSON, b'{"t":1}', primary_key="id")

    assert caught.value.code == "missing_document_id"


def test_reserved_field_is_refused() -> None:
    """A field that begins like ours is refused."""
    with pytest.raises(InvalidDocumentError, match="_miroir_x"):
        parse_posted(JSON, b'{"id":1,"_miroir_x":1}', primary_key="id")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'[{"id":1},{"id":2,"n":[18446744073709551616]}]'),
        (NDJSON, b'{"id":2,"n":-9223372036854775809}\n'),
        (CSV, b"id,n:number\n1,123456789012345678901\n"),
    ],
)
def test_integer_beyond_64_bits_is_refused(kind: str, body: bytes) -> None:
    """In every format: it would come back as another number."""
    with pytest.raises(InvalidDocumentError, match="more than 64 bits"):
        parse_posted(kind, body, primary_key="id")


def test_nested_id_is_the_records_key() -> None:
    """A dotted primary key is looked up as a node does, and two of them are refused in its words."""
    (document,) = parse_posted(JSON, b'{"a":{"id":7}}', primary_key="a.id")
    assert document.key == b"7"

    with pytest.raises(InvalidRequestError, match="Document have too many matching") as caught:
        parse_posted(JSON, b'{"a":{"id":7},"a.id":8}', primary_key="a.id")
    assert caught.value.code == "invalid_document_id"


@pytest.mark.parametrize("depth", [100, 254, 300, 900])
@pytest.mark.parametrize("name", ["id", "other"])
def test_id_that_is_deeply_nested_is_refused(depth: int, name: str) -> None:
    """However deep it is, the refusal is ours; too deep to be written, it is left out of the message."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_posted(JSON, b'{"%s":' % name.encode() + b"[" * depth + b"]" * depth + b"}", primary_key="id")

    assert caught.value.code == ("invalid_document_id" if name == "id" else "missing_document_id")


def test_keys_found_later_equal_keys_found_at_once() -> None:
    """A primary key that is known only after the body was cut gives the same records."""
    body = b'[{"id":1},{"id":"b"}]'
    posted = parse_posted(JSON, body, primary_key=None)

    assert field_names(posted[0]) == ("id",)
    assert with_keys(posted, "id") == parse_posted(JSON, body, primary_key="id")


def test_csv_cell_may_be_long() -> None:
    """A text of more than 128 KiB, Python's own bound, is a text like any other."""
    (posted,) = parse_posted(CSV, b"id,t\n1," + b"x" * 200_000, primary_key="id")

    assert orjson.loads(posted.value) == {"id": "1", "t": "x" * 200_000}


def test_csv_columns_have_their_types() -> None:
    """A column may name its type; an empty cell is null."""
    body = b'id,title,year:number,seen:boolean\n1,"A, b",1999,true\n2,,,\n'

    parsed = [orjson.loads(each.value) for each in parse_posted(CSV, body, primary_key="id")]

    assert parsed == [
        {"id": "1", "title": "A, b", "year": 1999, "seen": True},
        {"id": "2", "title": None, "year": None, "seen": None},
    ]


@pytest.mark.parametrize("body", [b"id:number\nx\n", b"a,b\n1\n", b'a\n"x', b"a:boolean\n1\n"])
def test_csv_that_does_not_fit_is_malformed(body: bytes) -> None:
    """A cell of another type, or a row of another length, refuses the post."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_posted(CSV, body, primary_key=None)

    assert caught.value.code == "malformed_payload"


def test_ids_of_a_delete_batch_that_can_be_none_are_left_out() -> None:
    """What can be no id names no document."""
    assert parse_ids([3, "5", "bad id!", 1.5, None]) == [b"3", b"5"]


def test_ids_of_a_delete_batch_that_is_no_list_are_refused() -> None:
    """Anything but a list is malformed."""
    with pytest.raises(InvalidRequestError):
        parse_ids({"ids": [1]})


@pytest.mark.skipif(not CONVERSATION.exists(), reason="no recorded conversation beside the checkout")
def test_recorded_payload_errors_are_reproduced() -> None:
    """Every recorded refusal of a payload has the same code and words here."""
    steps = json.loads(gzip.decompress(CONVERSATION.read_bytes()))["steps"]
    codes = ("malformed_payload", "missing_payload", "invalid_content_type")
    checked = 0
    for step in steps:
        if step["method"] != "POST" or not step["path"].endswith("/documents") or step["status"] == 202:
            continue
        recorded = step["response"]
        if recorded["code"] not in codes:
            continue
        raw = step["raw"].encode() if "raw" in step else orjson.dumps(step["body"])
        with pytest.raises(InvalidRequestError) as caught:
            parse_posted(parse_content_type(step.get("content_type", JSON)), raw, primary_key="id")
        assert (caught.value.code, str(caught.value)) == (recorded["code"], recorded["message"])
        checked += 1
    assert checked >= 6
