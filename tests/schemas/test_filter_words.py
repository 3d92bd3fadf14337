"""Words of a filter expression and their faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.filter_tree import quote
from schemas.filter_words import FaultError, read_value, told


@given(st.text(min_size=1))
def test_quoted_text_comes_back_whole(text: str) -> None:
    """What is printed in quotes is read as itself."""
    assert read_value(quote(text), 0).word.text == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("a-b.c_1 = 2", "a-b.c_1"), ("  x", "x"), ("'it\\'s'", "it's"), ('"a\\u{e9}b"', "aéb"), ("été>1", "été")],
)
def test_value_is_read_to_its_end(text: str, value: str) -> None:
    """Bare words hold letters, digits and three signs; quotes hold anything, escapes resolved."""
    assert read_value(text, 0).word.text == value


@pytest.mark.parametrize("text", ["", "=", "AND", "'open", '"a\\', "_geoPoint(1,2)", "_geo"])
def test_what_is_no_value_is_a_fault(text: str) -> None:
    """Nothing, signs, keywords, open quotes and places are no values."""
    with pytest.raises(FaultError):
        read_value(text, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r'"\x"', 'The filter is incomplete and requires Unknown additional bytes to be parsed.\n1:5 "\\x"'),
        (r'"\xzz"', 'Found an invalid escaped sequence number: `\\\\xzz`.\n2:6 "\\xzz"'),
        (r'"\8"', 'Malformed value: `\\\\8`.\n2:4 "\\8"'),
    ],
)
def test_fault_of_an_escape_is_told_as_by_meilisearch(text: str, words: str) -> None:
    """In its own words for each kind."""
    with pytest.raises(FaultError) as caught:
        read_value(text, 0)

    assert told(caught.value, text) == words


def test_fault_is_told_with_its_place_in_the_line() -> None:
    """Columns count from 1 in the line of the fault; the fragment is shown escaped."""
    assert told(FaultError("bad `{}`.", 4, 7), "a\nb 'x'") == "bad `\\'x\\'`.\n3:6 a\nb 'x'"


@pytest.mark.parametrize(
    ("fragment", "shown"),
    [
        ("a\u3000b\t", "a\\u{3000}b\\t"),
        ("\u0301x\u0301", "\\u{301}x\u0301"),
        ("\u200b\x7f\ue000", "\\u{200b}\\u{7f}\\u{e000}"),
        ("é日\U0001f3ac \\", "é日\U0001f3ac \\\\"),
    ],
)
def test_fragment_is_shown_as_rust_shows_it(fragment: str, shown: str) -> None:
    """What nobody can see stands as its number, and a mark that has no letter before it."""
    assert told(FaultError("{}", 0, len(fragment)), fragment) == f"{shown}\n1:{len(fragment) + 1} {fragment}"
