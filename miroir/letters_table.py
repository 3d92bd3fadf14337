"""Dead letters as tables, and one of them whole.

What always holds: a pure function of what was found; a record's name is never cut off, since the next command takes it.
Who calls it: ``miroir dead``. It must not know: where letters come from.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from miroir.letter_fate import Fate, Outcome
from schemas.dead_letters import build_dead_letter_key, decode_bytes

NONE = "(none)"
"""A key or a value that a record does not have."""

_COLOURS = {Fate.REPLAYED: "green", Fate.SUPERSEDED: "yellow", Fate.REFUSED: "red"}


def letters_table(letters: Iterable[Mapping[str, Any]]) -> Table:  # as the query service has them
    """Return the letters, one row each."""
    table = _table("key", "reason", "message")
    for letter in letters:
        place = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
        key = readable(decode_bytes(letter["key_base64"]))
        table.add_row(place, Text(key), letter["reason"], Text(letter["message"]))
    return table


def outcomes_table(outcomes: Iterable[Outcome]) -> Table:
    """Return what became of letters that were tried again, one row each."""
    table = _table("key", "reason", "outcome", "detail")
    for each in outcomes:
        place = build_dead_letter_key(each.letter).decode()
        key = readable(decode_bytes(each.letter.key))
        table.add_row(place, Text(key), each.letter.reason, Text(each.fate, _COLOURS[each.fate]), Text(each.detail))
    return table


def letter_text(fields: Mapping[str, Any]) -> Text:  # JSON
    """Return one letter whole, a line for each of its fields."""
    return Text("\n").join(
        Text.assemble((name, "bold"), f": {NONE if content is None else content}") for name, content in fields.items()
    )


def readable(data: bytes | None) -> str:
    """Return bytes as people read them: text where they are some, else their repr."""
    if data is None:
        return NONE
    text = data.decode(errors="replace")
    return text if text.isprintable() and "�" not in text else repr(data)


def _table(*others: str) -> Table:
    table = Table()
    table.add_column("record", overflow="fold")
    for name in others:
        table.add_column(name)
    return table
