"""Words within some typos, against the textbook distance."""

from hypothesis import given
from hypothesis import strategies as st

from miroir.node.engine.ranking.typos import join_words, within

WORDS = st.lists(st.text("abc", min_size=1, max_size=7), max_size=25, unique=True).map(sorted)
TYPED = st.text("abc", min_size=1, max_size=7)


EDITS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["cut", "put", "swap", "a", "b"])), max_size=3)


def edited(word: str, edits: list[tuple[int, str]]) -> str:
    """Return a word with some edits, each at a place of it."""
    for place, edit in edits:
        at = place % (len(word) or 1)
        match edit:
            case "cut":
                word = word[:at] + word[at + 1 :]
            case "swap":
                word = word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]
            case "put":
                word = f"{word[:at]}c{word[at:]}"
            case letter:
                word = word[:at] + letter + word[at + 1 :]
    return word


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

    assert within(typed, words, join_words(words), limit, is_prefix=False) == expected


@given(TYPED, WORDS, st.sampled_from([1, 2]))
def test_prefixes_within_typos_use_the_best_prefix(typed: str, words: list[str], limit: int) -> None:
    """A word still being typed is measured against the best prefix of each word."""

    def best(word: str) -> int:
        return min(distance(typed, word[:length]) for length in range(len(word) + 1))

    expected = [(word, best(word)) for word in words if best(word) <= limit]

    assert within(typed, words, join_words(words), limit, is_prefix=True) == expected


@given(st.text("abcd", min_size=8, max_size=12), st.lists(EDITS, max_size=12), st.sampled_from([1, 2]))
def test_long_words_are_found_wherever_their_typos_stand(
    typed: str, edits: list[list[tuple[int, str]]], limit: int
) -> None:
    """No split of the typed word into a beginning and a tail hides a word."""
    words = sorted({edited(typed, own) for own in edits} - {""})
    expected = [(word, distance(typed, word)) for word in words if distance(typed, word) <= limit]

    assert within(typed, words, join_words(words), limit, is_prefix=False) == expected
