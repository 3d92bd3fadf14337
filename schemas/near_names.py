"""The known name that somebody may have meant, as Meilisearch's messages suggest it.

What always holds: a name may be as long as a body, and costs no more than looking at it. Who calls it: whoever refuses
a name. It must not know: what is named.
"""

from collections.abc import Sequence

_TYPOS_MAX = ((3, 0), (7, 1), (12, 2), (17, 3), (24, 4))
"""Up to so many bytes of a name so many typos are forgiven; beyond the last row, five."""


def expected_one_of(given: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown name: a guess where one is near, and all names."""
    return f"{_did_you_mean(given, known)}expected one of {', '.join(f'`{name}`' for name in known)}"


def _did_you_mean(given: str, known: Sequence[str]) -> str:
    length_bytes = len(given.encode("utf-8", "replace"))
    most = next((typos for bytes_max, typos in _TYPOS_MAX if length_bytes <= bytes_max), 5)
    # Where the lengths differ by more, so do the names.
    alike = [name for name in known if abs(len(name) - len(given)) <= most] if most else []
    near = min(alike, key=lambda name: _typos_between(given, name), default=None)
    return "" if near is None or _typos_between(given, near) > most else f"did you mean `{near}`? "


def _typos_between(left: str, right: str) -> int:
    """Return how many letters must change, come, go, or change places with their neighbour."""
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1]
