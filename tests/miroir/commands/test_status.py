"""``miroir status`` on a running stack, and beside one that does not run."""

import shutil
from dataclasses import replace
from pathlib import Path

from miroir.stack_state import KEY_FILE, SETTINGS_FILE, write_state
from tests.miroir.local_stack import LocalStack, run_miroir


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
