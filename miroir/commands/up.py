"""``miroir up`` and ``miroir down``: the local stack, detached under a supervisor that owns it.

What always holds: ``down`` ends only processes that this stack started, known by id and start time. Who calls it: the
command line. It must not know: how the stack is started.
"""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.table import Table

from miroir.commands.terminal import DIRECTORY, FAILED, INTERRUPTED, Directory, err, out
from miroir.processes import describe_tail, end_process, is_alive
from miroir.stack_files import make_directories, remove_stack_files
from miroir.stack_plan import NODES, PORT, WORKERS, StackPlan
from miroir.stack_state import STATE_FILE, Phase, StackState, bad_directory, read_state
from miroir.supervisor import build_plan
from schemas.errors import ConfigurationError, MiroirError

POLL_S = 0.1
"""How often the state is read while it changes."""

STOP_S = 40.0
"""How long a stack may take to stop: its processes at once, each with time of its own."""

Nodes = Annotated[int, typer.Option("--nodes", min=1, max=64, help="How many nodes.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=16, help="How many workers.")]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="A Kafka; default: an embedded broker in memory.")
]
NodeBinary = Annotated[
    Path | None,
    typer.Option("--node-binary", envvar="MEILISEARCH_BIN", help="A Meilisearch program; default: embedded nodes."),
]


def up(
    *,
    nodes: Nodes = NODES,
    workers: Workers = WORKERS,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the query service; 0: a free one.")] = PORT,
    kafka: Kafka = None,
    node_binary: NodeBinary = None,
    directory: Directory = DIRECTORY,
    foreground: Annotated[bool, typer.Option("--foreground", help="Keep it until interrupted.")] = False,
) -> None:
    """Start a local stack: broker, nodes, workers and a query service."""
    directory = directory.resolve()
    plan = StackPlan(directory, nodes, workers, port, kafka, checked_binary(node_binary))
    running = read_state(directory)
    if running is not None and running.is_kept:
        err.print(f"already {running.phase} in {directory}: {running.url}; `miroir down` ends it")
        raise typer.Exit(0 if running.phase is Phase.READY else FAILED)
    if running is not None:
        _end_leftovers(running)
    supervisor = _spawn(plan)
    if foreground:
        _until_interrupted(plan, supervisor)
    else:
        _print_ready(_until_ready(plan, supervisor), directory)


def down(
    *,
    directory: Directory = DIRECTORY,
    wipe: Annotated[
        bool, typer.Option("--wipe", help="Remove its data, logs and keys too; files of others stay.")
    ] = False,
) -> None:
    """Stop the local stack; its data stays unless it is wiped."""
    directory = directory.resolve()
    state = read_state(directory)
    if state is None:
        err.print(f"no stack in {directory}")
    else:
        with err.status("stopping …"):
            if state.supervisor is not None:
                end_process(state.supervisor, timeout_s=STOP_S)
            ended = _end_leftovers(read_state(directory) or state)
        err.print(f"stopped{f' (left over: {ended})' if ended else ''}")
    if wipe and state is not None:
        try:
            stays = remove_stack_files(directory)
        except OSError as error:
            raise bad_directory(directory, error) from error
        removed = f"removed {directory}"
        if stays:
            removed = f"removed the stack in {directory}; what is not the stack's stays: {', '.join(stays)}"
        err.print(removed, markup=False, soft_wrap=True)
    elif wipe and directory.exists():
        err.print(f"{directory} is left alone: there is no {STATE_FILE} in it")
        raise typer.Exit(FAILED)


def checked_binary(path: Path | None) -> Path | None:
    """Return the program's absolute path, or None for none.

    Raises:
        ConfigurationError: there is no such program.
    """
    if path is None or not str(path).strip() or path == Path():
        return None
    found = shutil.which(str(path))
    if found is None:
        raise ConfigurationError("node-binary", f"{path}: no program is there (--node-binary, MEILISEARCH_BIN)")
    return Path(found).resolve()


def _spawn(plan: StackPlan) -> "subprocess.Popen[bytes]":
    """Start the supervisor in a session of its own, so that it outlives this terminal.

    Raises:
        ConfigurationError: the state directory cannot be made or written to.
    """
    try:
        make_directories(plan)
        log = (plan.logs / "supervisor.log").open("ab")
    except OSError as error:
        raise bad_directory(plan.directory, error) from error
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "miroir.supervisor"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(build_plan(plan))
    return process


def _until_ready(plan: StackPlan, supervisor: "subprocess.Popen[bytes]") -> StackState:
    """Return the state once all is ready; an interrupt ends this command alone, and it says so."""
    try:
        return _follow(plan, supervisor)
    except KeyboardInterrupt:
        text = f"the stack in {plan.directory} goes on starting in the background; `miroir down` ends it"
        err.print(text, markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _follow(plan: StackPlan, supervisor: "subprocess.Popen[bytes]") -> StackState:
    """Show what is being done and return the state once all is ready.

    Raises:
        MiroirError: it failed; the text says why.
    """
    shown = ""
    with err.status("starting …") as status:
        while True:
            code = supervisor.poll()
            state = read_state(plan.directory)
            if state is not None and (state.supervisor is None or state.supervisor.pid != supervisor.pid):
                state = None
            if state is not None and state.phase is Phase.READY:
                return state
            if code is not None:
                raise MiroirError(_why_ended(plan, state, code))
            if state is not None and state.step != shown:
                shown = state.step
                status.update(shown)
                err.print(f"  {shown}")
            time.sleep(POLL_S)


def _why_ended(plan: StackPlan, state: StackState | None, code: int) -> str:
    if state is not None and state.error:
        return state.error
    return f"the supervisor ended with code {code}\n{describe_tail(plan.logs / 'supervisor.log')}"


def _until_interrupted(plan: StackPlan, supervisor: "subprocess.Popen[bytes]") -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _print_ready(_follow(plan, supervisor), plan.directory)
        err.print("interrupt (Ctrl-C) to stop")
        code = supervisor.wait()
        raise MiroirError(_why_ended(plan, read_state(plan.directory), code))
    except KeyboardInterrupt:
        with err.status("stopping …"):
            supervisor.terminate()
            supervisor.wait()
        err.print("stopped")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end_leftovers(state: StackState) -> int:
    """End what a killed supervisor left behind; return how many."""
    alive = [each for each in state.processes if is_alive(each)]
    for process in alive:
        end_process(process, timeout_s=STOP_S)
    return len(alive)


def _print_ready(state: StackState, directory: Path) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(
        "log",
        f"{state.kafka} ({state.kafka_kind} {'broker, in memory' if state.kafka_kind == 'embedded' else 'Kafka'})",
    )
    nodes = [name for name in state.ports if name.startswith("node-")]
    kind = "embedded nodes" if state.node_kind == "embedded" else f"Meilisearch, {state.node_kind}"
    table.add_row("nodes", f"{len(nodes)} ({kind})")
    table.add_row("search", state.url)
    table.add_row("logs", str(directory / "logs"))
    out.print(table)
    err.print("next: miroir status · miroir produce FILE --index NAME · miroir down")
