"""Escapes in quoted words of a filter expression."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.filter_escapes import EscapeError, EscapeFault, resolve_escapes

UNDERSCORES = [r"\u005f", r"\u{5f}", r"\u{000000005F}", r"\u{+5f}", r"\u+05f", r"\x5f", r"\x5F", r"\137", r"\u{5f"]


@pytest.mark.parametrize("escape", UNDERSCORES)
def test_every_spelling_of_a_character_is_it(escape: str) -> None:
    """As the crate that Meilisearch uses reads them; a brace may be left open at the end."""
    assert resolve_escapes(f"a{escape}", '"') == "a_"


@pytest.mark.parametrize(
    ("quoted", "text"),
    [
        (r"\b\f\n\r\t\/", "\b\f\n\r\t/"),
        (r"it\'s \"it\"", 'it\'s "it"'),
        (r"\\u005f", r"\u005f"),
        (r"\\\"", '\\"'),
        (r"\u005facet", "_acet"),
        (r"\x5fmiroir", "_miroir"),
        (r"\400", " 0"),
        (r"\7a\08", "\x07a\x008"),
        (r"\377", "ÿ"),
        (r"\u{1f600}", "\U0001f600"),
        ("plain é", "plain é"),
    ],
)
def test_escapes_are_as_long_as_they_are(quoted: str, text: str) -> None:
    """What comes behind an escape's last digit is itself, also where it looks like one more."""
    assert resolve_escapes(quoted, '"') == text


@pytest.mark.parametrize(
    ("quoted", "fault"),
    [
        ("\\", EscapeFault.INCOMPLETE),
        (r"\u", EscapeFault.INCOMPLETE),
        (r"\u05f", EscapeFault.INCOMPLETE),
        (r"\x5", EscapeFault.INCOMPLETE),
        (r"\u{}", EscapeFault.NUMBER),
        (r"\u{5fmiroir", EscapeFault.NUMBER),
        (r"\u{5f_}", EscapeFault.NUMBER),
        (r"\u{-5f}", EscapeFault.NUMBER),
        (r"\u{100000000}", EscapeFault.NUMBER),
        (r"\u00zz", EscapeFault.NUMBER),
        (r"\x+", EscapeFault.INCOMPLETE),
        (r"\xzz", EscapeFault.NUMBER),
        (r"\ud800", EscapeFault.CHARACTER),
        (r"\u{110000}", EscapeFault.CHARACTER),
        (r"\8", EscapeFault.CHARACTER),
        (r"\v", EscapeFault.CHARACTER),
        (r"\a", EscapeFault.CHARACTER),
    ],
)
def test_what_is_no_escape_is_a_fault(quoted: str, fault: EscapeFault) -> None:
    """Meilisearch refuses the filter then, in words of each kind."""
    with pytest.raises(EscapeError) as caught:
        resolve_escapes(quoted, '"')

    assert caught.value.fault is fault


@given(st.text(), st.sampled_from("'\""))
def test_text_that_was_escaped_comes_back(text: str, mark: str) -> None:
    """Backslashes and marks are all that has to be escaped."""
    quoted = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")

    assert resolve_escapes(quoted, mark) == text
