"""Dead letters: the record as it came, byte for byte."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letters import (
    DeadLetter,
    build_dead_letter,
    build_dead_letter_key,
    decode_bytes,
    encode_bytes,
    parse_dead_letter,
)
from schemas.errors import InvalidInputError
from schemas.ids import Incarnation, IndexUid, Offset, Partition
from tests.strategies import dead_letters

LETTER = DeadLetter(
    "miroir.docs.films", Partition(3), Offset(9), IndexUid("films"), Incarnation(7), "not_json", "…", "Nw==", None, 1000
)


@given(dead_letters)
def test_letter_is_read_back_as_it_was_built(letter: DeadLetter) -> None:
    """Parse of build is identity."""
    assert parse_dead_letter(build_dead_letter(letter)) == letter


@given(st.none() | st.binary())
def test_bytes_of_a_record_survive(data: bytes | None) -> None:
    """Keys and values need not be text: what was set aside can be produced again as it was."""
    assert decode_bytes(encode_bytes(data)) == data


def test_key_is_where_the_record_stands() -> None:
    """Seeing the record again writes the same entry."""
    assert build_dead_letter_key(LETTER) == b"miroir.docs.films/3/9"


@pytest.mark.parametrize("text", ["a", "====", "Nw==\n", "é"])
def test_bytes_that_are_no_base64_are_a_typed_error(text: str) -> None:
    """A damaged entry is told, not replayed as something else."""
    with pytest.raises(InvalidInputError, match=r"DeadLetter: .*base64"):
        decode_bytes(text)


@pytest.mark.parametrize("field", ["topic", "partition", "offset", "reason", "key", "value"])
def test_letter_without_a_field_names_it(field: str) -> None:
    """A record of another form is never half read."""
    wire = orjson.loads(build_dead_letter(LETTER))
    del wire[field]

    with pytest.raises(InvalidInputError, match=f"^DeadLetter: {field}: "):
        parse_dead_letter(orjson.dumps(wire))
