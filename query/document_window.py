"""Which part of each list a window of documents needs, when lists are read one behind the other.

A list without a sort has no order but the nodes' own, so shards are read one after the other: a page asks only those
it touches, each for its own piece. What always holds: pieces are disjoint and, laid one behind the other for rising
offsets, are the whole list. Who calls it: the listing of documents. It must not know: nodes.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """What one list gives to a window.

    Attributes:
        at: number of the list.
        offset: where the piece begins in it.
        limit: how many documents it has; at least one.
    """

    at: int
    offset: int
    limit: int


def cut_window(totals: Sequence[int], *, offset: int, limit: int) -> list[Piece]:
    """Return the pieces of a window, in order; ``totals`` is how many documents each list has."""
    pieces = []
    begin, end = 0, offset + limit
    for at, total in enumerate(totals):
        first, last = max(offset, begin), min(end, begin + total)
        if first < last:
            pieces.append(Piece(at, first - begin, last - first))
        begin += total
    return pieces
