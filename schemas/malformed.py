"""What Meilisearch's JSON parser says about bytes that are no JSON.

What always holds: an answer for any bytes, with line and column where the fault shows. Who calls it: whatever parses a
body. It must not know: what the body was to be.
"""

import json
from collections.abc import Mapping

_WORDS: Mapping[str, str] = {
    "Expecting property name enclosed in double quotes": "key must be a string",
    "Expecting ':' delimiter": "expected `:`",
    "Expecting ',' delimiter": "expected `,` or `}`",
    "Extra data": "trailing characters",
    "Illegal trailing comma before end of object": "trailing comma",
    "Illegal trailing comma before end of array": "trailing comma",
    "Unterminated string starting at": "EOF while parsing a string",
}
"""Python's words to those of serde_json, which Meilisearch passes on."""


_LITERALS = ("null", "true", "false")


def explain_malformed(body: bytes, *, line: int = 1, documents: bool = False) -> str:
    """Return the reason why ``body`` does not parse.

    Args:
        body: bytes that are no JSON, or none in a strict reader's eyes.
        line: the number of the body's first line.
        documents: whether the parser expects objects, which changes its words for a list cut short.
    """
    text = body.decode("utf-8", "replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            return _explain_end(text, line=line, documents=documents)
        rest = text[error.pos :].strip()
        if rest and any(literal.startswith(rest) for literal in _LITERALS):
            return f"EOF while parsing a value at line {line + text.count(chr(10))} column {len(text)}"
        return f"{_words(error, text)} at line {line + error.lineno - 1} column {error.colno}"
    except RecursionError:
        return f"recursion limit exceeded at line {line} column 128"
    return f"invalid value at line {line} column 1"


def _words(error: json.JSONDecodeError, text: str) -> str:
    before = text[: error.pos].rstrip()
    if error.msg == "Expecting value" and before.endswith(",") and text[error.pos : error.pos + 1] == "]":
        return "trailing comma"
    if error.msg == "Expecting ',' delimiter" and _innermost_open(before) == "[":
        return "expected `,` or `]`"
    return _WORDS.get(error.msg, "expected value")


def _explain_end(text: str, *, line: int, documents: bool) -> str:
    at = f"at line {line + text.count(chr(10))} column {len(text) - (text.rfind(chr(10)) + 1)}"
    opened = _innermost_open(text)
    last = text.rstrip()[-1:]
    if opened == '"':
        what = "a string"
    elif last in {":", ""} or (last == "," and opened == "["):
        what = "a value"
    elif opened == "{" or (documents and not opened):
        what = "an object"
    else:
        what = "a list" if opened == "[" else "a value"
    return f"EOF while parsing {what} {at}"


def _innermost_open(text: str) -> str:
    opened: list[str] = []
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "{[":
            opened.append(character)
        elif character in "}]" and opened:
            opened.pop()
    return '"' if quoted else (opened[-1] if opened else "")
