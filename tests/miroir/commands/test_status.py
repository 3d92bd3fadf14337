"""``miroir status`` on a running stack, and beside one that does not run."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from miroir.processes import ProcessId, identify
from miroir.stack_state import KEY_FILE, SETTINGS_FILE, Phase, StackState, write_state
from tests.miroir.local_stack import LocalStack, run_miroir, watch_miroir
from tests.miroir.stranger import stranger

STATUS = {"epoch": 1, "nodes": [], "indexes": [], "dead_letters": 0, "log": {"connected": False, "stopped": ""}}
"""A cluster without anything, of which one thing is wrong."""

ALIVE = cast("ProcessId", identify("supervisor", os.getpid()))
ENDED = replace(ALIVE, started="never")


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


def test_status_of_another_service_has_nothing_of_the_local_stack(tmp_path: Path) -> None:
    """What runs here has no part in what runs there, be it well or away."""
    state = StackState(Phase.READY, url="http://127.0.0.1:1", kafka="127.0.0.1:2", supervisor=ALIVE, processes=(ALIVE,))
    write_state(tmp_path, replace(state, troubles=("worker-2 ended with code 1",)))

    with stranger({"/_miroir/status": (200, STATUS)}) as url:
        shown = run_miroir("status", "--url", url, directory=tmp_path)
        asked = run_miroir("status", "--json", "--url", url, directory=tmp_path)
    with stranger({}) as url:
        refused = run_miroir("status", "--url", url, directory=tmp_path)

    assert all(text not in shown.out for text in ("worker-2", "local processes", "127.0.0.1:2"))
    assert asked.json["faults"] == ["Kafka is away: searches go on, nothing is written"]
    assert refused.err.startswith(f"miroir: GET {url}/_miroir/status: 404")
    assert "local stack" not in refused.err


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (StackState(Phase.READY, supervisor=ALIVE), "the local stack is ready"),
        (StackState(Phase.STARTING, "adding node-1", supervisor=ALIVE), "the local stack is starting: adding node-1"),
    ],
    ids=["ready", "starting"],
)
def test_status_of_a_local_stack_that_does_not_answer_says_how_it_is(
    tmp_path: Path, state: StackState, text: str
) -> None:
    """Which service was asked, and what is known of it."""
    write_state(tmp_path, replace(state, url="http://127.0.0.1:9"))

    ran = run_miroir("status", directory=tmp_path)

    assert ran.code == 1
    assert "query service http://127.0.0.1:9: " in ran.err
    assert ran.err.endswith(f"; {text}\n")


@pytest.mark.parametrize(
    ("state", "text"),
    [(StackState(Phase.READY), "stopped"), (StackState(Phase.FAILED, error="no port"), "failed: no port")],
    ids=["stopped", "failed"],
)
def test_command_beside_a_stack_that_has_ended_asks_nobody_else(tmp_path: Path, state: StackState, text: str) -> None:
    """Another stack may have taken its address: what that one says is not what was asked, unless it is named."""
    with stranger({"/_miroir/status": (200, STATUS)}) as url:
        write_state(tmp_path, replace(state, url=url, supervisor=ENDED))
        ran = run_miroir("status", "--json", directory=tmp_path)
        named = run_miroir("status", "--json", "--url", url, directory=tmp_path)

    expected = f"the local stack in {tmp_path} is {text}: `miroir up` starts it, --url asks another query service"
    assert (ran.code, ran.out, ran.err) == (1, "", f"miroir: {expected}\n")
    assert named.json["nodes"] == []


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
