"""Ends a stack whose test run has died: ``python -m tests.miroir.stack_guard DIRECTORY``.

A stack is there to outlive whoever started it. The guard waits for the end of its standard input, which the system
closes whatever the run dies of, and takes the stack down; a run that has done that itself says so with a byte.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.miroir.local_stack import run_miroir


def main() -> int:
    """Wait, and end the stack where nobody else has."""
    return 0 if sys.stdin.buffer.read(1) else run_miroir("down", directory=Path(sys.argv[1])).code


@contextmanager
def guarded(directory: Path) -> Iterator[None]:
    """Have the stack of this directory ended where this process dies before the block does."""
    command = [sys.executable, "-m", "tests.miroir.stack_guard", str(directory)]
    # A session of its own: an interrupt that is typed is for the run.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard:
        assert guard.stdin is not None
        try:
            yield
        finally:
            guard.stdin.write(b".")
            guard.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
