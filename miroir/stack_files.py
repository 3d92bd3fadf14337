"""The local stack's own files in its state directory: kept from others' eyes, and removed without those of others.

What always holds: only what has the name and the place that a stack gives is removed, and a directory only once nothing
is in it: people put files beside a stack, or a stack beside their files. Who calls it: ``miroir up`` and ``miroir
down``. It must not know: what runs.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from miroir.stack_plan import StackPlan
from miroir.stack_state import KEY_FILE, SETTINGS_FILE, STATE_FILE

PRIVATE = 0o700
"""Mode of directories with logs and documents."""

_FILE = re.compile(rf"(?:{'|'.join(map(re.escape, (STATE_FILE, SETTINGS_FILE, KEY_FILE)))})(?:\.\d+)?")
"""Behind the dot is the process that was killed while it replaced the file."""

_LOG = re.compile(r"(?:supervisor|broker|query|node-\d+|worker-\d+)\.log")
_NODE = re.compile(r"node-\d+")


def make_directories(plan: StackPlan) -> None:
    """Make the directories that are not there yet, for nobody else to look into; those that are there stay as they are.

    The state directory may be anybody's: secrets in it have their own file modes.

    Raises:
        OSError: they cannot be made here.
    """
    plan.directory.mkdir(PRIVATE, parents=True, exist_ok=True)
    for each in (plan.logs, plan.data):
        each.mkdir(PRIVATE, exist_ok=True)


def remove_stack_files(directory: Path) -> list[str]:
    """Remove what a stack that has ended made here; return the names of what stays, none where the directory went too.

    May be repeated where it was cut off: the file that tells of the stack goes last.

    Raises:
        OSError: something may not be removed.
    """
    plan = StackPlan(directory)
    for log_data in _entries(plan.data):
        for node in _entries(log_data):
            if _NODE.fullmatch(node.name):
                shutil.rmtree(node)
        _remove_if_empty(log_data)
    for log in _entries(plan.logs):
        if _LOG.fullmatch(log.name):
            log.unlink()
    _remove_if_empty(plan.data)
    _remove_if_empty(plan.logs)
    for file in sorted(_entries(directory), key=lambda each: each.name == STATE_FILE):
        if _FILE.fullmatch(file.name):
            file.unlink()
    _remove_if_empty(directory)
    return sorted(each.name for each in _entries(directory))


def _entries(directory: Path) -> Iterator[Path]:
    return directory.iterdir() if directory.is_dir() else iter(())


def _remove_if_empty(directory: Path) -> None:
    # Something is in it, or it is a link to where the data is: then it is not ours to remove.
    with suppress(OSError):
        directory.rmdir()
