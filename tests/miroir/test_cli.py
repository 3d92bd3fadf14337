"""The command line as a whole: what there is, how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from miroir.cli import COMMANDS as FUNCTIONS
from miroir.cli import GROUPS, make_app
from miroir.ports import HOST, free_port
from miroir.stack_state import SETTINGS_FILE
from tests.miroir.local_stack import run_miroir

INTERRUPTED_WHILE_IT_IMPORTS = """
import sys
from miroir.cli import main


class Interruption:
    def find_spec(self, name, path, target=None):
        if name == "miroir.commands.verify":
            raise KeyboardInterrupt


sys.meta_path.insert(0, Interruption())
sys.argv = ["miroir", "verify"]
main()
"""
"""A process that is interrupted at one point, and at no other."""

COMMANDS = {
    *("up", "down", "demo", "status", "produce", "search", "verify", "doctor"),
    *("index", "node", "dead", "topics"),
}


def test_commands_are_all_there_and_say_what_they_do() -> None:
    """Every command, and every one below it, has a sentence of help."""
    group = typer.main.get_command(make_app())
    commands = dict(getattr(group, "commands", {}))
    below = {name: dict(getattr(command, "commands", {})) for name, command in commands.items()}

    assert commands.keys() >= COMMANDS
    for command in (*commands.values(), *(each for found in below.values() for each in found.values())):
        assert command.help, command.name
    assert below["dead"].keys() >= {"list", "show", "replay"}
    assert below["index"].keys() >= {"create", "delete", "list", "pause", "resume"}
    assert below["node"].keys() >= {"list", "add", "rebuild"}


@pytest.mark.parametrize("name", [*FUNCTIONS, *GROUPS])
def test_command_alone_is_what_it_is_among_all(name: str) -> None:
    """Only what is run is imported: nothing of it changes by that, and it keeps its name."""
    alone, among = (getattr(typer.main.get_command(make_app(wanted)), "commands") for wanted in (name, ""))  # noqa: B009

    assert list(alone) == [name]
    assert alone[name].help == among[name].help
    assert [option.name for option in alone[name].params] == [option.name for option in among[name].params]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("dead", "show", "none"), 1, "TOPIC/PARTITION/OFFSET"),
        (("search", "films", "--limit", "-1"), 2, "--limit"),
        (("plan", "add", "n", "--weight", "nan"), 2, "--weight"),
        (("node", "add", "n", "http://n:1", "--weight", "inf"), 2, "--weight"),
        (("verify", "--timeout", "nan"), 2, "--timeout"),
        (("verify", "--timeout", "-1"), 2, "--timeout"),
        (("plan", "index", "films"), 2, "give --replication or --group"),
        (("plan", "add", "n", "--group", "1" + 20 * "0"), 1, "64-bit"),
        (("nonsense",), 2, "nonsense"),
    ],
    ids=[
        *(
            "an error of ours",
            "a wrong option",
            "no number",
            "no finite number",
            "no time",
            "no time that can pass",
            "nothing to plan",
            "too large a number",
        ),
        "no such command",
    ],
)
def test_command_that_fails_says_why_and_ends_with_its_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    """One message on standard error, none on standard output, no traceback."""
    ran = run_miroir(*arguments, directory=tmp_path if code == 1 else None)

    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err
    assert "Traceback" not in ran.err


def test_command_that_reaches_no_kafka_says_which_and_what_to_do(tmp_path: Path) -> None:
    """The address is the one that was set, and there are ways on."""
    address = f"{HOST}:{free_port()}"
    (tmp_path / SETTINGS_FILE).write_text(f'kafka = "{address}"\n')

    ran = run_miroir("verify", directory=tmp_path)

    assert (ran.code, ran.out) == (1, "")
    assert f"miroir: Kafka {address} does not answer; is it running? `miroir up` starts one" in ran.err
    assert "MIROIR_KAFKA" in ran.err


def test_command_interrupted_before_it_runs_ends_without_a_traceback() -> None:
    """Importing what a command needs takes a second on a busy machine: who thinks better of it then is told nothing."""
    command = [sys.executable, "-c", INTERRUPTED_WHILE_IT_IMPORTS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
