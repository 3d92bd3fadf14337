"""The state directory: whole or not there, private, and refused where it is not ours."""

import stat
from pathlib import Path

import pytest

from miroir.processes import ProcessId
from miroir.stack_state import (
    KEY_FILE,
    STATE_FILE,
    Phase,
    StackState,
    keep_node_master_key,
    read_state,
    write_state,
)
from schemas.errors import ConfigurationError, MiroirError


def test_state_written_is_read_back(tmp_path: Path) -> None:
    """What was written is read, and nobody else may read it."""
    process = ProcessId("node-1", 12, "345")
    state = StackState(Phase.READY, "step", "", "http://127.0.0.1:1", "127.0.0.1:2", "embedded", "embedded", process)
    state = StackState(Phase.READY, supervisor=process, processes=[process], ports={"node-1": 7}, url=state.url)

    write_state(tmp_path, state)

    assert read_state(tmp_path) == state
    assert stat.S_IMODE((tmp_path / STATE_FILE).stat().st_mode) == 0o600


def test_read_state_empty_directory_is_none(tmp_path: Path) -> None:
    """A directory without a state has none."""
    assert read_state(tmp_path) is None


def test_read_state_damaged_raises_with_cure(tmp_path: Path) -> None:
    """A file of another form is named, with what to do."""
    (tmp_path / STATE_FILE).write_text('{"phase": "unheard"}')

    with pytest.raises(MiroirError, match=r"stack\.json: .*remove it"):
        read_state(tmp_path)


@pytest.mark.parametrize("name", ["a-file", "a-file/below", "x" * 300], ids=["file", "below a file", "long name"])
def test_read_state_no_directory_raises_with_cure(tmp_path: Path, name: str) -> None:
    """What is no directory, or cannot be one, is named, with what to do."""
    (tmp_path / "a-file").touch()

    with pytest.raises(ConfigurationError, match=f"{name}: .*--dir names another"):
        read_state(tmp_path / name)


def test_node_master_key_is_random_private_and_kept(tmp_path: Path) -> None:
    """The key is made once a directory, differs between directories, and is private."""
    other = tmp_path / "other"
    other.mkdir()
    key = keep_node_master_key(tmp_path)

    assert len(key) >= 16
    assert keep_node_master_key(tmp_path) == key
    assert keep_node_master_key(other) != key
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
