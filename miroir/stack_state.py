"""What the local stack's state directory tells: what runs, where, and how it may be spoken to.

What always holds: the file is replaced as a whole, so a reader never sees half of one; secrets stand in files of mode
0600 only. Who calls it: the supervisor writes; every command reads. It must not know: how a process is started.
"""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from miroir.processes import ProcessId, is_alive
from schemas.errors import ConfigurationError, InvalidInputError, MiroirError
from schemas.wire import STRICT, build, parse

STATE_FILE = "stack.json"
SETTINGS_FILE = "miroir.toml"
KEY_FILE = "node-master-key"

KEY_BYTES = 32
"""Of randomness in a node's master key; Meilisearch asks for 16 bytes at least."""


class Phase(StrEnum):
    """How far the stack is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StackState:
    """The stack as its supervisor last saw it.

    Attributes:
        step: what it is doing, for people.
        error: why it failed; empty otherwise.
        url: of the query service.
        kafka: address of the broker.
        kafka_kind: ``embedded`` or ``external``.
        node_kind: ``embedded``, or the path of the program.
        supervisor: the process that owns the others.
        processes: the others.
        ports: of the nodes and services by name: kept over a restart, because the log knows nodes by their URL.
        troubles: of processes that end again and again, or cannot be started again; each a sentence.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    phase: Phase
    step: str = ""
    error: str = ""
    url: str = ""
    kafka: str = ""
    kafka_kind: str = ""
    node_kind: str = ""
    supervisor: ProcessId | None = None
    processes: Sequence[ProcessId] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether its supervisor looks after it."""
        return self.supervisor is not None and is_alive(self.supervisor)

    @property
    def has_ended(self) -> bool:
        """Whether it had a supervisor that looks after it no more."""
        return self.supervisor is not None and not self.is_kept

    @property
    def told(self) -> str:
        """How it is, and why, in a few words."""
        if self.has_ended:
            phase, why = str(self.phase) if self.error else "stopped", self.error
        else:
            phase, why = str(self.phase), "; ".join(self.troubles) or self.step or self.error
        return f"{phase}{f': {why}' if why else ''}"


def read_state(directory: Path) -> StackState | None:
    """Return the state that a directory holds; None where it holds none.

    Raises:
        ConfigurationError: it is no directory, or may not be read.
        MiroirError: the file is not of this form: another version's, or damaged.
    """
    path = directory / STATE_FILE
    try:
        return parse(StackState, path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise bad_directory(directory, error) from error
    except InvalidInputError as error:
        raise MiroirError(f"{path}: {error}; end its processes and remove it") from error


def bad_directory(directory: Path, error: OSError) -> ConfigurationError:
    """Return what is to be said where a stack's state cannot be kept in this directory."""
    found = f"{directory}: {error.strerror}: {error.filename}"
    return ConfigurationError("dir", f"{found}; expected a directory that may be read and written: --dir names another")


def write_state(directory: Path, state: StackState) -> None:
    """Replace the state."""
    write_private(directory / STATE_FILE, build(state))


def write_private(path: Path, data: bytes) -> None:
    """Replace a file as a whole; nobody else may read it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    fresh.replace(path)


def keep_node_master_key(directory: Path) -> str:
    """Return the master key of this stack's nodes; a random one is made the first time."""
    path = directory / KEY_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(KEY_BYTES).encode())
    return path.read_text().strip()
