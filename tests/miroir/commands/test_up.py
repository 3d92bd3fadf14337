"""``miroir up`` and ``miroir down``: what starts, what is left alone, what is said when it fails."""

import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from miroir.commands.up import checked_binary
from miroir.processes import is_alive
from miroir.stack_state import KEY_FILE, SETTINGS_FILE, Phase, StackState, write_state
from schemas.errors import ConfigurationError
from tests.miroir.local_stack import LocalStack, interrupt_miroir, run_miroir
from tests.miroir.stack_guard import guarded


def make_program(path: Path, script: str) -> Path:
    """Write a program that stands in for a node."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_up_ready_every_process_lives(local_stack: LocalStack) -> None:
    """Broker, three nodes, a worker and a query service run, and secrets are private."""
    state = local_stack.state

    assert state.phase is Phase.READY
    names = [each.name for each in state.processes]
    assert names == ["broker", "node-1", "node-2", "node-3", "worker-1", "query"]
    assert all(map(is_alive, state.processes))
    for name in (KEY_FILE, SETTINGS_FILE):
        assert stat.S_IMODE((local_stack.directory / name).stat().st_mode) == 0o600


def test_up_again_says_that_it_runs(local_stack: LocalStack) -> None:
    """Starting a stack that runs changes nothing."""
    before = local_stack.state.processes

    ran = local_stack.run("up")

    assert "already ready" in ran.err
    assert local_stack.state.processes == before


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_directory_that_is_a_file_is_refused_in_one_line(tmp_path: Path, command: str) -> None:
    """Each command that is told of a state directory says what it found, and what to do."""
    file = tmp_path / "a-file"
    file.touch()

    ran = run_miroir(command, directory=file)

    assert ran.code == 1
    assert f"{file}: Not a directory" in ran.err
    assert "--dir names another" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_up_where_it_cannot_write_is_refused_in_one_line(tmp_path: Path) -> None:
    """Nothing is started where its logs cannot be."""
    (tmp_path / "logs").touch()

    ran = run_miroir("up", directory=tmp_path)

    assert ran.code == 1
    assert "logs; expected a directory that may be read and written" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="who may write anywhere is refused nothing")
def test_up_in_a_directory_of_others_is_refused_in_one_line(tmp_path: Path) -> None:
    """A directory that may only be read is named, with what to do."""
    tmp_path.chmod(0o500)

    ran = run_miroir("up", directory=tmp_path)
    tmp_path.chmod(0o700)

    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "Permission denied" in ran.err


@pytest.mark.slow
def test_up_node_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    """A program that is no node ends the start with the tail of its log, and nothing is left running."""
    program = make_program(tmp_path / "no-node", "echo this is no node >&2; exit 3")
    directory = tmp_path / "state"

    ran = run_miroir("up", "--port", "0", "--node-binary", str(program), directory=directory)

    assert ran.code == 1
    assert "ended with code 3" in ran.err
    assert "this is no node" in ran.err
    state = LocalStack(directory).state
    assert state.phase is Phase.FAILED
    assert not any(map(is_alive, state.processes))


@pytest.mark.slow
def test_up_interrupted_says_that_the_stack_goes_on_and_what_ends_it(tmp_path: Path) -> None:
    """Nothing is left in the background that nobody was told of."""
    program = make_program(tmp_path / "never-ready", "exec sleep 600")
    directory = tmp_path / "state"

    with guarded(directory):
        ran = interrupt_miroir("up", "--port", "0", "--node-binary", str(program), directory=directory)
        down = run_miroir("down", directory=directory)

    assert ran.code == 130
    assert f"the stack in {directory} goes on starting in the background; `miroir down` ends it" in ran.err
    assert down.code == 0
    assert not any(map(is_alive, LocalStack(directory).state.processes))


@pytest.mark.slow
def test_down_after_the_supervisor_was_killed_ends_what_it_left(tmp_path: Path) -> None:
    """Processes whose owner was killed are ended by ``down``, and ``--wipe`` leaves nothing behind."""
    directory = tmp_path / "state"
    assert run_miroir("up", "--port", "0", "--nodes", "1", directory=directory).code == 0
    state = LocalStack(directory).state
    assert state.supervisor is not None
    os.kill(state.supervisor.pid, signal.SIGKILL)

    ran = run_miroir("down", "--wipe", directory=directory)

    assert ran.code == 0
    # On Linux they have ended with their owner.
    assert (f"left over: {len(state.processes)}" in ran.err) == (sys.platform != "linux")
    assert not any(map(is_alive, state.processes))
    assert not directory.exists()


def test_down_wipe_leaves_the_files_of_others(tmp_path: Path) -> None:
    """A stack may stand among somebody's files: they stay, and are named."""
    write_state(tmp_path, StackState(Phase.STOPPED))
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")

    ran = run_miroir("down", "--wipe", directory=tmp_path)

    assert ran.code == 0
    assert "stays: notes.txt" in ran.err
    assert list(tmp_path.iterdir()) == [notes]


def test_down_without_a_stack_says_so(tmp_path: Path) -> None:
    """Where nothing runs there is nothing to stop, and a strange directory is never removed."""
    assert run_miroir("down", directory=tmp_path).code == 0
    assert run_miroir("down", "--wipe", directory=tmp_path).code == 1
    assert tmp_path.exists()


def test_checked_binary_missing_program_is_refused(tmp_path: Path) -> None:
    """A program that is not there, or is none, is refused before anything starts."""
    plain = tmp_path / "plain"
    plain.write_text("")

    for path in (tmp_path / "none", plain):
        with pytest.raises(ConfigurationError, match="no program"):
            checked_binary(path)
    assert checked_binary(None) is None
    assert checked_binary(Path("sh")) is not None
