"""A filter's tree to the set of documents it means.

What always holds: every field is checked before anything is evaluated. Source: ``ranking.md`` section 5.2. Who calls
it: searches, document routes, deletions by filter.
"""

import math
from dataclasses import dataclass
from typing import NoReturn

from miroir.node.engine import bitmaps
from miroir.node.engine.entries import EXISTS, IS_EMPTY, IS_NULL, NUMBER, STATE, STRING
from miroir.node.engine.geo import Point, distance_m, plain_number
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.tokens import facet_form
from miroir.node.protocol.errors import ApiError
from schemas.filter_tree import (
    And,
    Box,
    Condition,
    Filter,
    Not,
    Or,
    Radius,
    Word,
    fields_last_first,
    print_filter,
)

_LAT_MAX, _LNG_MAX = 90.0, 180.0


@dataclass(frozen=True, slots=True)
class ErrorStyle:
    """How errors are worded.

    Attributes:
        code: their code.
        prefix: ``Index `x`: `` or nothing.
        source: the filter's own text, or None to print the tree again.
    """

    code: str
    prefix: str
    source: str | None = None


def evaluate_filter(tree: Filter | None, reader: IndexReader, style: ErrorStyle) -> int:
    """Return the documents a filter means; all where there is none.

    Raises:
        ApiError: a field is not filterable, or an operator not allowed on it, or a place not on earth.
    """
    if tree is None:
        return reader.all_numbers()
    evaluation = _Evaluation(tree, reader, style)
    evaluation.check()
    return evaluation.evaluate(tree)


