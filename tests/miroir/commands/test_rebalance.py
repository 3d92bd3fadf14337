"""``miroir rebalance`` and ``miroir shards``, beside a stack that runs."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.miroir.local_stack import LocalStack, watch_miroir
from tests.miroir.stranger import stranger

SHOWN_S = 60.0

INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from miroir.cli import main
main()
"""
"""What a shell runs in the background ignores interrupts, and so does all that it starts: these tests, perhaps."""

LOOK = re.compile(r"(?:everything is where it is wanted|\d+ (?:copies|wait|leave|are being))[^\r\n]*[\r\n]")
"""The line that sums up: what other tests of this stack have left may still move."""


def test_rebalance_status_names_every_node(local_stack: LocalStack) -> None:
    """With its state and how many copies it has."""
    nodes = local_stack.run("rebalance", "status", "--json").json["nodes"]

    assert nodes.keys() == {"node-1", "node-2", "node-3"}
    assert all(found.keys() == {"state", "copies", "leaving"} for found in nodes.values())


def test_rebalance_watch_shows_a_live_table_until_interrupted(local_stack: LocalStack) -> None:
    """On a terminal it is drawn anew at every look; an interrupt ends it in order."""
    arguments = ["rebalance", "status", "--watch", "--dir", str(local_stack.directory)]
    command = [sys.executable, "-c", INTERRUPTIBLE, *arguments]
    terminal, its_end = os.openpty()
    # A terminal that cannot move its cursor is not drawn on anew.
    with subprocess.Popen(command, stdin=its_end, stdout=its_end, env={**os.environ, "TERM": "xterm"}) as watching:
        os.close(its_end)
        try:
            looks = read_until(terminal, LOOK, times=2)
            watching.send_signal(signal.SIGINT)
            code = watching.wait(SHOWN_S)
        finally:
            watching.kill()
            os.close(terminal)

    assert looks == 2
    assert code == 0


def test_rebalance_watch_as_json_prints_a_line_a_look(tmp_path: Path) -> None:
    """A script reads one object after the other, as each is made."""
    moves = {"done": True, "building": [], "waiting": [], "surplus": [], "leaving": [], "nodes": {}}
    with stranger({"/_miroir/moves": (200, moves)}) as url:
        looks = watch_miroir("rebalance", "status", "--watch", "--json", "--url", url, directory=tmp_path)

    assert looks == [moves, moves]


def read_until(terminal: int, wanted: re.Pattern[str], *, times: int) -> int:
    """Return how often a terminal has shown something, once that was at least so often."""
    shown, deadline_s = "", time.monotonic() + SHOWN_S
    while (found := len(wanted.findall(shown))) < times:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline_s - time.monotonic()))
        assert ready, f"not shown in time: {shown}"
        shown += os.read(terminal, 4096).decode(errors="replace")
    return found
