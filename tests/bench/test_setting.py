"""What benchmarks share: their options."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.setting import documents_file, make_parser

ROOT = Path(__file__).parents[2]


def test_documents_file_that_is_there_is_taken(tmp_path: Path) -> None:
    """A file, or a pipe; not a directory."""
    file, pipe = tmp_path / "a.ndjson", tmp_path / "pipe"
    file.touch()
    os.mkfifo(pipe)
    parser = make_parser("anything")
    parser.add_argument("--file", type=documents_file)

    assert [parser.parse_args(["--file", str(each)]).file for each in (file, pipe)] == [file, pipe]
    with pytest.raises(SystemExit):
        parser.parse_args(["--file", str(tmp_path)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rebuild", "endurance"])
def test_benchmark_of_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    """One line, before anything is started."""
    absent = tmp_path / "absent.ndjson"
    command = [sys.executable, "-m", f"bench.{name}", "--file", str(absent)]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].endswith(f"argument --file: {absent}: there is no such file")
