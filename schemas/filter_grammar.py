"""Filter expressions: text to tree.

The readings of a condition are tried in the order of Meilisearch's own parser
(https://www.meilisearch.com/docs/learn/filtering_and_sorting/filter_expression_reference), because the order decides
which fault is told. What always holds: the same texts are taken, and refused with the same words. Who calls it: the
embedded node's searches and document routes; it serves anything that must know a filter before a node does.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from schemas.errors import InvalidSearchError
from schemas.filter_tree import And, Box, Condition, Filter, Not, Or, Radius, Word
from schemas.filter_words import (
    FaultError,
    finally_,
    keyword,
    read_number,
    read_value,
    refuse_reserved_geo,
    sign,
    skip_blanks,
    spaced,
    told,
)

DEPTH_MAX = 150
"""Nesting Meilisearch allows, each joint counted."""

VERSION = (1, 50)
"""The Meilisearch whose grammar this is."""

_OPERATIONS = (
    "`=`, `!=`, `>=`, `>`, `<=`, `<`, `IN`, `NOT IN`, `TO`, `EXISTS`, `NOT EXISTS`, `IS NULL`, `IS NOT NULL`,"
    " `IS EMPTY`, `IS NOT EMPTY`, `CONTAINS`, `NOT CONTAINS`, `STARTS WITH`, `NOT STARTS WITH`, `_geoRadius`,"
    " `_geoBoundingBox` or `_geoPolygon`"
)
_SIGNS = ("<=", ">=", "!=", "<", ">", "=")
_RADIUS_ARGUMENTS = (3, 4)
_PAIR = 2
_Parsed = tuple[Filter, int]
_Read = TypeVar("_Read")


def is_whole_grammar_of(version: str) -> bool:
    """Return whether a Meilisearch of this version takes no filter that is refused here: a later one may."""
    parts = version.split(".")[:2]
    return all(part.isdecimal() for part in parts) and tuple(map(int, parts)) <= VERSION


def parse_filter(value: Any, code: str = "invalid_search_filter") -> tuple[Filter | None, str]:
    """Return the tree of a filter as requests carry it, and the text its spans refer to.

    Args:
        value: text, an array of texts and arrays of texts, or null.
        code: the error code of a refusal.

    Returns:
        None as tree where nothing restricts; the text is empty where there are several.

    Raises:
        InvalidSearchError: the value is no filter.
    """
    match value:
        case None:
            return None, ""
        case str():
            return parse_expression(value, code), value
        case list():
            return _parse_array(value, code), ""
    raise _no_filter(value, "String, Array", code)


def _parse_array(items: list[Any], code: str) -> Filter | None:
    for item in items:
        if not isinstance(item, str | list):
            raise _no_filter(item, "String, [String]", code)
        for inner in item if isinstance(item, list) else ():
            if not isinstance(inner, str):
                raise _no_filter(inner, "String", code)
    parts = [
        _join(Or, [parse_expression(inner, code) for inner in item])
        if isinstance(item, list)
        else parse_expression(item, code)
        for item in items
    ]
    return _join(And, parts)


def _no_filter(value: Any, expected: str, code: str) -> InvalidSearchError:
    found = orjson.dumps(value).decode()
    return InvalidSearchError(code, f"Invalid syntax for the filter parameter: `expected {expected}, found: {found}`.")


def _join(kind: type[And] | type[Or], parts: "list[Filter | None]") -> Filter | None:
    kept = tuple(part for part in parts if part is not None)
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else kind(kept)


def parse_expression(text: str, code: str = "invalid_search_filter") -> Filter | None:
    """Return the tree of one text, None where it is blank.

    Raises:
        InvalidSearchError: it is no filter.
    """
    if not text.strip():
        return None
    try:
        return _Parser(text).parse_whole()
    except FaultError as fault:
        raise InvalidSearchError(code, told(fault, text)) from None


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text

    def parse_whole(self) -> Filter:
        tree, at = self._parse_or(0, 0)
        if at < len(self._text):
            message = (
                "Found unexpected characters at the end of the filter: `{}`. You probably forgot an `OR` or an `AND`"
                " rule."
            )
            raise FaultError(message, at, len(self._text))
        return tree

    def _parse_or(self, at: int, depth: int) -> _Parsed:
        parts, at = self._joined("OR", self._parse_and, at, depth)
        return (parts[0] if len(parts) == 1 else Or(tuple(parts))), at

    def _parse_and(self, at: int, depth: int) -> _Parsed:
        parts, at = self._joined("AND", self._parse_not, at, depth)
        return (parts[0] if len(parts) == 1 else And(tuple(parts))), at

    def _joined(
        self, joint: str, parse: Callable[[int, int], _Parsed], at: int, depth: int
    ) -> tuple[list[Filter], int]:
        self._check_depth(at, depth)
        part, at = parse(at, depth + 1)
        parts = [part]
        while (behind := self._maybe(joint, at)) is not None:
            part, at = self._must(parse, behind, depth + 1)
            parts.append(part)
        return parts, at

    def _parse_not(self, at: int, depth: int) -> _Parsed:
        self._check_depth(at, depth)
        behind = self._maybe("NOT", at)
        if behind is None:
            return self._parse_primary(at, depth + 1)
        part, at = self._must(self._parse_not, behind, depth + 1)
        return (part.part if isinstance(part, Not) else Not(part)), at

    def _check_depth(self, at: int, depth: int) -> None:
        if depth > DEPTH_MAX:
            message = (
                "The filter exceeded the maximum depth limit. Try rewriting the filter so that it contains fewer nested"
                " conditions."
            )
            raise FaultError(message, at, len(self._text), final=True)

    def _maybe(self, word: str, at: int) -> int | None:
        try:
            return skip_blanks(self._text, keyword(self._text, skip_blanks(self._text, at), word))
        except FaultError:
            return None

    def _must(self, parse: Callable[[int, int], _Parsed], at: int, depth: int) -> _Parsed:
        try:
            return parse(at, depth)
        except FaultError as fault:
            fault.final = True
            raise

    def _parse_primary(self, at: int, depth: int) -> _Parsed:
        self._check_depth(at, depth)
        text = self._text
        start = skip_blanks(text, at)
        if text.startswith("(", start):
            return self._parse_group(at, start, depth)
        for parse in (self._radius, self._box, self._polygon, *self._conditions(), self._foreign):
            try:
                return parse(at)
            except FaultError as fault:
                if fault.final:
                    raise
        refuse_reserved_geo(text, start)
        self._refuse_keyword(at)
        shown = "at `{}`." if text[at:].strip() else "but instead got nothing."
        raise FaultError(f"Was expecting an operation {_OPERATIONS} {shown}", at, len(text))

    def _conditions(self) -> tuple[Callable[[int], _Parsed], ...]:
        return (self._in, self._comparison, self._state, self._exists, self._range, self._contains, self._starts)

    def _refuse_keyword(self, at: int) -> None:
        """Say that a keyword stands for a value, where that is why no reading fits."""
        try:
            self._comparison(at)
        except FaultError as fault:
            if fault.reserved:
                raise

    def _parse_group(self, at: int, start: int, depth: int) -> _Parsed:
        text = self._text
        tree, behind = self._must(self._parse_or, skip_blanks(text, start + 1), depth + 1)
        behind = skip_blanks(text, behind)
        if not text.startswith(")", behind):
            message = "Expression `{}` is missing the following closing delimiter: `)`."
            raise FaultError(message, at, len(text), final=True)
        return tree, skip_blanks(text, behind + 1)

    def _in(self, at: int) -> _Parsed:
        text = self._text
        field, at = read_value(text, at)
        negated = False
        try:
            behind = keyword(text, at, "NOT")
        except FaultError:
            behind = at
        else:
            negated = True
        operator = skip_blanks(text, behind)
        behind = skip_blanks(text, keyword(text, operator, "IN"))
        if not text.startswith("[", behind):
            raise FaultError("Expected `[` after `IN` keyword.", behind, len(text), final=True)
        values, behind = self._values(behind + 1)
        closing = skip_blanks(text, behind)
        if not text.startswith("]", closing):
            raise _unclosed_list(text, behind)
        condition = Condition(field, "IN", values, Word("IN", operator, operator + 2))
        return _maybe_not(condition, negated=negated), skip_blanks(text, closing + 1)

    def _values(self, at: int) -> tuple[tuple[Word, ...], int]:
        text = self._text
        values: list[Word] = []
        while True:
            behind = at
            if values:
                behind = skip_blanks(text, at)
                if not text.startswith(",", behind):
                    return tuple(values), at
                behind = skip_blanks(text, behind + 1)
            try:
                word, at = read_value(text, behind)
            except FaultError as fault:
                if fault.final:
                    raise
                # A comma behind the last value is allowed.
                return tuple(values), behind
            values.append(word)

    def _comparison(self, at: int) -> _Parsed:
        text = self._text
        field, at = read_value(text, at)
        operator = next((own for own in _SIGNS if text.startswith(own, at)), None)
        if operator is None:
            raise FaultError("", at, len(text))
        behind = at + len(operator)
        value, end = finally_(lambda: read_value(text, behind))
        return Condition(field, operator, (value,), Word(operator, at, behind)), end

    def _state(self, at: int) -> _Parsed:
        text = self._text
        field, at = read_value(text, at)
        for words, negated in ((("IS",), False), (("IS", "NOT"), True)):
            for name in ("NULL", "EMPTY"):
                try:
                    behind = spaced(text, at, *words, name)
                except FaultError:
                    continue
                return _maybe_not(Condition(field, name, (), Word("IS", at, at + 2)), negated=negated), behind
        raise FaultError("", at, len(text))

    def _exists(self, at: int) -> _Parsed:
        field, at = read_value(self._text, at)
        operator, behind, negated = self._perhaps_negated(at, "EXISTS")
        return _maybe_not(Condition(field, "EXISTS", (), operator), negated=negated), behind

    def _perhaps_negated(self, at: int, name: str) -> tuple[Word, int, bool]:
        text = self._text
        negated = not text.startswith(name, at)
        behind = spaced(text, at, "NOT", name) if negated else sign(text, at, name)
        return Word(name, behind - len(name), behind), behind, negated

    def _range(self, at: int) -> _Parsed:
        text = self._text
        field, at = read_value(text, at)
        low, at = read_value(text, at)
        behind = sign(text, at, "TO")
        if skip_blanks(text, behind) == behind:
            raise FaultError("", behind, len(text))
        high, end = finally_(lambda: read_value(text, behind))
        return Condition(field, "TO", (low, high), Word("TO", at, behind)), end

    def _contains(self, at: int) -> _Parsed:
        return self._part_of_text(at, "CONTAINS", "CONTAINS")

    def _starts(self, at: int) -> _Parsed:
        return self._part_of_text(at, "STARTS WITH", "STARTS")

    def _part_of_text(self, at: int, name: str, kind: str) -> _Parsed:
        text = self._text
        field, at = read_value(text, at)
        operator, behind, negated = self._perhaps_negated(at, name)
        value, end = finally_(lambda: read_value(text, behind))
        return _maybe_not(Condition(field, kind, (value,), operator), negated=negated), end

    def _radius(self, at: int) -> _Parsed:
        text = self._text
        message = (
            "The `_geoRadius` filter must be in the form: `_geoRadius(latitude, longitude, radius,"
            " optionalResolution)`."
        )
        behind = keyword(text, skip_blanks(text, at), "_geoRadius")
        words, end = self._cut(message, lambda: self._numbers(behind, "(", ")"))
        if len(words) not in _RADIUS_ARGUMENTS:
            message = f"Was expecting 3 or 4 arguments for `_geoRadius`, but instead found {len(words)}."
            raise FaultError(message, end, len(text), final=True)
        return Radius(*words), end

    def _box(self, at: int) -> _Parsed:
        text = self._text
        pairs = "_geoBoundingBox([latitude, longitude], [latitude, longitude])"
        message = f"The `_geoBoundingBox` filter expects two pairs of arguments: `{pairs}`."
        behind = keyword(text, skip_blanks(text, at), "_geoBoundingBox")
        corners, end = self._cut(message, lambda: self._pairs(behind))
        if len(corners) != _PAIR:
            raise FaultError(message, end, len(text), final=True)
        for words in corners:
            if len(words) != _PAIR:
                message = f"Was expecting 2 coordinates but instead found {len(words)}."
                raise FaultError(message, words[0].start, words[0].end, final=True)
        return Box(corners[0][0], corners[0][1], corners[1][0], corners[1][1]), end

    def _polygon(self, at: int) -> _Parsed:
        raise self._unsupported("_geoPolygon", at)

    def _foreign(self, at: int) -> _Parsed:
        raise self._unsupported("_foreign", at)

    def _unsupported(self, name: str, at: int) -> InvalidSearchError:
        keyword(self._text, skip_blanks(self._text, at), name)
        return InvalidSearchError("miroir_not_supported", f"The filter `{name}` is not supported by miroir yet.")

    def _cut(self, message: str, read: Callable[[], _Read]) -> _Read:
        try:
            return read()
        except FaultError as fault:
            raise FaultError(message, fault.start, len(self._text), final=True) from None

    def _numbers(self, at: int, opening: str, closing: str) -> tuple[list[Word], int]:
        text = self._text
        word, behind = read_number(text, sign(text, at, opening))
        words = [word]
        while text.startswith(",", behind):
            try:
                word, end = read_number(text, behind + 1)
            except FaultError:
                break
            words.append(word)
            behind = end
        return words, sign(text, behind, closing)

    def _pairs(self, at: int) -> tuple[list[list[Word]], int]:
        text = self._text
        words, behind = self._numbers(skip_blanks(text, sign(text, at, "(")), "[", "]")
        behind = skip_blanks(text, behind)
        corners = [words]
        while text.startswith(",", behind):
            try:
                words, end = self._numbers(skip_blanks(text, behind + 1), "[", "]")
            except FaultError:
                break
            corners.append(words)
            behind = skip_blanks(text, end)
        return corners, sign(text, behind, ")")


def _unclosed_list(text: str, at: int) -> FaultError:
    if at == len(text):
        message = "Expected matching `]` after the list of field names given to `IN[`"
    else:
        message = "Expected only comma-separated field names inside `IN[..]` but instead found `{}`."
    return FaultError(message, at, len(text), final=True)


def _maybe_not(condition: Condition, *, negated: bool) -> Filter:
    return Not(condition) if negated else condition
