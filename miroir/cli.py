"""The ``miroir`` command: its sub-commands, and how errors end it.

What always holds: an error of ours is one message on standard error and exit code 1; a wrong command line is 2. Who
calls it: people and scripts. It must not know: what a command does.
"""

import logging
import sys

import typer
from rich.markup import escape

from miroir.commands import dead, index, log, node, plan, rebalance, topics
from miroir.commands.backup import backup
from miroir.commands.demo import demo
from miroir.commands.doctor import doctor
from miroir.commands.explain import explain
from miroir.commands.produce import produce_file
from miroir.commands.restore import restore_file
from miroir.commands.search import search
from miroir.commands.shards import shards
from miroir.commands.status import status
from miroir.commands.terminal import FAILED, err
from miroir.commands.up import down, up
from miroir.commands.verify import verify
from miroir.commands.why import why
from schemas.errors import MiroirError

app = typer.Typer(
    name="miroir",
    help="A RAID for Meilisearch: one index striped and mirrored over many nodes, with Kafka as its memory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(down)
app.command()(demo)
app.command()(status)
app.command("produce")(produce_file)
app.command()(search)
app.command()(explain)
app.command()(verify)
app.command()(backup)
app.command("restore")(restore_file)
app.command()(shards)
app.command()(why)
app.command()(doctor)
app.add_typer(index.app, name="index")
app.add_typer(node.app, name="node")
app.add_typer(rebalance.app, name="rebalance")
app.add_typer(plan.app, name="plan")
app.add_typer(dead.app, name="dead")
app.add_typer(log.app, name="log")
app.add_typer(topics.app, name="topics")


def main() -> None:
    """Run the command line."""
    # The Kafka client logs each retry as an error; what matters comes back as an exception.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except MiroirError as error:
        err.print(f"[bold red]miroir:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
