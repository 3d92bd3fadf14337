"""Which attributes a filter expression asks about.

No grammar: one pass over the expression's words; a quote that is never closed takes all the rest, or each one behind it
would be looked for its end, too. A word names an attribute where a condition begins, which is at the start, behind an
opening parenthesis and behind ``AND``, ``OR`` and ``NOT``. What always holds: of an expression that a
node takes, every attribute is found, escapes in quotes resolved, so that no spelling of the marker gets past; of one
that a node refuses, whatever is found is harmless. Who calls it: validation of searches and of other filters.
"""

import re
from typing import NamedTuple

from schemas.filter_escapes import EscapeError, resolve_escapes

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
    | (?P<geo>_geo(?:Radius|BoundingBox|Polygon)\b)
    | "(?P<double>(?:[^"\\]|\\.)*)(?:"|\\?\Z)
    | '(?P<single>(?:[^'\\]|\\.)*)(?:'|\\?\Z)
    | (?P<bare>[\w\-./]+)
    | (?P<sign>!=|>=|<=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_JOINTS = frozenset(("AND", "OR", "NOT"))


class FilterField(NamedTuple):
    """An attribute of a filter.

    Attributes:
        name: the attribute, escapes resolved; ``_geo`` for the geographic conditions.
        start: where it begins in the expression, in characters.
        end: where it ends, exclusive.
    """

    name: str
    start: int
    end: int


class _Word(NamedTuple):
    text: str
    quoted: bool
    start: int
    end: int


def filter_fields(expression: str) -> list[FilterField]:
    """Return the attributes of the expression from left to right, each as often as it stands there."""
    fields: list[FilterField] = []
    begins = True
    for word in _words(expression):
        joint = not word.quoted and word.text in _JOINTS
        if begins and not joint and word.text != "(":
            fields.append(FilterField(word.text, word.start, word.end))
            begins = False
        elif joint and (begins or word.text != "NOT"):
            begins = True
    return fields


def contains_place(expression: str) -> tuple[int, int] | None:
    """Return where the operator ``CONTAINS`` stands, which Meilisearch takes with an experimental feature only."""
    begins = True
    for word in _words(expression):
        joint = not word.quoted and word.text in _JOINTS
        if word.text == "CONTAINS" and not word.quoted and not begins:
            return word.start, word.end
        # ``a NOT CONTAINS b``: there NOT begins nothing.
        begins = (joint and (begins or word.text != "NOT")) or (begins and word.text == "(")
    return None


def _words(expression: str) -> list[_Word]:
    words: list[_Word] = []
    for match in _TOKEN.finditer(expression):
        start, end = match.span()
        if match["geo"]:
            words.append(_Word("_geo", quoted=True, start=start, end=end))
        elif (inner := match["double"] if match["double"] is not None else match["single"]) is not None:
            words.append(
                _Word(_resolved(inner, expression[start]), quoted=True, start=start + 1, end=start + 1 + len(inner))
            )
        elif match["blank"] is None:
            words.append(_Word(match.group(), quoted=False, start=start, end=end))
    return words


def _resolved(quoted: str, mark: str) -> str:
    try:
        return resolve_escapes(quoted, mark)
    except EscapeError:
        # No node takes it.
        return quoted
