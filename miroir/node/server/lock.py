"""One process a database directory.

What always holds: while a ``DirectoryLock`` is held no other process gets it; it is free the moment its holder dies.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

if os.name == "posix":
    import fcntl
else:  # pragma: no cover - the node is developed on posix systems
    fcntl = None  # type: ignore[assignment]


class DirectoryInUseError(Exception):
    """Another process owns the directory."""


class DirectoryLock:
    """Holds a directory for this process."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._file = self._path.open("a+")

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            DirectoryInUseError: another process has it.
        """
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise DirectoryInUseError(f"database directory {self._path.parent}: in use by another process") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the lock."""
        self._file.close()
