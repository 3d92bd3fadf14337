"""A filter as a tree, with the places of its words in the text it came from.

What always holds: a word's span is half-open, counted in characters from 0. Who calls it: grammar, evaluation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Word(NamedTuple):
    """A name or value of a filter; ``text`` has its escapes resolved."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the parts."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """Everything but the part."""

    part: "Filter"


@dataclass(frozen=True, slots=True)
class Condition:
    """A field against values.

    Attributes:
        operator: ``= != > >= < <= TO IN EXISTS NULL EMPTY CONTAINS STARTS``.
        at: the operator's own place.
    """

    field: Word
    operator: str
    values: tuple[Word, ...]
    at: Word


@dataclass(frozen=True, slots=True)
class Radius:
    """Points within metres of a point."""

    lat: Word
    lng: Word
    metres: Word
    resolution: Word | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """Points in a box; north-east corner first."""

    top: Word
    right: Word
    bottom: Word
    left: Word


Filter = And | Or | Not | Condition | Radius | Box


def fields_last_first(tree: Filter) -> Iterator[Condition | Radius | Box]:
    """Yield the leaves, the last first: the order in which the real node checks them."""
    stack = [tree]
    while stack:
        match stack.pop():
            case And(parts) | Or(parts):
                stack.extend(parts)
            case Not(part):
                stack.append(part)
            case leaf:
                yield leaf


def quote(text: str) -> str:
    """Return a value in double quotes, as the real node prints filters again."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class Printed(NamedTuple):
    """A filter printed again.

    Attributes:
        text: the print.
        places: for each printed word its span in ``text``, by the word's own place.
    """

    text: str
    places: dict[tuple[int, int, str], tuple[int, int]]


def print_filter(tree: Filter) -> Printed:
    """Print a filter with every word in quotes and every part in parentheses."""
    places: dict[tuple[int, int, str], tuple[int, int]] = {}
    pieces = _Pieces()
    _print(tree, pieces, places)
    return Printed("".join(pieces.all), places)


class _Pieces:
    """What is printed so far, and how long it is: a filter may have as many words as a body has room for."""

    __slots__ = ("all", "length")

    def __init__(self) -> None:
        self.all: list[str] = []
        self.length = 0

    def append(self, piece: str) -> None:
        self.all.append(piece)
        self.length += len(piece)


_Places = dict[tuple[int, int, str], tuple[int, int]]


def _print(tree: Filter, pieces: _Pieces, places: _Places) -> None:
    match tree:
        case And(parts):
            _print_parts(parts, " AND ", pieces, places)
        case Or(parts):
            _print_parts(parts, " OR ", pieces, places)
        case Not(part):
            pieces.append("NOT (")
            _print(part, pieces, places)
            pieces.append(")")
        case Condition():
            _print_condition(tree, pieces, places)
        case Radius(lat, lng, metres, resolution):
            words = [lat, lng, metres] + ([resolution] if resolution else [])
            pieces.append("_geoRadius(")
            _print_plain(words, pieces, places)
            pieces.append(")")
        case Box(top, right, bottom, left):
            pieces.append("_geoBoundingBox([")
            _print_plain([top, right], pieces, places)
            pieces.append("], [")
            _print_plain([bottom, left], pieces, places)
            pieces.append("])")


def _print_parts(parts: "tuple[Filter, ...]", joint: str, pieces: _Pieces, places: _Places) -> None:
    for place, part in enumerate(parts):
        pieces.append(joint + "(" if place else "(")
        _print(part, pieces, places)
        pieces.append(")")


def _print_plain(words: list[Word], pieces: _Pieces, places: _Places) -> None:
    for place, word in enumerate(words):
        if place:
            pieces.append(", ")
        start = pieces.length
        pieces.append(word.text)
        places[word.start, word.end, word.text] = (start, start + len(word.text))


def _print_word(word: Word, pieces: _Pieces, places: _Places) -> None:
    start = pieces.length + 1
    pieces.append(quote(word.text))
    places[word.start, word.end, word.text] = (start, pieces.length - 1)


def _print_condition(leaf: Condition, pieces: _Pieces, places: _Places) -> None:
    _print_word(leaf.field, pieces, places)
    match leaf.operator:
        case "TO":
            pieces.append(" ")
            _print_word(leaf.values[0], pieces, places)
            pieces.append(" TO ")
            _print_word(leaf.values[1], pieces, places)
        case "IN":
            pieces.append(" IN [")
            for place, value in enumerate(leaf.values):
                if place:
                    pieces.append(", ")
                _print_word(value, pieces, places)
            pieces.append("]")
        case "EXISTS":
            pieces.append(" EXISTS")
        case "NULL" | "EMPTY":
            pieces.append(f" IS {leaf.operator}")
        case operator:
            pieces.append(f" {'STARTS WITH' if operator == 'STARTS' else operator} ")
            _print_word(leaf.values[0], pieces, places)
