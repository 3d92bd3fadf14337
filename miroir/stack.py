"""The local stack: broker, nodes, workers and a query service on one machine, started in order and ended in order.

What always holds: only what was started here is ended here; nodes of one log never meet another; whatever starts is
waited for, with a bound, and one that dies is reported with the tail of its log. Who calls it: the supervisor, the
demonstration, tests. It must not know: terminals.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from miroir.broker import EmbeddedBroker
from miroir.client import QueryClient
from miroir.cluster_view import ClusterView
from miroir.log_identity import prepare_topics
from miroir.ports import HOST, is_free, keep_or_choose
from miroir.processes import Child, Command, ProcessId, identify
from miroir.readiness import all_of, until_ready, watched
from miroir.settings_source import load_settings
from miroir.stack_plan import (
    StackPlan,
    build_settings_file,
    is_embedded_log,
    log_directory_name,
    node_command,
    query_command,
    stack_environment,
    stack_settings,
    worker_command,
)
from miroir.stack_state import SETTINGS_FILE, Phase, StackState, keep_node_master_key, read_state, write_private
from schemas.config import Settings
from schemas.errors import ConfigurationError, LogUnavailableError, MiroirError, NoBrokerError
from schemas.events import NodeState
from schemas.ids import NodeId
from schemas.kafka import KafkaConfig
from schemas.requests import AddNode

JOIN_S = 60.0
"""A node joins within a second of a worker's being assigned the requests partition, which takes a session's time."""

Report = Callable[[str], None]
"""Takes what is being done, for people."""


class Stack:
    """A local stack. Use ``start`` and ``stop`` from one task; ``stop`` also after a failed start.

    Args:
        plan: what it consists of.
        report: told each step.
    """

    def __init__(self, plan: StackPlan, report: Report = lambda _: None) -> None:
        self.plan = plan
        self.port = plan.port
        self._report = report
        self._broker: EmbeddedBroker | None = None
        self._children: dict[str, Child] = {}
        self._ports: dict[str, int] = {}
        self._address = plan.kafka or ""
        self._settings: Settings | None = None

    @property
    def url(self) -> str:
        """Of the query service."""
        return f"http://{HOST}:{self.port}"

    @property
    def settings(self) -> Settings:
        """What its processes were given; known once the broker is."""
        assert self._settings is not None
        return self._settings

    @property
    def kafka(self) -> KafkaConfig:
        """How to reach its log."""
        return self.settings.kafka_config("miroir-local")

    @property
    def master_key(self) -> str | None:
        """Of the HTTP API; None where the user set none."""
        key = self.settings.master_key
        return None if key is None else key.get_secret_value()

    def client(self) -> QueryClient:
        """Return a connection to its query service; the caller leaves it."""
        return QueryClient(self.url, self.master_key)

    def child(self, name: str) -> Child:
        """Return the process of this name: a node's id, ``worker-1`` … or ``query``."""
        return self._children[name]

    def children(self) -> Sequence[Child]:
        """Return every process but the broker's, in the order of their start."""
        return tuple(self._children.values())

    def node_directory(self, node: NodeId) -> Path:
        """Return where the node keeps its data."""
        return self._children[node].command.directory

    def node_url(self, node: NodeId) -> str:
        """Return where the node listens."""
        return f"http://{HOST}:{self._ports[node]}"

    async def start(self) -> None:
        """Start everything and return once every node is active and the query service answers.

        Raises:
            ConfigurationError: a setting, the port or the program is not what it should be.
            MiroirError: a process ended or did not get ready in time; the text has the tail of its log.
        """
        self.plan.directory.mkdir(parents=True, exist_ok=True)
        before = read_state(self.plan.directory)
        self._choose_ports(before.ports if before is not None else {})
        master_key = keep_node_master_key(self.plan.directory)
        await self._start_broker()
        values = stack_settings(self.plan, self._address, node_master_key=master_key, port=self.port)
        environment = stack_environment(os.environ, values)
        self._settings = load_settings(environment)
        write_private(self.plan.directory / SETTINGS_FILE, build_settings_file(values))
        data = await self._prepare_log()
        await self._choose_node_ports()
        await self._start_nodes(data, master_key)
        await self._start_services(environment)
        await self._join_nodes()

    async def stop(self) -> None:
        """End everything that was started, the log last. Safe to call twice."""
        services = [child for name, child in self._children.items() if name not in self.plan.node_ids]
        await asyncio.gather(*(child.stop() for child in services))
        await asyncio.gather(*(child.stop() for child in self._children.values()))
        if self._broker is not None:
            await self._broker.stop()

    async def start_node(self, node: NodeId) -> None:
        """Start a node that has ended, on its old port, and return when it answers.

        Raises:
            MiroirError: it ended again or does not get ready in time.
        """
        child = self._children[node]
        await child.start()
        await until_ready(child, f"{self.node_url(node)}/health")

    async def kill_node(self, node: NodeId) -> None:
        """End a node with SIGKILL."""
        await self._children[node].kill()

    async def wipe_node(self, node: NodeId) -> None:
        """Remove the disk of a node that has ended.

        Raises:
            MiroirError: it runs.
        """
        child = self._children[node]
        if child.running:
            raise MiroirError(f"{node} runs: kill it before its disk is wiped")
        await asyncio.to_thread(shutil.rmtree, child.command.directory)

    def processes(self) -> tuple[ProcessId, ...]:
        """Return which processes live now, the broker first."""
        pids = {"broker": self._broker.pid} if self._broker is not None else {}
        pids |= {name: child.pid for name, child in self._children.items()}
        found = (identify(name, pid) for name, pid in pids.items() if pid is not None)
        return tuple(each for each in found if each is not None)

    def state(self, phase: Phase, *, step: str = "", error: str = "", troubles: tuple[str, ...] = ()) -> StackState:
        """Return what to write of this stack."""
        return StackState(
            phase=phase,
            step=step,
            error=error,
            url=self.url,
            kafka=self._address,
            kafka_kind=self.plan.kafka_kind,
            node_kind=self.plan.node_kind,
            supervisor=identify("supervisor", os.getpid()),
            processes=self.processes(),
            ports=self._ports,
            troubles=troubles,
        )

    async def wait_broker(self) -> None:
        """Return once the embedded broker has ended; never where there is none."""
        if self._broker is None:
            await asyncio.Event().wait()
        else:
            await self._broker.wait()

    def _choose_ports(self, known: Mapping[str, int]) -> None:
        for name in (*self.plan.node_ids, *self.plan.worker_names):
            self._ports[name] = keep_or_choose(known.get(name))
        self.port = self.plan.port or keep_or_choose(known.get("query"))
        self._ports["query"] = self.port
        self._require_free_port()

    def _require_free_port(self) -> None:
        if not is_free(self.port):
            raise ConfigurationError("http_port", f"port {self.port} is taken; --port 0 takes a free one")

    async def _choose_node_ports(self) -> None:
        """Give every node that the log knows its old port: a member's URL never changes."""
        async with ClusterView(self.kafka) as view:
            await view.refresh()
            nodes = view.topology.nodes
        for node in nodes.values():
            host, _, port = node.url.removeprefix("http://").partition(":")
            if host != HOST or not port.isdigit():
                text = f"its cluster has the node {node.id} at {node.url}, which is not of a local stack"
                raise ConfigurationError("kafka", f"{self._address}: {text}; use another Kafka")
            if node.id not in self.plan.node_ids:
                self._report(f"{node.id} is a member of this log's cluster and is not started (--nodes)")
            elif not is_free(int(port)):
                text = f"its cluster has the node {node.id} at {node.url}, and that port is taken"
                raise ConfigurationError("kafka", f"{self._address}: {text}: another stack may use this Kafka")
            else:
                self._ports[node.id] = int(port)

    async def _start_broker(self) -> None:
        if self.plan.kafka is not None:
            self._report(f"Kafka at {self.plan.kafka}")
            return
        self._report("starting the embedded broker")
        self._broker = EmbeddedBroker(self.plan.logs / "broker.log")
        await self._broker.start()
        self._address = self._broker.address

    async def _prepare_log(self) -> Path:
        """Make our own topics and return the directory for the data of nodes that follow this log."""
        self._report("making miroir's own topics")
        try:
            # An external Kafka may have been told to make its topics itself, elsewhere.
            identity = await prepare_topics(self.kafka, create=self.settings.kafka_create_topics)
        except NoBrokerError as error:
            hint = "is it running? --kafka names another; without it, an embedded broker is started"
            raise LogUnavailableError(f"{error}; {hint}") from error
        except LogUnavailableError as error:
            raise LogUnavailableError(f"Kafka at {self._address}: {error}") from error
        name = log_directory_name(identity.cluster_id, identity.topic_id)
        await asyncio.to_thread(_remove_lost_logs, self.plan.data, name)
        return self.plan.data / name

    async def _start_nodes(self, data: Path, master_key: str) -> None:
        self._report(f"starting {self.plan.nodes} nodes ({self.plan.node_kind})")
        for node in self.plan.node_ids:
            command = node_command(
                self.plan,
                node,
                directory=data / node,
                port=self._ports[node],
                master_key=master_key,
                given=os.environ,
            )
            self._children[node] = Child(command)
        await all_of([self.start_node(node) for node in self.plan.node_ids])

    async def _start_services(self, environment: dict[str, str]) -> None:
        self._report(f"starting {self.plan.workers} worker(s) and the query service")
        for name in self.plan.worker_names:
            await self._start_child(worker_command(self.plan, name, port=self._ports[name], environment=environment))
        # Whoever has taken it meanwhile would answer for ours.
        self._require_free_port()
        query = await self._start_child(query_command(self.plan, environment=environment))
        await until_ready(query, f"{self.url}/health")

    async def _start_child(self, command: Command) -> Child:
        child = self._children[command.name] = Child(command)
        await child.start()
        return child

    async def _join_nodes(self) -> None:
        """Ask for every node that is not a member yet at its URL, and wait until all are active."""
        async with self.client() as client, ClusterView(self.kafka) as view:
            await view.refresh()
            for node in self.plan.node_ids:
                known = view.topology.nodes.get(node)
                if known is None:
                    self._report(f"adding {node}")
                    await watched(client.request(AddNode(node, self.node_url(node))), self.children())
            await watched(self._until_active(view), self.children())

    async def _until_active(self, view: ClusterView) -> None:
        deadline_s = time.monotonic() + JOIN_S
        while True:
            await view.refresh()
            nodes = [view.topology.nodes.get(node) for node in self.plan.node_ids]
            active = sum(node is not None and node.state is NodeState.ACTIVE for node in nodes)
            self._report(f"{active} of {self.plan.nodes} nodes are active")
            if active == self.plan.nodes:
                return
            if time.monotonic() > deadline_s:
                logs = ", ".join(str(self.plan.logs / f"{name}.log") for name in self.plan.worker_names)
                raise MiroirError(f"{active} of {self.plan.nodes} nodes are active after {JOIN_S:.0f} s; see {logs}")


def _remove_lost_logs(data: Path, kept: str) -> None:
    """Remove what nodes kept of embedded brokers that are gone: no log will ever bring it up to date."""
    for directory in data.iterdir() if data.exists() else ():
        if is_embedded_log(directory.name) and directory.name != kept:
            shutil.rmtree(directory)
