"""Query texts to terms."""

import pytest

from miroir.node.engine.ranking.query import parse_query
from miroir.node.engine.tokens import Tokenizer

Shown = list[tuple[tuple[str | None, ...], int, bool, bool]]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("cat dog", [(("cat",), 0, False, False), (("dog",), 1, False, True)]),
        ("cat ", [(("cat",), 0, False, False)]),
        ('"cat dog"', [(("cat", "dog"), 0, True, False)]),
        ('"cat. hill"', [(("cat",), 0, True, False), (("hill",), 8, True, False)]),
        ('alpha"beta"', [(("alpha",), 0, False, False), (("beta",), 1, True, False)]),
        ("cat. dog", [(("cat",), 0, False, False), (("dog",), 8, False, True)]),
        ("king of the hill", [(("king",), 0, False, False), (("hill",), 3, False, True)]),
        ("the", [(("the",), 0, False, True)]),
        ('"king of hill"', [(("king", None, "hill"), 0, True, False)]),
        ("+", []),
        ("-cat", []),
    ],
)
def test_query_terms_carry_place_and_kind(text: str, terms: Shown) -> None:
    """Quotes, stop words, hard separators and the last word's prefix follow the real node."""
    query = parse_query(text, Tokenizer(stop_words=["of", "the"]), prefix_search=True)

    assert [(term.words, term.start, term.is_phrase, term.is_prefix) for term in query.terms] == terms


@pytest.mark.parametrize(
    ("text", "words", "phrases"),
    [
        ("-cat dog", ["cat"], []),
        ('-"cat dog" cat', [], [("cat", "dog")]),
        ("- cat", [], []),
        ("--cat", [], []),
        ("a-cat", [], []),
    ],
)
def test_negatives_need_their_minus_at_a_words_start(text: str, words: list[str], phrases: list[tuple[str]]) -> None:
    """Only a lone minus directly before a word or a quote excludes."""
    query = parse_query(text, Tokenizer(), prefix_search=True)

    assert query.negative_words == words
    assert query.negative_phrases == phrases


def test_query_stops_at_ten_terms() -> None:
    """The eleventh word is ignored and the tenth is no prefix."""
    query = parse_query("a b c d e f g h i j k", Tokenizer(), prefix_search=True)

    assert len(query.terms) == 10
    assert not query.terms[-1].is_prefix
