"""What the local stack is to consist of, and the commands that make it.

What always holds: secrets go to processes by their environment, never by their arguments. Who calls it: the local
stack. It must not know: which of them runs.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from miroir.broker import SESSION_TIMEOUT_S
from miroir.ports import HOST
from miroir.processes import Command
from schemas.config import PREFIX
from schemas.ids import NodeId

NODES = 3
"""The fewest among which a copy on two of them spreads: each holds two thirds."""

WORKERS = 1
PORT = 7700
"""Meilisearch's own, so that its clients find the query service where they look for it."""

INDEXING_MEMORY = "256MiB"
"""With a bound of 128 MiB to 1 GiB a document is visible after 0.2 to 0.3 s, without one after 0.95 s."""


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What to start.

    Attributes:
        directory: the state directory.
        nodes: how many.
        workers: how many.
        port: of the query service; 0 takes a free one.
        kafka: ``host:port[,host:port…]`` of a Kafka; None takes the embedded broker.
        node_binary: a Meilisearch program; None takes the embedded node.
    """

    directory: Path
    nodes: int = NODES
    workers: int = WORKERS
    port: int = PORT
    kafka: str | None = None
    node_binary: Path | None = None

    @property
    def logs(self) -> Path:
        """Where every process writes."""
        return self.directory / "logs"

    @property
    def data(self) -> Path:
        """Where the nodes' data is: in one directory a log."""
        return self.directory / "data"

    @property
    def node_ids(self) -> tuple[NodeId, ...]:
        """``node-1`` and on."""
        return tuple(NodeId(f"node-{number}") for number in range(1, self.nodes + 1))

    @property
    def worker_names(self) -> tuple[str, ...]:
        """``worker-1`` and on."""
        return tuple(f"worker-{number}" for number in range(1, self.workers + 1))

    @property
    def kafka_kind(self) -> str:
        """``embedded`` or ``external``."""
        return "embedded" if self.kafka is None else "external"

    @property
    def node_kind(self) -> str:
        """``embedded``, or the program's path."""
        return "embedded" if self.node_binary is None else str(self.node_binary)


def stack_settings(plan: StackPlan, kafka: str, *, node_master_key: str, port: int) -> dict[str, str | int | bool]:
    """Return the settings, by their names, that processes of this stack need besides the user's own.

    Args:
        plan: what is started.
        kafka: the broker's address.
        node_master_key: of every node.
        port: of the query service.
    """
    settings: dict[str, str | int | bool] = {
        "kafka": kafka,
        "node_master_key": node_master_key,
        "http_host": HOST,
        "http_port": port,
    }
    if plan.kafka is None:
        # The embedded broker has no producer ids and is alone.
        settings |= {"kafka_idempotence": False, "kafka_transactions": False, "kafka_replication_factor": 1}
        settings["kafka_session_timeout_s"] = SESSION_TIMEOUT_S
    return settings


def stack_environment(given: Mapping[str, str], settings: Mapping[str, str | int | bool]) -> dict[str, str]:
    """Return the environment of a worker or a query service: the user's, with the stack's settings over it."""
    return {**given, **{f"{PREFIX}{name.upper()}": _text(value) for name, value in settings.items()}}


def build_settings_file(settings: Mapping[str, str | int | bool]) -> bytes:
    """Return the settings as the TOML file that ``MIROIR_CONFIG`` may name."""
    lines = ["# Settings of this local stack; commands run beside it read them."]
    for name, value in settings.items():
        # A JSON string without control characters is a TOML string.
        text = _text(value) if isinstance(value, bool | int) else orjson.dumps(value).decode()
        lines.append(f"{name} = {text}")
    return ("\n".join(lines) + "\n").encode()


def node_command(
    plan: StackPlan, node: NodeId, *, directory: Path, port: int, master_key: str, given: Mapping[str, str]
) -> Command:
    """Return how a node is started: a real and an embedded one take the same flags.

    Args:
        plan: what is started.
        node: its id.
        directory: its own: a real node makes ``dumps/`` and ``snapshots/`` where it runs.
        port: where it listens.
        master_key: handed over in the environment.
        given: the user's environment.
    """
    program = [sys.executable, "-m", "miroir.node"] if plan.node_binary is None else [str(plan.node_binary)]
    flags = ["--http-addr", f"{HOST}:{port}", "--db-path", str(directory / "data.ms"), "--no-analytics"]
    memory = ["--max-indexing-memory", INDEXING_MEMORY]
    # The user's own MEILI_… are about another Meilisearch, and no node needs to know of our Kafka.
    kept = {key: value for key, value in given.items() if not key.startswith(("MEILI_", PREFIX))}
    environment = {**kept, "MEILI_MASTER_KEY": master_key}
    return Command(node, [*program, *flags, *memory], environment, directory, plan.logs / f"{node}.log")


def worker_command(plan: StackPlan, name: str, *, port: int, environment: Mapping[str, str]) -> Command:
    """Return how a worker is started; ``port`` is where it tells its metrics."""
    own = {**environment, f"{PREFIX}WORKER_HTTP_PORT": str(port)}
    return Command(name, [sys.executable, "-m", "agents.worker"], own, plan.directory, plan.logs / f"{name}.log")


def query_command(plan: StackPlan, *, environment: Mapping[str, str]) -> Command:
    """Return how the query service is started."""
    argv = [sys.executable, "-m", "query.http"]
    return Command("query", argv, environment, plan.directory, plan.logs / "query.log")


def log_directory_name(cluster_id: str, topic_id: str) -> str:
    """Return the name of the directory for the data of nodes that follow this log.

    Both ids are in it: a Kafka keeps its id when our topics are deleted and made again, and that is another log.
    """
    kept = "".join(each if each.isalnum() or each == "-" else "_" for each in f"{cluster_id}-{topic_id}")
    return kept.rstrip("-")


def is_embedded_log(name: str) -> bool:
    """Return whether the directory's log was an embedded broker's: gone with its process."""
    return name.startswith("embedded-")


def _text(value: str | int | bool) -> str:  # noqa: FBT001 - one of a setting's kinds of value
    return str(value).lower() if isinstance(value, bool) else str(value)
