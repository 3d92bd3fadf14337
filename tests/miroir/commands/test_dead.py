"""``miroir dead`` on a running stack: dead letters listed, shown, replayed."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from miroir.commands.dead import require_known
from miroir.settings_source import load_settings
from schemas.errors import NotFoundError
from schemas.events import PartitionerName
from schemas.ids import Partition
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.partitioning import partition_of
from streams.topics import docs_topic_name
from tests.miroir.local_stack import LocalStack, run_miroir
from tests.miroir.stranger import stranger

LISTED_S = 100.0
"""A record is read some tenths of a second after it was produced; a new index some seconds later."""


def test_dead_letter_is_listed_and_shown_whole(local_stack: LocalStack) -> None:
    """A record that is no document is listed with its reason, and shown as it came."""
    local_stack.run("index", "create", "dead", "--primary-key", "id", "--shards", "1")
    asyncio.run(append(local_stack, "dead", b"7", b"[1, 2"))

    (letter,) = listed(local_stack, "dead", 1)
    assert letter["reason"] == "not_json"
    shown = local_stack.run("dead", "show", f"{letter['topic']}/0/{letter['offset']}", "--json").json
    assert (shown["key"], shown["value"], shown["closed"]) == ("7", "[1, 2", "")
    assert local_stack.run("verify", "--index", "dead", "--json").json["verified"] is True


async def append(local_stack: LocalStack, index: str, key: bytes, value: bytes, at: int = 0) -> None:
    """Append one record to the index's topic."""
    settings = load_settings({}, local_stack.directory)
    writer = KafkaLogWriter(settings.kafka_config("test"))
    topic = docs_topic_name(index, 0, taken=False)  # type: ignore[arg-type]  # plain text and number
    try:
        await writer.append([Append(topic, Partition(at), key, value)])
    finally:
        await writer.close()


def listed(local_stack: LocalStack, index: str, count: int) -> list[dict[str, Any]]:
    """Return the index's dead letters, once there are so many."""
    deadline_s = time.monotonic() + LISTED_S
    while len(found := local_stack.run("dead", "list", "--index", index, "--json").json["results"]) != count:
        assert time.monotonic() < deadline_s, found
    letters: list[dict[str, Any]] = found
    return letters


def test_dead_show_unknown_record_is_an_error(local_stack: LocalStack) -> None:
    """A record that has no dead letter, and a text that names none, are errors."""
    assert "not found" in local_stack.run("dead", "show", "miroir.docs.none/0/0", code=1).err
    assert "TOPIC/PARTITION/OFFSET" in local_stack.run("dead", "show", "none", code=1).err


def test_dead_replay_produces_what_can_live_and_names_the_rest(local_stack: LocalStack) -> None:
    """A misrouted record goes where it belongs and is searched; one that is no document stays on the list."""
    local_stack.run("index", "create", "again", "--primary-key", "id", "--shards", "2")
    wrong = 1 - partition_of(b"7", 2, PartitionerName.MURMUR2)
    asyncio.run(append(local_stack, "again", b"7", b'{"id": 7, "title": "misrouted"}', wrong))
    asyncio.run(append(local_stack, "again", b"8", b"[]", partition_of(b"8", 2, PartitionerName.MURMUR2)))
    letters = {letter["reason"]: letter for letter in listed(local_stack, "again", 2)}

    told = local_stack.run("dead", "replay", "--index", "again", "--dry-run", code=1).err
    tried = local_stack.run("dead", "replay", "--index", "again", "--dry-run", "--json", code=1).json
    ran = local_stack.run("dead", "replay", "--index", "again", "--json", code=1).json

    assert "nothing was done; it would be: 1 replayed, 0 superseded, 1 refused" in told
    assert (tried["replayed"], tried["refused"], tried["dry_run"]) == (1, 1, True)
    assert {each["reason"]: each["outcome"] for each in ran["results"]} == {
        "misrouted": "replayed",
        "not_an_object": "refused",
    }
    assert [letter["reason"] for letter in listed(local_stack, "again", 1)] == ["not_an_object"]
    place = "{topic}/{partition}/{offset}".format(**letters["misrouted"])
    assert "replayed: " in local_stack.run("dead", "show", place, "--json").json["closed"]
    assert "no open dead letter" in local_stack.run("dead", "replay", place, code=1).err
    deadline_s = time.monotonic() + LISTED_S
    while not (hits := local_stack.run("search", "again", "misrouted", "--json").json["hits"]):
        assert time.monotonic() < deadline_s
    assert hits == [{"id": 7, "title": "misrouted"}]
    assert local_stack.run("verify", "--index", "again", "--json").json["verified"] is True


@pytest.mark.parametrize(
    ("index", "code", "text"),
    [("here", 0, "0 of 0"), ("gone", 0, "1 of 1"), ("nope", 1, "Index `nope` not found.")],
    ids=["without letters", "deleted, with letters", "neither"],
)
def test_dead_list_of_no_index_and_no_letter_is_an_error(tmp_path: Path, index: str, code: int, text: str) -> None:
    """A misspelt name is told from an index that is well, and the letters of a deleted one are listed."""
    letter = {"topic": "t", "partition": 0, "offset": 1, "key_base64": None, "reason": "no_key", "message": "…"}
    letters = [letter] * (index == "gone")
    answers = {
        "/_miroir/dead": (200, {"results": letters, "total": len(letters)}),
        "/indexes/here": (200, {"uid": "here"}),
        "/indexes/nope": (404, {"code": "index_not_found", "message": "Index `nope` not found."}),
    }

    with stranger(answers) as url:
        ran = run_miroir("dead", "list", "--index", index, "--url", url, directory=tmp_path)

    assert ran.code == code
    assert text in ran.err


def test_require_known_tells_an_index_without_letters_from_none() -> None:
    """Whoever names an index that never was is told, instead of that nothing was to be done."""
    require_known(None, set())
    require_known("films", {"films"})
    with pytest.raises(NotFoundError, match="'nope' not found"):
        require_known("nope", {"films"})


def test_dead_replay_of_no_index_is_an_error(local_stack: LocalStack) -> None:
    """Nothing is done, and that the name is not known is said."""
    assert "index 'nope' not found" in local_stack.run("dead", "replay", "--index", "nope", code=1).err


def test_dead_replay_must_be_told_which() -> None:
    """Nothing is replayed by accident: a wrong command line is exit code 2."""
    assert run_miroir("dead", "replay").code == 2
    assert run_miroir("dead", "replay", "--all", "--partition", "1").code == 2
