"""A whole cluster for tests: broker, nodes and workers as processes of their own on loopback, to be hurt and compared.

What always holds: everything started here is ended here, whatever a test did to it; nothing is waited for without a
deadline, and whoever waits in vain is shown the tails of all logs. Data is compared twice: by ``miroir.verify``, which
folds the log with the same rules as a worker, and against the documents that the test itself says must be there.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

import httpx
import orjson

from miroir.broker import EmbeddedBroker
from miroir.cluster_view import ClusterView
from miroir.ports import free_port
from miroir.processes import Child, Command
from miroir.verify import Verifier
from schemas.config import Settings, parse_settings
from schemas.dead_letters import DeadLetter, parse_dead_letter
from schemas.errors import LogUnavailableError
from schemas.events import AnswerRecord, IndexRecord, NodeState, PartitionerName, ReplicaRecord
from schemas.ids import IndexUid, NodeId, Offset, Partition, ShardId
from schemas.kafka import KafkaConfig
from schemas.progress import Progress
from schemas.requests import AddNode, CreateIndex, Request, build_request
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append, Bounds, TopicPartition
from streams.log_range import read_range
from streams.partitioning import partition_of
from streams.readable import LAG_RECORDS_MAX, readable_replicas
from streams.topics import DEAD, REQUESTS, own_topics
from tests.integration.node import NODE_MASTER_KEY, Document, Node
from tests.integration.waiting import DEADLINE_S, signal_group, until

PRODUCED_AT_ONCE = 1000

Record = tuple[bytes | None, bytes | None, int | None]
"""Key, value, and the partition where it is not the key's own."""

T = TypeVar("T")


def record_of(key: str, document: Document | None) -> Record:
    """Return the record that writes a document, or deletes it."""
    return key.encode(), None if document is None else orjson.dumps(document), None


