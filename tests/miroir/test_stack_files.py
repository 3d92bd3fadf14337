"""The state directory's files: what a stack made is removed, what others put there stays."""

import stat
from pathlib import Path

import pytest

from miroir.stack_files import make_directories, remove_stack_files
from miroir.stack_plan import StackPlan
from miroir.stack_state import SETTINGS_FILE, Phase, StackState, keep_node_master_key, write_private, write_state


def make_files(directory: Path) -> StackPlan:
    """Make what a stack leaves when it has ended."""
    plan = StackPlan(directory)
    make_directories(plan)
    write_state(directory, StackState(Phase.STOPPED))
    write_private(directory / SETTINGS_FILE, b"")
    keep_node_master_key(directory)
    (directory / "stack.json.4711").touch()
    for name in ("supervisor", "broker", "query", "node-1", "worker-12"):
        (plan.logs / f"{name}.log").touch()
    for node in plan.node_ids:
        (plan.data / "a-log" / node / "data.ms").mkdir(parents=True)
        (plan.data / "a-log" / node / "data.ms" / "index").touch()
    return plan


def mode(path: Path) -> int:
    """Return who may do what with it."""
    return stat.S_IMODE(path.stat().st_mode)


def test_remove_stack_files_leaves_nothing_of_a_stack(tmp_path: Path) -> None:
    """All that a stack made goes, and its directory with it."""
    directory = tmp_path / "state"
    make_files(directory)

    assert remove_stack_files(directory) == []
    assert not directory.exists()


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("notes.txt", "notes.txt"),
        ("stack.json.bak", "stack.json.bak"),
        ("logs/mine.log", "logs"),
        ("data/films.ndjson", "data"),
        ("data/a-log/films.ndjson", "data"),
        ("src/node-1/main.py", "src"),
    ],
)
def test_remove_stack_files_leaves_the_files_of_others(tmp_path: Path, name: str, stays: str) -> None:
    """What somebody has put beside or among a stack's files stays and is named; nothing else does."""
    make_files(tmp_path)
    other = tmp_path / name
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("mine")

    assert remove_stack_files(tmp_path) == [stays]
    assert other.read_text() == "mine"
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [other]


def test_make_directories_are_private_and_others_stay_as_they_are(tmp_path: Path) -> None:
    """What is made is nobody else's; a directory that was there keeps its mode, and files in it their readers."""
    tmp_path.chmod(0o755)
    mine, fresh = StackPlan(tmp_path), StackPlan(tmp_path / "a" / "state")

    make_directories(mine)
    make_directories(fresh)

    assert mode(tmp_path) == 0o755
    assert {mode(each) for each in (mine.logs, mine.data, fresh.directory, fresh.logs, fresh.data)} == {0o700}