class _Evaluation:
    def __init__(self, tree: Filter, reader: IndexReader, style: ErrorStyle) -> None:
        self._tree = tree
        self._reader = reader
        self._style = style

    def check(self) -> None:
        for leaf in fields_last_first(self._tree):
            match leaf:
                case Condition(field):
                    entry = self._reader.settings.filter_pattern(field.text)
                    if entry is None or not entry.is_filterable:
                        self._fail_unfilterable(field.text, field)
                case Radius(lat):
                    self._check_geo(lat)
                case Box(top):
                    self._check_geo(top)

    def _fail(self, message: str, at: Word) -> NoReturn:
        style = self._style
        if style.source is not None:
            place = f"{at.start + 1}:{at.end + 1} {style.source}"
        else:
            printed = print_filter(self._tree)
            start, end = printed.places[at.start, at.end, at.text]
            place = f"{start + 1}:{end + 1} {printed.text}"
        raise ApiError(style.code, f"{style.prefix}{message}\n{place}")

    def _check_operator(self, name: str, operator: str) -> None:
        settings = self._reader.settings
        entry = settings.filter_pattern(name)
        kind = _OPERATOR_KINDS.get(operator)
        if entry is None or kind is None or getattr(entry, kind) or not self._reader.facet(name, STATE, EXISTS):
            return
        allowed = ["OR", "AND", "NOT"]
        allowed += ["=", "!=", "IN"] if entry.equality else []
        allowed += ["<", ">", "<=", ">=", "TO"] if entry.comparison else []
        allowed += ["IS EMPTY", "IS NULL", "EXISTS"]
        shown = "=" if operator == "IN" else operator
        place = settings.filterable.index(entry)
        message = (
            f"Filter operator `{shown}` is not allowed for the attribute `{name}`.\n  - Note: allowed operators:"
            f" {', '.join(allowed)}.\n  - Note: field `{name}` matched rule #{place} in `filterableAttributes`\n"
            f"  - Hint: enable {kind} in rule #{place} by modifying the features.filter object\n"
            f"  - Hint: prepend another rule matching `{name}` with appropriate filter features before rule #{place}"
        )
        raise ApiError(self._style.code, f"{self._style.prefix}{message}")

    def _fail_unfilterable(self, name: str, at: Word) -> NoReturn:
        listed = filterable_listing(self._reader)
        if listed:
            tail = f"Available filterable attribute patterns are: {listed}."
        else:
            tail = "This index does not have configured filterable attributes."
        self._fail(f"Attribute `{name}` is not filterable. {tail}", at)

    def _check_geo(self, at: Word) -> None:
        if not self._reader.settings.is_geo_filterable:
            self._fail_unfilterable("_geo/_geojson", at)

    def evaluate(self, tree: Filter) -> int:
        match tree:
            case And(parts):
                found = self.evaluate(parts[0])
                for part in parts[1:]:
                    found &= self.evaluate(part)
                return found
            case Or(parts):
                found = 0
                for part in parts:
                    found |= self.evaluate(part)
                return found
            case Not(part):
                return self._reader.all_numbers() & ~self.evaluate(part)
            case Condition():
                return self._condition(tree)
            case Radius():
                return self._radius(tree)
            case Box():
                return self._box(tree)

    def _condition(self, leaf: Condition) -> int:  # noqa: PLR0911 - one line an operator
        reader, name = self._reader, leaf.field.text
        self._check_operator(name, leaf.operator)
        match leaf.operator:
            case "=":
                return self._equal(name, leaf.values[0].text)
            case "!=":
                return reader.all_numbers() & ~self._equal(name, leaf.values[0].text)
            case "IN":
                found = 0
                for value in leaf.values:
                    found |= self._equal(name, value.text)
                return found
            case "EXISTS":
                return reader.facet(name, STATE, EXISTS)
            case "NULL":
                return reader.facet(name, STATE, IS_NULL)
            case "EMPTY":
                return reader.facet(name, STATE, IS_EMPTY)
            case "STARTS":
                return self._starts(name, leaf.values[0].text)
            case "TO":
                return self._between(name, leaf.values[0].text, leaf.values[1].text)
            case operator:
                return self._compare(name, operator, leaf.values[0].text)

    def _equal(self, name: str, text: str) -> int:
        found = self._reader.facet(name, STRING, facet_form(text))
        number = parse_number(text)
        if number is not None:
            found |= self._reader.facet(name, NUMBER, number)
        return found

    def _starts(self, name: str, text: str) -> int:
        prefix = facet_form(text)
        if not prefix:
            return self._reader.facet(name, STATE, EXISTS)
        return self._reader.facet_range(name, STRING, prefix, prefix + "\U0010ffff", open_ends=(False, False))

    def _between(self, name: str, low: str, high: str) -> int:
        ends = (False, False)
        found = self._reader.facet_range(name, STRING, facet_form(low), facet_form(high), open_ends=ends)
        low_number, high_number = parse_number(low), parse_number(high)
        if low_number is not None and high_number is not None:
            found |= self._reader.facet_range(name, NUMBER, low_number, high_number, open_ends=ends)
        return found

    def _compare(self, name: str, operator: str, text: str) -> int:
        found = self._one_sided(name, STRING, operator, facet_form(text))
        number = parse_number(text)
        if number is not None:
            found |= self._one_sided(name, NUMBER, operator, number)
        return found

    def _one_sided(self, name: str, kind: int, operator: str, bound: str | float) -> int:
        exclusive = len(operator) == 1
        if operator[0] == ">":
            return self._reader.facet_range(name, kind, bound, None, open_ends=(exclusive, False))
        return self._reader.facet_range(name, kind, None, bound, open_ends=(False, exclusive))

    def _radius(self, leaf: Radius) -> int:
        centre = Point(self._lat(leaf.lat), self._lng(leaf.lng))
        metres = self._finite(leaf.metres)
        return bitmaps.from_numbers([number for number, point in self._points() if distance_m(centre, point) <= metres])

    def _box(self, leaf: Box) -> int:
        top, bottom = self._lat(leaf.top), self._lat(leaf.bottom)
        right, left = self._lng(leaf.right), self._lng(leaf.left)
        if top < bottom:
            self._fail(
                f"The top latitude `{plain_number(top)}` is below the bottom latitude `{plain_number(bottom)}`.",
                leaf.left,
            )
        inside = []
        for number, point in self._points():
            wide = left <= point.lng <= right if left <= right else point.lng >= left or point.lng <= right
            if wide and bottom <= point.lat <= top:
                inside.append(number)
        return bitmaps.from_numbers(inside)

    def _points(self) -> list[tuple[int, Point]]:
        return list(self._reader.points().items())

    def _finite(self, word: Word) -> float:
        value = float(word.text)
        if not math.isfinite(value):
            self._fail("Non finite floats are not supported", word)
        return value

    def _lat(self, word: Word) -> float:
        value = self._finite(word)
        if not -_LAT_MAX <= value <= _LAT_MAX:
            self._fail(
                f"Bad latitude `{plain_number(value)}`. Latitude must be contained between -90 and 90 degrees.", word
            )
        return value

    def _lng(self, word: Word) -> float:
        value = self._finite(word)
        if not -_LNG_MAX <= value <= _LNG_MAX:
            found, better = plain_number(value), plain_number((value + 180) % 360 - 180)
            hint = f"Hint: try using `{better}` instead."
            self._fail(
                f"Bad longitude `{found}`. Longitude must be contained between -180 and 180 degrees. {hint}", word
            )
        return value


_OPERATOR_KINDS = {
    **dict.fromkeys(("=", "!=", "IN"), "equality"),
    **dict.fromkeys((">", ">=", "<", "<=", "TO"), "comparison"),
}
"""What an entry of ``filterableAttributes`` must allow for an operator."""


def parse_number(text: str) -> float | None:
    """Return the finite number a filter value stands for, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def filterable_listing(reader: IndexReader) -> str:
    """Return the filterable patterns as error messages list them, empty where there are none."""
    listed = (entry for entry in reader.settings.filterable if entry.is_filterable)
    names = sorted({name for entry in listed for name in entry.patterns})
    return ", ".join(f"`{name}`" for name in names)
