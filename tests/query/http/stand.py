"""A query service on a test stand: a log in memory, nodes in memory, and somebody who does the workers' work.

The controller's real decisions answer requests; an applier as simple as can be reads the docs topics, puts documents
onto the nodes that have them placed, and publishes progress. Both can be told to pause.
"""

import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import orjson
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agents.controller import decide, topics_needed
from agents.decision import Sights, TopicSight, build_commit
from query.http.app import LogParts, make_app
from query.http.clock import now_ms
from query.http.service import SERVICE, Service
from schemas.config import Settings, parse_settings
from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key
from schemas.events import (
    ClusterValue,
    IndexRecord,
    NodeRecord,
    NodeState,
    ReplicaRecord,
    ReplicaState,
    build_key,
    build_value,
)
from schemas.ids import Attempt, IndexUid, NodeId, Offset, Partition, Position, ShardId, node_index_uid
from schemas.keys import derive_key
from schemas.progress import Progress, build_progress, build_progress_key
from schemas.requests import parse_request
from streams.log import Append, TopicFound, TopicPartition
from streams.marker import marker_of
from streams.topics import CLUSTER, DEAD, PROGRESS, REQUESTS, own_topics
from streams.topology import Topology, fold_cluster
from tests.fakes.log import FakeLog, FakeLogAdmin, FakeLogReader, FakeLogWriter
from tests.query.http.stub_node import StubNode

NODE_KEY = "master key of every node"
SEARCH_KEYS = {name: f"00000000-0000-4000-8000-00000000000{number}" for number, name in enumerate("abcd")}
STEP_S = 0.05
"""How long the stand's workers wait for something new before they look whether they are to go on."""


POLL_S = 0.002
"""Between two looks at what nobody tells of: about as long as a question takes."""


