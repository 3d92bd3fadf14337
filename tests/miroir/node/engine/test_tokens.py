"""Text to words, as the recordings of a real node show it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miroir.node.engine.tokens import STOP, WORD, Tokenizer, facet_form


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("32.3", ["32", "3"]),
        ("2005-06-17", ["2005", "06", "17"]),
        ("1,000,000", ["1", "000", "000"]),
        ("$9.99", ["$9", "99"]),
        ("can't", ["can", "t"]),
        ("c++", ["c"]),
        ("29.3°F", ["29", "3°f"]),
        ("kebab_case", ["kebab", "case"]),
        ("camelCase", ["camelcase"]),
        ("a = b", ["a", "=", "b"]),
        ("alpha→beta", ["alpha→beta"]),
        ("abc日本語", ["abc", "日本語"]),
        ("αβabc", ["αβ", "abc"]),  # noqa: RUF001 - Greek it is
        ("Éclair", ["eclair"]),
        ("Œuvre", ["oeuvre"]),
        ("straße", ["straße"]),
        ("alpha\u00a0beta", ["alpha beta"]),
        ("a… b", ["a", "...", "b"]),
    ],
)
def test_words_of_text_are_the_recorded_ones(text: str, words: list[str]) -> None:
    """Separators, scripts and folding follow the real node."""
    assert [word for word, _, _ in Tokenizer().words(text)] == words


@pytest.mark.parametrize(
    ("text", "steps"),
    [("a b", [0, 1]), ("a. b", [0, 8]), ("a.b", [0, 1]), ("a.\nb", [0, 1]), ("a!b", [0, 8]), ("a - b", [0, 1])],
)
def test_sentence_marks_leave_a_gap(text: str, steps: list[int]) -> None:
    """A hard separator moves the next word eight places on."""
    assert [step for _, step, _ in Tokenizer().words(text)] == steps


def test_settings_change_what_parts_words() -> None:
    """Added and removed separators and dictionary words are respected."""
    tokenizer = Tokenizer(separators=["|"], non_separators=["@"], dictionary=["J. R. R."])

    words = [word for word, _, _ in tokenizer.words("a|b c@d J. R. R. Tolkien")]

    assert words == ["a", "b", "c@d", "j. r. r.", "tolkien"]


def test_stop_words_compare_before_lower_case() -> None:
    """``The`` is a word where only ``the`` is a stop word."""
    kinds = [token.kind for token in Tokenizer(stop_words=["the"]).tokens("the The") if token.kind in {WORD, STOP}]

    assert kinds == [STOP, WORD]


@given(st.text(max_size=60))
def test_tokens_cover_the_text(text: str) -> None:
    """Tokens follow each other without a hole."""
    place = 0
    for token in Tokenizer().tokens(text):
        assert token.start == place
        place = token.end
    assert place == len(text)


def test_facet_form_keeps_accents_and_drops_case() -> None:
    """``BANANA`` equals ``banana``, ``eclair`` does not equal ``éclair``."""
    assert facet_form(" BANANA ") == facet_form("banana")
    assert facet_form("Éclair") == facet_form("éclair") != facet_form("eclair")
