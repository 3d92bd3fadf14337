"""The ``miroir`` command: its sub-commands, and how errors end it.

What always holds: an error of ours is one message on standard error and exit code 1; a wrong command line is 2; only
the command that is run is imported, since importing all takes a second. Help and completion need them all. Who calls
it: people and scripts. It must not know: what a command does.
"""

import logging
import sys
from collections.abc import Mapping
from importlib import import_module

import typer
from rich.markup import escape

from miroir.commands.terminal import FAILED, INTERRUPTED, err
from schemas.errors import MiroirError, NoBrokerError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("up", "up"),
    "down": ("up", "down"),
    "demo": ("demo", "demo"),
    "status": ("status", "status"),
    "produce": ("produce", "produce_file"),
    "search": ("search", "search"),
    "explain": ("explain", "explain"),
    "verify": ("verify", "verify"),
    "backup": ("backup", "backup"),
    "restore": ("restore", "restore_file"),
    "shards": ("shards", "shards"),
    "why": ("why", "why"),
    "doctor": ("doctor", "doctor"),
}
"""Module of ``miroir.commands`` and function of each, in the order of the help."""

GROUPS = ("index", "node", "rebalance", "plan", "dead", "log", "topics")
"""Commands with commands of their own: each is the ``app`` of the module of its name."""

NO_BROKER = "is it running? `miroir up` starts one; MIROIR_KAFKA names another; `miroir doctor` says more"
"""What to do where no broker can be connected to."""


def make_app(wanted: str = "") -> typer.Typer:
    """Return the command line with the command that is wanted, or with all where there is no such one."""
    app = typer.Typer(name="miroir", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(miroir)
    is_known = wanted in COMMANDS or wanted in GROUPS
    for name, (module, function) in COMMANDS.items():
        if not is_known or name == wanted:
            app.command(name)(getattr(import_module(f"miroir.commands.{module}"), function))
    for name in GROUPS:
        if not is_known or name == wanted:
            app.add_typer(import_module(f"miroir.commands.{name}").app, name=name)
    return app


def miroir() -> None:
    """A RAID for Meilisearch: one index striped and mirrored over many nodes, with Kafka as its memory."""


def main() -> None:
    """Run the command line."""
    # The Kafka client logs each retry as an error; what matters comes back as an exception.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        make_app(sys.argv[1] if len(sys.argv) > 1 else "")()
    except MiroirError as error:
        err.print(f"[bold red]miroir:[/] {escape(told(error))}", soft_wrap=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        # While a command is imported; once it runs, typer ends it with the same code.
        sys.exit(INTERRUPTED)


def told(error: MiroirError) -> str:
    """Return an error's text, with what to do where the command line knows more than who raised it."""
    if isinstance(error, NoBrokerError):
        return f"{error}; {NO_BROKER}"
    return str(error)


if __name__ == "__main__":
    main()