class Stand:
    """The whole of it; used as a context.

    Args:
        nodes: names of the nodes.
        settings: settings of the query service that differ from the default.

    Attributes:
        applies: whether documents become visible.
        controls: whether requests are answered.
        reports: whether progress is published.
    """

    def __init__(self, nodes: str = "abc", settings: Mapping[str, str] | None = None) -> None:
        self.log = FakeLog()
        self.nodes = {name: StubNode(key=derive_key(NODE_KEY, SEARCH_KEYS[name])) for name in nodes}
        self.applies = self.controls = self.reports = True
        self.topology = Topology()
        self._settings = self._parse(settings or {})
        self._cursors: dict[tuple[str, int, str, int], int] = {}
        self._group = asyncio.TaskGroup()
        self._workers: list[asyncio.Task[None]] = []
        self._client: TestClient[web.Request, web.Application] | None = None

    @property
    def client(self) -> TestClient[web.Request, web.Application]:
        """A client of the service."""
        assert self._client is not None
        return self._client

    @property
    def service(self) -> Service:
        """The service itself, for what cannot be seen from outside."""
        app = self.client.server.app  # type: ignore[attr-defined]  # a TestServer's
        found: Service = app[SERVICE]
        return found

    async def __aenter__(self) -> Self:
        """Start nodes, service and workers; return when the service is ready."""
        for spec in own_topics():
            self.log.create(spec)
        for name, node in self.nodes.items():
            await node.start()
            record = NodeRecord(
                NodeId(name), node.url, state=NodeState.ACTIVE, worker_key="w", search_key=SEARCH_KEYS[name]
            )
            self.put(record)
        app = make_app(self._settings, self._parts)
        self._client = TestClient(TestServer(app, host="127.0.0.1"))
        await self._client.start_server()
        await self._group.__aenter__()
        self._workers = [self._group.create_task(self._work())]
        await self.service.views.wait_for(lambda: self.service.views.is_ready or None, timeout_s=60.0)
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Stop everything."""
        self.end_workers()
        await self._group.__aexit__(None, None, None)
        for node in self.nodes.values():
            if node.held is not None:
                node.held.set()
        await self.client.close()
        for node in self.nodes.values():
            await node.stop()

    def put(self, value: ClusterValue) -> None:
        """Append an entity to the cluster topic."""
        self.log.append(Append(CLUSTER, Partition(0), build_key(value).encode(), build_value(value)))

    def end_workers(self) -> None:
        """Let nobody answer requests, apply documents or read the cluster topic from here on but the service."""
        for worker in self._workers:
            worker.cancel()

    def put_dead(self, letter: DeadLetter) -> None:
        """Append a dead letter."""
        self.log.append(Append(DEAD, Partition(0), build_dead_letter_key(letter), build_dead_letter(letter)))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Reply":
        """Send a request and return the answer."""
        sent = dict(headers or {})
        content = raw if body is None else orjson.dumps(body)
        data = None if content is None else io.BytesIO(content)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.client.request(method, path, data=data, headers=sent) as response:
            answer = await response.read()
            return Reply(response.status, orjson.loads(answer) if answer else None, response.headers)

    async def finished(self, reply: "Reply") -> dict[str, Any]:
        """Return the task that a 202 named, once it is final."""
        assert reply.status == 202, reply.body
        uid = reply.body["taskUid"]

        def final() -> bool | None:
            task = self.service.views.tasks.get(uid)
            return True if task is not None and task.outcome.status.is_final else None

        assert await self.service.views.wait_for(final, timeout_s=60.0), f"task {uid} is not final"
        task = await self.call("GET", f"/tasks/{uid}")
        found: dict[str, Any] = task.body
        return found

    async def until_held(self, name: str) -> None:
        """Return when the node that is held was asked, and all others have answered."""
        asked, others = self.service.client.under_way, [NodeId(other) for other in self.nodes if other != name]
        await self.until(lambda: self.nodes[name].waiting and not any(map(asked, others)))

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once the condition holds, looked at whenever something was read of the log, and often beside."""
        async with asyncio.timeout(60.0):
            while not await self.service.views.wait_for(lambda: condition() or None, timeout_s=POLL_S):
                continue

    async def films(self, count: int = 40, *, shards: int = 4, replication: int = 2) -> IndexRecord:
        """Make an index of films with ids from 0, visible everywhere."""
        body = {"kind": "create_index", "uid": "films", "primary_key": "id"}
        created = await self.call("POST", "/_miroir/requests", {**body, "shards": shards, "replication": replication})
        assert created.body["accepted"], created.body
        posted = await self.call("POST", "/indexes/films/documents", films(count))
        task = await self.finished(posted)
        assert task["status"] == "succeeded", task
        return self.service.views.topology.index(IndexUid("films"))

    async def see(self, replica: ReplicaRecord, **changed: Any) -> None:
        """Publish progress of a copy that differs in these attributes; return when the service has read it.

        From then on nothing else is published of any copy.
        """
        self.reports = False
        seen = self.service.views.progress.of(replica)
        assert seen is not None
        progress = replace(seen, **changed)
        self.log.append(Append(PROGRESS, Partition(0), build_progress_key(progress), build_progress(progress)))
        await self.until(lambda: self.service.views.progress.of(replica) == progress)

    def leave(self, node: str, target: str) -> None:
        """Let all copies leave a node for another one, which has them already, and be dropped; the log says so.

        From then on it takes its next search key only.
        """
        new = SEARCH_KEYS["d"]
        for held in self.topology.replicas_on(NodeId(node)):
            index = self.topology.index(held.uid)
            name = node_index_uid(index.uid, index.incarnation)
            mine, others = self.nodes[node].documents[name], self.nodes[target].documents.setdefault(name, {})
            for key in [key for key, document in mine.items() if document["_miroir"] == marker_of(held.shard)]:
                others[key] = mine.pop(key)
            moved = replace(held, node=NodeId(target), attempt=Attempt(self.topology.epoch))
            self._report(index, moved, self.log.partition(TopicPartition(index.topic, Partition(held.shard))).end)
            self.put(moved)
        self.put(replace(self.topology.nodes[NodeId(node)], search_key=new))
        for held in self.topology.replicas_on(NodeId(node)):
            self.put(replace(held, state=ReplicaState.LEAVING, attempt=Attempt(self.topology.epoch)))
        self.nodes[node].key = derive_key(NODE_KEY, new)

    def shard_on(self, node: str, shard: int) -> bool:
        """Return whether the first index has the shard placed on the node."""
        (uid,) = self.topology.indexes
        return any(replica.node == node for replica in self.topology.replicas_of(uid, ShardId(shard)))

    def _parts(self) -> LogParts:
        return LogParts(lambda: FakeLogReader(self.log), FakeLogWriter(self.log), FakeLogAdmin(self.log))

    def _parse(self, changed: Mapping[str, str]) -> Settings:
        return parse_settings({"MIROIR_NODE_MASTER_KEY": NODE_KEY, **changed})

    async def _work(self) -> None:
        """Do what controller and workers do, whenever something was appended."""
        reader = FakeLogReader(self.log)
        cluster = TopicPartition(CLUSTER, Partition(0))
        await reader.assign({cluster: Position(0)})
        while True:
            if not self.log.away:
                self.topology = fold_cluster(self.topology, await reader.read(timeout_s=0.0, records_max=10_000))
                worked = self.controls and self._answer_next()
                worked = (self.applies and self._apply()) or worked
                if worked:
                    continue
            await self.log.wait([cluster, TopicPartition(REQUESTS, Partition(0))], STEP_S)

    def _answer_next(self) -> bool:
        """Answer the next request, as the controller does; return whether there was one."""
        cursor = self.topology.requests_cursor
        record = next((each for each in self.log.records(REQUESTS) if each.offset >= cursor), None)
        if record is None:
            return False
        request = parse_request(record.value or b"")
        known = self.log.topics()
        sights = {
            name: TopicSight(TopicFound(name, known[name].partitions, 1, known[name].configs), empty=False)
            for name in topics_needed(self.topology, request, record.offset)
            if name in known
        }
        decision = decide(self.topology, request, record.offset, Sights(record.timestamp_ms, "key", sights))
        for spec in decision.topics:
            self.log.create(spec)
        for append in build_commit(self.topology, decision):
            self.log.append(append)
        return True

    def _apply(self) -> bool:
        """Put new records onto the nodes and publish progress; return whether there were any."""
        worked = False
        for index in self.topology.indexes.values():
            for replica in [r for shards in self.topology.replicas[index.uid].values() for r in shards]:
                key = (index.uid, index.incarnation, replica.node, replica.shard)
                worked = self._apply_one(index, replica, key) or worked
        return worked

    def _apply_one(self, index: IndexRecord, replica: ReplicaRecord, key: tuple[str, int, str, int]) -> bool:
        shard = replica.shard
        where = self.log.partition(TopicPartition(index.topic, Partition(shard)))
        version = (*key[:3], -1 - shard)
        stands = (self._cursors.get(key, -1), self._cursors.get(version, -1))
        if stands == (where.end, index.settings_version):
            return False
        held = self.nodes[replica.node].documents.setdefault(node_index_uid(index.uid, index.incarnation), {})
        for record in where.records:
            if record.offset >= max(0, stands[0]):
                _put(held, (record.key or b"").decode(), record.value, shard)
        self._cursors[key], self._cursors[version] = where.end, index.settings_version
        if self.reports:
            self._report(index, replica, where.end)
        return True

    def _report(self, index: IndexRecord, replica: ReplicaRecord, end: int) -> None:
        """Publish that a replica stands at the log's end."""
        # By the clock of the service, which tells by it whether anybody still looks.
        where, seen_ms = Position(end), now_ms()
        progress = Progress(
            index.uid,
            index.incarnation,
            replica.shard,
            replica.node,
            replica.attempt,
            where,
            where,
            index.settings_version,
            seen_ms,
            seen_ms,
        )
        self.log.append(Append(PROGRESS, Partition(0), build_progress_key(progress), build_progress(progress)))


class Reply:
    """An answer: its status, its JSON, its headers."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    @property
    def error(self) -> tuple[int, str]:
        """Status and error code."""
        return self.status, self.body["code"]


def films(count: int) -> Sequence[dict[str, Any]]:
    """Return films with ids from 0; every other is a comedy."""
    return [
        {"id": number, "title": f"film {number}", "genre": ("comedy", "drama")[number % 2]} for number in range(count)
    ]


def dead_letter(index: IndexRecord, partition: int, offset: int, reason: str = "invalid_geo") -> DeadLetter:
    """Return a dead letter of the index."""
    return DeadLetter(
        index.topic,
        Partition(partition),
        Offset(offset),
        index.uid,
        index.incarnation,
        reason,
        f"record {offset} is bad",
        None,
        None,
        0,
    )


def _put(held: dict[str, dict[str, Any]], key: str, value: bytes | None, shard: ShardId) -> None:
    if value is None:
        held.pop(key, None)
    else:
        held[key] = {**orjson.loads(value), "_miroir": marker_of(shard)}
