"""What commands share: options, where results and messages go, and how a command ends.

What always holds: standard output holds results only; messages and progress go to standard error. Exit codes: 0 all
is well, 1 it failed, found faults, or tells what would be refused, 2 the command line is not right, 130 it was
interrupted. Who calls it: the commands. It must not know: what they do.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from miroir.client import QueryClient
from miroir.settings_source import load_settings
from miroir.stack_state import read_state
from schemas.config import Settings
from schemas.errors import MiroirError

FAILED = 1
"""Exit code of a command that failed or found faults; a wrong command line is 2."""

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""

PIPE_WIDTH = 160
"""Columns of a table that is not printed on a terminal: nothing says how wide it may be."""

out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
"""Results."""

err = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH, highlight=False)
"""Messages and progress."""

Directory = Annotated[Path, typer.Option("--dir", help="State directory of the local stack.")]
DIRECTORY = Path(".miroir")

Url = Annotated[
    str | None, typer.Option("--url", help="Query service; default: the local stack's, else the settings'.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
JsonLooks = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of a table; with --watch a line for each look.")
]


def settings_of(directory: Path) -> Settings:
    """Return the command's settings: the environment's, else those of the local stack in this directory."""
    return load_settings(os.environ, directory)


def connect(directory: Path, url: str | None) -> QueryClient:
    """Return a connection to the query service that is meant; the caller leaves it.

    Raises:
        MiroirError: the local stack is meant, and has ended: whoever answers at its address is another one.
    """
    settings = settings_of(directory)
    if url is None:
        state = read_state(directory)
        if state is not None and state.has_ended:
            cure = "`miroir up` starts it, --url asks another query service"
            raise MiroirError(f"the local stack in {directory} is {state.told}: {cure}")
        url = state.url if state is not None and state.url else f"http://{settings.http_host}:{settings.http_port}"
    key = settings.master_key
    return QueryClient(url, None if key is None else key.get_secret_value())


def print_json(value: Any) -> None:  # anything that JSON can hold
    """Print one JSON value on standard output, indented."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def print_json_line(value: Any) -> None:  # anything that JSON can hold
    """Print one JSON value on a line of standard output, for who reads line by line: it is flushed."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode())


def progress_bar(*, quiet: bool = False) -> Progress:
    """Return a bar with counts and time left, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
    return Progress(*columns, TimeRemainingColumn(), console=err, disable=quiet)
