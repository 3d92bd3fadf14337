"""Dead letters, as tables and as text."""

import pytest
from rich.console import Console
from rich.table import Table

from miroir.letter_fate import Fate, Outcome
from miroir.letters_table import letter_text, letters_table, outcomes_table, readable
from schemas.dead_letters import DeadLetter, encode_bytes
from schemas.ids import Incarnation, IndexUid, Offset, Partition

TOPIC = "miroir.docs.an-index-whose-name-is-rather-long.1234"
MESSAGE = "the document has no field `id`, which is the primary key of the index and must be there"


def make_letter(key: bytes | None) -> DeadLetter:
    """Return a letter of a record with this key."""
    place = (TOPIC, Partition(3), Offset(98765432))
    return DeadLetter(
        *place, IndexUid("films"), Incarnation(3), "missing_id", MESSAGE, encode_bytes(key), None, timestamp_ms=0
    )


def first_column(table: Table, width: int) -> str:
    """Return what the first column holds on a terminal so wide, its lines joined."""
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return "".join(line.split("│")[1].strip() for line in capture.get().splitlines() if line.startswith("│"))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_record_is_never_cut_off(width: int) -> None:
    """It is what the next command is told: on a narrow terminal it goes on in the next line."""
    wire = {"topic": TOPIC, "partition": 3, "offset": 98765432, "key_base64": None, "reason": "missing_id"}
    outcome = Outcome(make_letter(b"7"), Fate.REFUSED, MESSAGE)

    assert first_column(letters_table([wire | {"message": MESSAGE}]), width) == f"{TOPIC}/3/98765432"
    assert first_column(outcomes_table([outcome]), width) == f"{TOPIC}/3/98765432"


def test_letter_text_says_what_a_record_does_not_have() -> None:
    """No key is not a key of some letters; what is empty or looks like markup is shown as it is."""
    fields = {"key": None, "key_base64": None, "closed": "", "value": "[bold]", "timestamp_ms": 0}

    lines = letter_text(fields).plain.splitlines()

    assert lines == ["key: (none)", "key_base64: (none)", "closed: ", "value: [bold]", "timestamp_ms: 0"]


@pytest.mark.parametrize(
    ("data", "text"),
    [(None, "(none)"), (b"7", "7"), ("é".encode(), "é"), (b"[red]", "[red]"), (b"\xff", r"b'\xff'"), (b"\n", r"b'\n'")],
)
def test_readable_bytes_are_text_where_they_are_some(data: bytes | None, text: str) -> None:
    """What is no text is shown as bytes, and nothing as that."""
    assert readable(data) == text
