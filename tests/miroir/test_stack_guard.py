"""What a test run leaves behind where it dies: nothing."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from miroir.processes import is_alive
from tests.miroir.local_stack import LocalStack

RUN = """
import sys, time
from pathlib import Path
from tests.miroir.local_stack import run_miroir
from tests.miroir.stack_guard import guarded

directory = Path(sys.argv[1])
with guarded(directory):
    assert run_miroir("up", "--port", "0", "--nodes", "1", directory=directory).code == 0
    print("up", flush=True)
    time.sleep(300)
"""

DOWN_S = 150.0


@pytest.mark.slow
def test_stack_of_a_killed_run_is_taken_down(tmp_path: Path) -> None:
    """A run that is killed has no time to end what it has started."""
    with subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        started = LocalStack(tmp_path).state
        run.kill()

    assert started.supervisor is not None
    deadline_s = time.monotonic() + DOWN_S
    while any(map(is_alive, (started.supervisor, *started.processes))):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
