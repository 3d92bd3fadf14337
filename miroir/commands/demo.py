"""``miroir demo``: the main job, told step by step."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from miroir.commands.terminal import FAILED, Json, err, out
from miroir.commands.up import Kafka, NodeBinary, Nodes, checked_binary
from miroir.demo import INDEX, Demonstration, DemoResult
from miroir.ports import is_free
from miroir.stack import Stack
from miroir.stack_plan import NODES, PORT, StackPlan
from miroir.stack_state import Phase, write_state
from schemas.errors import MiroirError

_NEXT = (
    ("miroir up", "a stack of your own that stays; miroir down ends it"),
    ("miroir index create books --primary-key id", "an index"),
    ("miroir produce FILE --index books --wait", "your documents, NDJSON or JSON"),
    ("miroir search books WORDS", "or http://127.0.0.1:7700, as of one Meilisearch"),
    ("miroir node rebuild node-2", "what you have just seen"),
    ("README.md", "and docs/producers.md, docs/operating.md"),
)

STEPS = ("start", "create", "produce", "search", "kill", "rebuild", "verify")


def demo(
    *,
    as_json: Json = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the stack running until interrupted.")] = False,
    nodes: Nodes = NODES,
    kafka: Kafka = None,
    node_binary: NodeBinary = None,
) -> None:
    """Produce films, search, lose a node, rebuild it from the log, verify: less than a minute."""
    directory = Path(tempfile.mkdtemp(prefix="miroir-demo-"))
    # Scripts may run several at once; people look for it where Meilisearch is.
    port = PORT if not as_json and is_free(PORT) else 0
    plan = StackPlan(directory, max(nodes, 2), 1, port, kafka, checked_binary(node_binary))
    narrator = ConsoleNarrator(err if as_json else out)
    stay = keep or (not as_json and sys.stdin.isatty() and out.is_terminal)
    wanted = True
    try:
        result = asyncio.run(_run(plan, narrator, stay=stay))
        wanted = not result.good
    except _InterruptedError:
        wanted = False
        raise
    finally:
        if wanted:
            err.print(f"logs and data: {directory}", soft_wrap=True)
        else:
            shutil.rmtree(directory)
    if as_json:
        typer.echo(orjson.dumps(result.to_wire()).decode())
    if not result.good:
        raise typer.Exit(FAILED)


class _InterruptedError(typer.Exit):
    """Somebody has seen enough: nobody will look for logs."""


class ConsoleNarrator:
    """Tells people on a console: steps with their time, bars on a terminal only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, step: str, text: str) -> None:
        """Print the step's number and text."""
        self._console.print(f"\n[bold cyan]{STEPS.index(step) + 1}/{len(STEPS)}[/] [bold]{text}[/]")

    def end(self, step: str, seconds: float) -> None:
        """Print how long it took."""
        self._stop_bar()
        self._console.print(f"    [green]done[/] in {seconds:.1f} s ({step})")

    def say(self, text: str) -> None:
        """Print a line."""
        self._stop_bar()
        self._console.print(f"    {text}", markup=False)

    def bar(self, done: int, total: int) -> None:
        """Show how far the step is."""
        if self._progress is None:
            columns = (TextColumn("   "), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=self._console)
            self._progress.start()
            self._task = self._progress.add_task("", total=None)
        assert self._task is not None
        self._progress.update(self._task, completed=done, total=total or None)

    def hits(self, query: str, answer: Mapping[str, Any]) -> None:  # Meilisearch owns the answer's shape
        """Print the first hits."""
        table = Table("id", "title", "year", "director", box=None, pad_edge=False)
        for hit in answer["hits"]:
            table.add_row(*(str(hit.get(name, "")) for name in ("id", "title", "year", "director")))
        self._console.print(table)
        total = answer.get("estimatedTotalHits")
        self.say(f"“{query}”: {total} films, answered in {answer.get('processingTimeMs')} ms")

    def result(self, result: DemoResult, plan: StackPlan, url: str | None) -> None:
        """Print what was done, and where to go on; ``url`` is of a query service that stays."""
        counts = result.counts
        searched = f"{counts.searches:,}: {counts.failed} failed, {counts.incomplete} incomplete"
        seconds = ", ".join(f"{step} {seconds:.1f}" for step, seconds in result.seconds.items())
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("documents in the log", f"{result.documents:,}")
        table.add_row("searches meanwhile", searched)
        table.add_row("documents rebuilt", f"{result.rebuilt_documents:,}, from the log alone")
        table.add_row("equal to the log", "every copy" if result.verified else "[red]no[/]")
        table.add_row("seconds", seconds)
        table.add_row("log · nodes", f"{plan.kafka_kind} · {plan.node_kind}")
        self._console.print()
        self._console.print(table)
        for fault in counts.faults:
            self.say(fault)
        self._console.print("\n[bold]Where to go on[/]")
        if url is not None:
            self._console.print(
                f"  curl '{url}/indexes/{INDEX}/search?q=alien'   the stack of this run", soft_wrap=True
            )
        for command, text in _NEXT:
            self._console.print(f"  {command:<44} {text}")

    def fail(self, error: Exception) -> None:
        """Leave the bar, if there is one, for an error's text."""
        self._stop_bar()
        self._console.print(f"    [red]failed[/]: {type(error).__name__}")

    def _stop_bar(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


async def _run(plan: StackPlan, narrator: ConsoleNarrator, *, stay: bool) -> DemoResult:
    """Run the demonstration, and end its processes whatever happens."""
    task = asyncio.current_task()
    assert task is not None
    # A terminal that is closed hangs up: nothing may stay behind then either.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stack = Stack(plan, narrator.say)
    demonstration = Demonstration(stack, narrator)
    try:
        result = await demonstration.run()
        narrator.result(result, plan, stack.url if stay else None)
        if stay:
            write_state(plan.directory, stack.state(Phase.READY))
            err.print("\ninterrupt (Ctrl-C) to stop")
            await _until_interrupted()
        if plan.kafka is not None:
            await demonstration.remove_index()
    except MiroirError as error:
        narrator.fail(error)
        raise
    except asyncio.CancelledError:
        narrator.say("interrupted: everything is stopped")
        raise _InterruptedError(FAILED) from None
    finally:
        await stack.stop()
    return result


async def _until_interrupted() -> None:
    """Return when the task is cancelled: an interrupt is the wanted end here."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return
