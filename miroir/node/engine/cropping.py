"""Which window of a long text to show.

What always holds: the window is a run of whole tokens around the best marks. Source: ``ranking.md`` section 7. Who
calls it: formatting.
"""

import itertools
from collections.abc import Sequence

from miroir.node.engine.marks import Mark
from miroir.node.engine.tokens import HARD, SOFT, Token

_GAP_MAX = 7
_SEPARATORS = frozenset((SOFT, HARD))


def crop_window(tokens: Sequence[Token], marks: Sequence[Mark], length: int, text_length: int) -> tuple[int, int]:
    """Return the first character of the window and its end, exclusive.

    Args:
        tokens: the text's tokens.
        marks: the text's marks.
        length: words wanted, at least 1.
        text_length: characters of the whole text.
    """
    if not marks:
        before, after, wanted, forward = 0, 0, length, True
    else:
        first, last = _best_interval(marks, length)
        size = last.last_word - first.first_word + 1
        forward = length >= size
        wanted = abs(length - size)
        before, after = (first.first_token if forward else 0), last.last_token + 1
    if not forward:
        return 0, _shrink(tokens, after, wanted)
    before, after = _grow(tokens, before, after, wanted)
    start = tokens[before - 1].end if before > 0 else 0
    end = tokens[after].start if after < len(tokens) else text_length
    return start, end


def _grow(tokens: Sequence[Token], before: int, after: int, wanted: int) -> tuple[int, int]:
    """Grow a window word by word."""
    while wanted > 0:
        left = tokens[before - 1].kind if before > 0 else None
        right = tokens[after].kind if after < len(tokens) else None
        if left is None and right is None:
            break
        goes_left, goes_right = _growth(left, right, wanted)
        before -= goes_left
        after += goes_right
        wanted -= goes_left and left not in _SEPARATORS
        wanted -= goes_right and right not in _SEPARATORS
    return before, after


def _growth(left: int | None, right: int | None, wanted: int) -> tuple[bool, bool]:
    """Return on which sides the window takes the next token; a hard separator repels."""
    if left is None or right is None:
        return left is not None, right is not None
    if left in _SEPARATORS and right in _SEPARATORS:
        if left == right:
            return True, wanted > 1
        return left != HARD, left == HARD
    if left not in _SEPARATORS and right not in _SEPARATORS:
        return True, wanted > 1
    return left not in _SEPARATORS, right not in _SEPARATORS


def _shrink(tokens: Sequence[Token], after: int, surplus: int) -> int:
    """Return the end of a window that starts with the text and loses ``surplus`` words at its end."""
    while surplus > 0 and after > 0:
        after -= 1
        surplus -= tokens[after].kind not in _SEPARATORS
    while after > 0 and tokens[after - 1].kind in _SEPARATORS:
        after -= 1
    return tokens[after - 1].end if after > 0 else 0


def _best_interval(marks: Sequence[Mark], length: int) -> tuple[Mark, Mark]:
    best: tuple[tuple[int, int, int], int, int] | None = None
    first = 0
    for index, mark in enumerate(marks):
        if mark.last_word - marks[first].first_word < length:
            continue
        if index != 0:
            best = _better(best, marks, first, index - 1)
        while True:
            first += 1
            if first == len(marks):
                first -= 1
                break
            start = marks[first].first_word
            if start > mark.last_word or mark.last_word - start < length:
                break
    last = len(marks) - 1
    if first != last or marks[last].last_word - marks[first].first_word < length:
        best = _better(best, marks, first, last)
    return (marks[0], marks[0]) if best is None else (marks[best[1]], marks[best[2]])


def _better(
    best: tuple[tuple[int, int, int], int, int] | None, marks: Sequence[Mark], first: int, last: int
) -> tuple[tuple[int, int, int], int, int]:
    score = _score(marks[first : last + 1])
    return (score, first, last) if best is None or score > best[0] else best


def _score(marks: Sequence[Mark]) -> tuple[int, int, int]:
    distance = order = 0
    for left, right in itertools.pairwise(marks):
        order += min(right.positions) > min(left.positions)
        distance -= min(right.first_word - left.last_word, _GAP_MAX)
    return len({position for mark in marks for position in mark.positions}), distance, order
