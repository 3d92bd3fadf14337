"""Which end of a list an answer's hits are: there a tie is whole, elsewhere it may go on outside of the window.

What always holds: read from the answer alone. Who calls it: the comparisons of two answers. It must not know: hits.
"""

from collections.abc import Mapping
from typing import Any


def is_beginning(answer: Mapping[str, Any]) -> bool:
    """Return whether the answer's hits are the first there are."""
    return int(answer.get("offset", 0)) == 0 and int(answer.get("page", 1)) <= 1


def is_whole(answer: Mapping[str, Any]) -> bool:
    """Return whether the answer's hits end because there are no more."""
    return len(answer["hits"]) < int(answer.get("limit", answer.get("hitsPerPage", 0)))
