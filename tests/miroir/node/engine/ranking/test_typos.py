"""Words within some typos, against the textbook distance."""

from hypothesis import given
from hypothesis import strategies as st

from miroir.node.engine.ranking.typos import within

WORDS = st.lists(st.text("abc", min_size=1, max_size=7), max_size=25, unique=True).map(sorted)
TYPED = st.text("abc", min_size=1, max_size=7)


def distance(left: str, right: str) -> int:
    """Return the edit distance with neighbours' transposition as one edit."""
    table = [[i + j if i * j == 0 else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)]
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            changed = table[i - 1][j - 1] + (left[i - 1] != right[j - 1])
            table[i][j] = min(changed, table[i - 1][j] + 1, table[i][j - 1] + 1)
            if i > 1 and j > 1 and left[i - 1] == right[j - 2] and left[i - 2] == right[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


@given(TYPED, WORDS, st.sampled_from([1, 2]))
def test_words_within_typos_are_all_and_only_those(typed: str, words: list[str], limit: int) -> None:
    """The walk over the sorted words finds what comparing each would find."""
    expected = [(word, distance(typed, word)) for word in words if distance(typed, word) <= limit]

    assert list(within(typed, words, limit, is_prefix=False)) == expected


@given(TYPED, WORDS, st.sampled_from([1, 2]))
def test_prefixes_within_typos_use_the_best_prefix(typed: str, words: list[str], limit: int) -> None:
    """A word still being typed is measured against the best prefix of each word."""

    def best(word: str) -> int:
        return min(distance(typed, word[:length]) for length in range(len(word) + 1))

    expected = [(word, best(word)) for word in words if best(word) <= limit]

    assert list(within(typed, words, limit, is_prefix=True)) == expected
