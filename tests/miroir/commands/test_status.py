"""``miroir status`` on a running stack, and beside one that does not run."""

import shutil
from dataclasses import replace
from pathlib import Path

from miroir.stack_state import KEY_FILE, SETTINGS_FILE, write_state
from tests.miroir.local_stack import LocalStack, run_miroir, watch_miroir
from tests.miroir.stranger import stranger

STATUS = {"epoch": 1, "nodes": [], "indexes": [], "dead_letters": 0, "log": {"connected": False, "stopped": ""}}
"""A cluster without anything, of which one thing is wrong."""


def test_status_names_nodes_and_where_the_log_is(local_stack: LocalStack) -> None:
    """What producers need stands where one looks first."""
    ran = run_miroir("status", directory=local_stack.directory)

    assert all(node in ran.out for node in ("node-1", "node-2", "node-3"))
    assert f"log {local_stack.state.kafka} (embedded)" in ran.out


def test_status_shards_shows_every_copy(local_stack: LocalStack) -> None:
    """A table an index, a row a copy."""
    local_stack.run("index", "create", "status", "--primary-key", "id", "--shards", "3")

    ran = run_miroir("status", "--shards", directory=local_stack.directory)

    rows = ran.out.partition("index status")[2].partition("index ")[0]
    assert sum(line.count("│ node-") for line in rows.splitlines()) == 6


def test_status_without_a_stack_says_what_to_do(tmp_path: Path) -> None:
    """Where no query service answers, one message and exit code 1."""
    ran = run_miroir("status", "--url", "http://127.0.0.1:9", directory=tmp_path)

    assert ran.code == 1
    assert "miroir up" in ran.err


def test_status_watch_as_json_prints_a_line_a_look(tmp_path: Path) -> None:
    """A script reads one object after the other, as each is made; one that could not be asked has that as its fault."""
    with stranger({"/_miroir/status": (200, STATUS)}) as url:
        looks = watch_miroir("status", "--watch", "--json", "--url", url, directory=tmp_path)
    with stranger({}) as url:
        away = watch_miroir("status", "--watch", "--json", "--url", url, directory=tmp_path)

    assert looks == [STATUS | {"faults": ["Kafka is away: searches go on, nothing is written"]}] * 2
    assert all("404" in look["faults"][0] for look in away)


def test_status_tells_the_troubles_of_local_processes(local_stack: LocalStack, tmp_path: Path) -> None:
    """A process that ends again and again is a fault, in both forms, though searches go on without it."""
    for name in (SETTINGS_FILE, KEY_FILE):
        shutil.copy(local_stack.directory / name, tmp_path)
    write_state(tmp_path, replace(local_stack.state, troubles=("worker-2 ended with code 1, 5 times in a row",)))

    shown = run_miroir("status", directory=tmp_path)
    asked = run_miroir("status", "--json", directory=tmp_path)

    assert (shown.code, asked.code) == (1, 1)
    assert "! worker-2 ended with code 1, 5 times in a row" in shown.out
    assert "all is well" not in shown.out
    assert "worker-2 ended with code 1, 5 times in a row" in asked.json["faults"]