class Cluster:
    """Broker, nodes, workers. Enter it; ``create_index``, ``produce``, hurt it, ``compare``.

    Args:
        directory: where everything is kept.
        kafka: a running Kafka; the embedded broker where it is None.
        nodes: how many.
        workers: how many are started at once.
        node_binary: a real Meilisearch; the embedded node where it is None.
        settings: of the workers, as environment, beyond what the tests need.
    """

    def __init__(
        self,
        directory: Path,
        *,
        kafka: KafkaConfig | None = None,
        nodes: int = 3,
        workers: int = 1,
        node_binary: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._node_binary = node_binary
        self.nodes = [self.make_node(f"node-{n}") for n in range(1, nodes + 1)]
        self.workers: list[Child] = []
        self.services: list[Child] = []
        self._broker = EmbeddedBroker(directory / "broker.log") if kafka is None else None
        self._kafka = kafka
        self._workers_first = workers
        self._own_settings = dict(settings or {})

    async def __aenter__(self) -> Self:
        """Start everything; return when every node has joined."""
        if self._broker is not None:
            await self._broker.start()
            self._kafka = self._broker.config
        self.writer = KafkaLogWriter(self.kafka)
        self.reader = KafkaLogReader(self.kafka)
        self.admin = KafkaLogAdmin(self.kafka)
        self.view = ClusterView(self.kafka)
        try:
            await self.admin.create(own_topics())
            await asyncio.gather(*(node.start() for node in self.nodes))
            for _ in range(self._workers_first):
                await self.start_worker()
            for node in self.nodes:
                await self.request(AddNode(node.id, node.url))
            await self.until(self._all_active, "every node to join")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        for process in (*self.services, *self.workers):
            signal_group(process, signal.SIGCONT)
            await process.kill()
        await asyncio.gather(*(node.close() for node in self.nodes))
        await self.writer.close()
        await self.reader.close()
        await self.admin.close()
        await self.view.__aexit__(None, None, None)
        if self._broker is not None:
            await self._broker.stop()

    @property
    def has_embedded_broker(self) -> bool:
        """Whether the log is the embedded broker's."""
        return self._broker is not None

    @property
    def kafka(self) -> KafkaConfig:
        """How to reach the log."""
        assert self._kafka is not None, "known once the broker runs"
        return self._kafka

    @property
    def environment(self) -> dict[str, str]:
        """The settings of every process, as environment."""
        return {
            "MIROIR_KAFKA": self.kafka.bootstrap_servers,
            "MIROIR_KAFKA_IDEMPOTENCE": str(self.kafka.idempotence),
            "MIROIR_KAFKA_TRANSACTIONS": str(self.kafka.transactions),
            "MIROIR_KAFKA_REPLICATION_FACTOR": "1",
            "MIROIR_KAFKA_SESSION_TIMEOUT_S": str(self.kafka.session_timeout_s),
            "MIROIR_NODE_MASTER_KEY": NODE_MASTER_KEY,
            "MIROIR_LOG_JSON": "false",
            **self._own_settings,
        }

    @property
    def settings(self) -> Settings:
        """The same, parsed."""
        return parse_settings(self.environment)

    # --- processes ---

    async def start_worker(self, **settings: str) -> Child:
        """Start one more worker, with settings of its own as environment; it has partitions a few seconds later."""
        own = {"MIROIR_WORKER_HTTP_PORT": str(free_port()), **settings}
        worker = self._python(f"worker-{len(self.workers) + 1}", "agents.worker", **own)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def watch_worker(self, worker: Child, path: str) -> str:
        """Return what a worker answers on its port for whoever watches it."""
        url = f"http://127.0.0.1:{worker.command.environment['MIROIR_WORKER_HTTP_PORT']}{path}"
        async with httpx.AsyncClient(trust_env=False) as client:

            async def answer() -> str | None:
                worker.require_running()
                with suppress(httpx.HTTPError):
                    return (await client.get(url)).raise_for_status().text
                return None

            return await until(answer, f"{worker.name} to answer {path}", logs=[worker.command.log])

    async def worker_id(self, worker: Child) -> str:
        """Return what the ids of the worker's posts begin with, in its own words."""
        return str(orjson.loads(await self.watch_worker(worker, "/health"))["worker"])

    async def start_service(self) -> str:
        """Start one more query service, and return its address once it has folded the log."""
        url = f"http://127.0.0.1:{free_port()}"
        port = url.rpartition(":")[2]
        service = self._python(f"query-{len(self.services) + 1}", "query.http", MIROIR_HTTP_PORT=port)
        await service.start()
        self.services.append(service)
        async with httpx.AsyncClient(trust_env=False) as client:

            async def is_ready() -> bool:
                service.require_running()
                with suppress(httpx.HTTPError):
                    return (await client.get(f"{url}/health")).is_success
                return False

            await until(is_ready, service.name, logs=[service.command.log])
        return url

    def _python(self, name: str, module: str, **more: str) -> Child:
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(Path.cwd()), **more}
        argv = [sys.executable, "-m", module]
        return Child(Command(name, argv, environment, self.directory, self.directory / f"{name}.log"))

    def make_node(self, name: str) -> Node:
        """Return a node of the same kind as the others that does not run yet, and that nobody knows."""
        return Node(name, self.directory / name, self._node_binary)

    def live_workers(self) -> Sequence[Child]:
        """Return the workers that run, in the order of their start."""
        return [worker for worker in self.workers if worker.running]

    def node(self, node: NodeId) -> Node:
        """Return the node of this id."""
        return next(each for each in self.nodes if each.id == node)

    # --- what is asked of it ---

    async def request(self, request: Request) -> AnswerRecord:
        """Append a request and return the controller's answer."""
        (offset,) = await self.writer.append([Append(REQUESTS, Partition(0), None, build_request(request))])

        async def answered() -> AnswerRecord | None:
            await self.view.refresh()
            return self.view.topology.answer(offset)

        return await self.until(answered, f"an answer to {request}")

    async def create_index(
        self,
        uid: str,
        *,
        shards: int = 4,
        replication: int = 2,
        partitioner: PartitionerName = PartitionerName.MURMUR2,
        topic: str | None = None,
    ) -> IndexRecord:
        """Create an index with the primary key ``id``."""
        wanted = CreateIndex(
            IndexUid(uid), "id", shards=shards, replication=replication, partitioner=partitioner, topic=topic
        )
        answer = await self.request(wanted)
        assert answer.accepted, answer
        return await self.index(uid)

    async def index(self, uid: str) -> IndexRecord:
        """Return the index as it is now."""
        await self.view.refresh()
        return self.view.topology.index(IndexUid(uid))

    async def produce(self, index: IndexRecord, documents: Mapping[str, Document | None]) -> None:
        """Produce documents as a right producer does; None deletes."""
        await self.append(index, [record_of(key, document) for key, document in documents.items()])

    async def append(self, index: IndexRecord, records: Sequence[Record]) -> Sequence[Offset]:
        """Append records to the index's topic and return their offsets."""
        appends = [
            Append(
                index.topic,
                Partition(at) if at is not None else partition_of(key or b"", index.shards, index.partitioner),
                key,
                value,
            )
            for key, value, at in records
        ]
        offsets: list[Offset] = []
        for first in range(0, len(appends), PRODUCED_AT_ONCE):
            offsets += await self.writer.append(appends[first : first + PRODUCED_AT_ONCE])
        return offsets

    async def renew_writer(self) -> None:
        """Forget what the producer knows of topics: one was made anew."""
        await self.writer.close()
        self.writer = KafkaLogWriter(self.kafka)

    # --- what is seen of it ---

    async def until(
        self, condition: Callable[[], Awaitable[T | None]], what: str, *, timeout_s: float = DEADLINE_S
    ) -> T:
        """Wait until the condition gives something true, and return it; a broker that is away is waited for too."""
        logs = [child.command.log for child in [*self.workers, *(node.process for node in self.nodes)]]

        async def holds() -> T | None:
            with suppress(LogUnavailableError):
                return await condition()
            return None

        return await until(holds, what, timeout_s=timeout_s, logs=logs, seen=self._describe)

    def _describe(self) -> str:
        seen = self.view.progress.replicas.items()
        return "".join(
            f"\n  {key}: attempt {p.attempt} {p.cursor}/{p.end}{' away' if p.away else ''} lag {p.lag_ms} ms"
            for key, p in sorted(seen)
        )

    async def _all_active(self) -> bool:
        await self.view.refresh()
        known = self.view.topology.nodes
        return all(node.id in known and known[node.id].state is NodeState.ACTIVE for node in self.nodes)

    async def bounds(self, index: IndexRecord) -> Mapping[ShardId, Bounds]:
        """Return what each partition of the index's topic holds."""
        partitions = [TopicPartition(index.topic, Partition(shard)) for shard in range(index.shards)]
        return {ShardId(each.partition): found for each, found in (await self.reader.bounds(partitions)).items()}

    def shard_of(self, index: IndexRecord, key: str) -> ShardId:
        """Return the shard of a document."""
        return ShardId(partition_of(key.encode(), index.shards, index.partitioner))

    async def replicas(self, index: IndexRecord) -> Mapping[ReplicaRecord, Progress | None]:
        """Return every replica of the index with the progress of its present attempt."""
        await self.view.refresh()
        shards = map(ShardId, range(index.shards))
        return {
            replica: self.view.progress.of(replica)
            for shard in shards
            for replica in self.view.topology.replicas_of(index.uid, shard)
        }

    async def readable(self, index: IndexRecord, shard: ShardId) -> tuple[NodeId, ...]:
        """Return the nodes on which queries read the shard."""
        await self.view.refresh()
        return readable_replicas(self.view.topology, self.view.progress, index, shard, lag_records_max=LAG_RECORDS_MAX)

    async def caught_up(
        self, index: IndexRecord, *, without: Sequence[NodeId] = (), timeout_s: float = DEADLINE_S
    ) -> None:
        """Wait until every replica, but those on the nodes ``without``, is visible up to the log's end."""

        async def is_at_end() -> bool:
            ends = await self.bounds(index)
            replicas = await self.replicas(index)
            return bool(replicas) and all(
                progress is not None and not progress.away and progress.cursor == ends[replica.shard].end
                for replica, progress in replicas.items()
                if replica.node not in without
            )

        await self.until(is_at_end, f"replicas of {index.uid} to stand at the end", timeout_s=timeout_s)

    async def away(self, node: Node) -> None:
        """Wait until it is known that the node does not answer: whatever is seen of it later is news."""

        async def is_away() -> bool:
            await self.view.refresh()
            placed = self.view.topology.replicas_on(node.id)
            return bool(placed) and all((seen := self.view.progress.of(r)) is None or seen.away for r in placed)

        await self.until(is_away, f"{node.id} to be known as away")

    async def dead_letters(self, index: IndexRecord) -> Sequence[DeadLetter]:
        """Return every dead letter of this incarnation of the index, as often as it was written."""
        partition = TopicPartition(DEAD, Partition(0))
        held = (await self.reader.bounds([partition]))[partition]
        letters = [
            parse_dead_letter(record.value)
            async for batch in read_range(self.reader, partition, held.beginning, held.end)
            for record in batch.records
            if record.value is not None
        ]
        return [letter for letter in letters if letter.incarnation == index.incarnation]

    async def compare(self, index: IndexRecord, expected: Mapping[str, Document]) -> None:
        """Wait until all replicas are caught up, and compare each with the log and with what the test expects.

        Args:
            index: all of it.
            expected: id → the document that must be there; nothing else may be.
        """
        await self.caught_up(index)
        async with Verifier(self.settings, timeout_s=DEADLINE_S) as verifier:
            report = await verifier.run(index=index.uid)
        assert report.verified, [each for each in report.replicas if not each.equal] or report.strays
        placed = await self.replicas(index)
        for node in self.nodes:
            shards = {replica.shard for replica in placed if replica.node == node.id}
            wanted = {key: document for key, document in expected.items() if self.shard_of(index, key) in shards}
            found = await node.documents(index)
            assert found.keys() == wanted.keys(), f"{node.id}: {sorted(found.keys() ^ wanted.keys())[:20]}"
            differing = [key for key in wanted if found[key] != wanted[key]]
            assert not differing, f"{node.id}: {[(found[key], wanted[key]) for key in differing[:3]]}"
