"""The words of a filter expression: values, keywords, numbers, and what is wrong with them.

What always holds: a reader is given a place in the text and returns the place behind what it read; a fault that is
*final* is told to the user, another one makes the grammar try its next reading, as Meilisearch's own parser does. Who
calls it: the filter grammar. It must not know: which word may stand where.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from schemas.filter_escapes import EscapeError, EscapeFault, resolve_escapes
from schemas.filter_tree import Word

KEYWORDS = frozenset(("AND", "OR", "IN", "NOT", "TO", "EXISTS", "IS", "NULL", "EMPTY", "CONTAINS", "STARTS", "WITH"))
RESERVED = KEYWORDS | {"_geoRadius", "_geoBoundingBox"}

_BLANKS = " \t\r\n"
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_ENDS_WORD = "()=<>!"
_GEO_HINT = (
    "Use the `_geoRadius(latitude, longitude, distance)` or `_geoBoundingBox([latitude, longitude], [latitude,"
    " longitude])` built-in rules to filter on `_geo` coordinates."
)


class FaultError(Exception):
    """A place where the text is not what was expected.

    Attributes:
        message: what is said about the fragment; ``{}`` stands for the fragment, escaped.
        start: where the fragment begins.
        end: where it ends, exclusive.
        final: no other reading is tried.
        reserved: the fragment is a keyword that stands for a value.
    """

    def __init__(self, message: str, start: int, end: int, *, final: bool = False, reserved: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.final = final
        self.reserved = reserved


class Read(NamedTuple):
    """A word and the place behind it, blanks included."""

    word: Word
    at: int


def skip_blanks(text: str, at: int) -> int:
    """Return the place of the next character that is no blank."""
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def bare_end(text: str, at: int) -> int:
    """Return where a bare word that begins at ``at`` ends; ``at`` itself where none does."""
    while at < len(text) and (text[at].isalnum() or text[at] in "_-."):
        at += 1
    return at


def keyword(text: str, at: int, wanted: str) -> int:
    """Return the place behind a whole word.

    Raises:
        FaultError: another word stands there.
    """
    end = bare_end(text, at)
    if text[at:end] != wanted:
        raise FaultError("", at, len(text))
    return end


def sign(text: str, at: int, wanted: str) -> int:
    """Return the place behind a sign or letters, whatever follows them.

    Raises:
        FaultError: they do not stand there.
    """
    if not text.startswith(wanted, at):
        raise FaultError("", at, len(text))
    return at + len(wanted)


def spaced(text: str, at: int, *wanted: str) -> int:
    """Return the place behind words that blanks part."""
    at = sign(text, at, wanted[0])
    for word in wanted[1:]:
        behind = skip_blanks(text, at)
        if behind == at:
            raise FaultError("", at, len(text))
        at = sign(text, behind, word)
    return at


def finally_(read: Callable[[], Read]) -> Read:
    """Read what must stand here: any fault is final."""
    try:
        return read()
    except FaultError as fault:
        fault.final = True
        raise


def read_value(text: str, at: int) -> Read:
    """Return a bare or quoted word with its escapes resolved.

    Raises:
        FaultError: there is none, or one that must not stand for a value.
    """
    while at < len(text) and text[at].isspace():
        at += 1
    _refuse_geo(text, at)
    mark = text[at : at + 1]
    if mark and mark in "'\"":
        start, end = at + 1, _closing(text, at, mark)
        word, behind = _resolved(text, start, end, mark), end + 1
    else:
        start, end = at, bare_end(text, at)
        if start == end or text[start:end] in RESERVED:
            raise _no_value(text, at, reserved=start != end)
        word, behind = text[start:end], end
    return Read(Word(word, start, end), skip_blanks(text, behind))


def read_number(text: str, at: int) -> Read:
    """Return a number with the blanks around it.

    Raises:
        FaultError: there is none.
    """
    start = skip_blanks(text, at)
    match = _FLOAT.match(text, start)
    if match is None:
        raise FaultError("", start, len(text))
    return Read(Word(match.group(), start, match.end()), skip_blanks(text, match.end()))


def refuse_reserved_geo(text: str, at: int) -> None:
    """Refuse ``_geoPoint``, ``_geoDistance`` and ``_geo``: they order and show, but restrict nothing.

    Raises:
        FaultError: one of them stands here.
    """
    for name in ("_geoPoint", "_geoDistance", "_geo"):
        found = text[at : bare_end(text, at)] == name if name == "_geo" else text.startswith(name, at)
        if found:
            message = f"`{name}` is a reserved keyword and thus can't be used as a filter expression. {_GEO_HINT}"
            raise FaultError(message, at, len(text), final=True)


def _refuse_geo(text: str, at: int) -> None:
    refuse_reserved_geo(text, at)
    for name in ("_geoRadius", "_geoBoundingBox"):
        if text[at : bare_end(text, at)] == name:
            message = f"The `{name}` filter is an operation and can't be used as a value."
            raise FaultError(message, at, len(text), final=True)


def _closing(text: str, at: int, mark: str) -> int:
    place = at + 1
    while place < len(text) and text[place] != mark:
        if text[place] == "\\" and place + 1 == len(text):
            raise FaultError("Malformed value: `{}`.", at + 1, len(text), final=True)
        place += 2 if text[place] == "\\" else 1
    if place >= len(text):
        message = f"Expression `{{}}` is missing the following closing delimiter: `{mark}`."
        raise FaultError(message, at, len(text), final=True)
    return place


def _no_value(text: str, at: int, *, reserved: bool) -> FaultError:
    end = at
    while end < len(text) and not text[end].isspace() and text[end] not in _ENDS_WORD:
        end += 1
    if end == at:
        message = "Was expecting a value but instead got nothing."
    elif reserved:
        message = (
            "Was expecting a value but instead got `{}`, which is a reserved keyword. To use `{}` as a field name or a"
            " value, surround it by quotes."
        )
    else:
        message = "Was expecting a value but instead got `{}`."
    return FaultError(message, at, end, reserved=reserved)


_ESCAPE_FAULTS = {
    EscapeFault.NUMBER: "Found an invalid escaped sequence number: `{}`.",
    EscapeFault.CHARACTER: "Malformed value: `{}`.",
}


def _resolved(text: str, start: int, end: int, mark: str) -> str:
    try:
        return resolve_escapes(text[start:end], mark)
    except EscapeError as error:
        if error.fault is EscapeFault.INCOMPLETE:
            message = "The filter is incomplete and requires Unknown additional bytes to be parsed."
            raise FaultError(message, 0, len(text), final=True) from None
        raise FaultError(_ESCAPE_FAULTS[error.fault], start, end) from None


_SHOWN_ESCAPED = str.maketrans(
    {"\t": "\\t", "\r": "\\r", "\n": "\\n", "'": "\\'", '"': '\\"', "\\": "\\\\", "\0": "\\0"}
)


def told(fault: FaultError, text: str) -> str:
    """Return a fault as Meilisearch words it: the message, then the place and the whole expression."""
    shown = _escaped(text[fault.start : fault.end])
    column = fault.start - (text.rfind("\n", 0, fault.start) + 1) + 1
    return f"{fault.message.replace('{}', shown)}\n{column}:{column + fault.end - fault.start} {text}"


def _escaped(fragment: str) -> str:
    """Return a fragment as Rust's ``escape_debug`` shows it: what cannot be seen by itself as its number."""
    shown = fragment.translate(_SHOWN_ESCAPED)
    # A mark is seen on the letter before it, where there is one.
    is_lone = unicodedata.combining(fragment[:1] or " ") > 0
    if fragment.isprintable() and not is_lone:
        return shown
    return "".join(
        f"\\u{{{ord(letter):x}}}" if not letter.isprintable() or (is_lone and place == 0) else letter
        for place, letter in enumerate(shown)
    )
