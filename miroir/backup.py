"""An index into a file: every document, whole, with the positions up to which the file is complete.

The log is read where it still holds everything, folded up to an end fixed at the beginning; else the nodes, whose
copies must stand still meanwhile. What always holds: a file is complete up to its cursors, and says so only when it is.
Who calls it: ``miroir backup``. It must not know: terminals.
"""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from miroir.backup_file import BackupWriter, require_free, writing
from miroir.cluster_view import ClusterView
from miroir.condemned import fetch_condemned
from miroir.log_documents import LogDocuments
from miroir.log_wholeness import LogSight, log_fault
from miroir.node_documents import NodeDocuments
from schemas.backups import BackupHeader, Source
from schemas.config import Settings
from schemas.errors import LogUnavailableError, MiroirError
from schemas.events import IndexRecord, IndexState
from schemas.ids import IndexUid, Partition, Position, ShardId
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.log import Bounds, TopicPartition

Report = Callable[[int, int, str], None]
"""Takes how much is done, of how much, and what is read."""


class BackupMaker:
    """One backup. Enter it, ``run`` it once.

    Args:
        settings: how to reach the log, and the nodes' master key.
        report: told each step.
    """

    def __init__(self, settings: Settings, *, report: Report = lambda *_: None) -> None:
        self._settings = settings
        self._report = report
        kafka = settings.kafka_config("miroir-backup")
        self._view = ClusterView(kafka)
        self._reader = KafkaLogReader(kafka)
        self._admin = KafkaLogAdmin(kafka)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Nothing is connected before ``run``."""
        await self._stack.enter_async_context(self._view)
        self._stack.push_async_callback(self._reader.close)
        self._stack.push_async_callback(self._admin.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._stack.aclose()

    async def run(
        self, uid: IndexUid, path: Path, *, force: bool = False, source: Source | None = None
    ) -> BackupHeader:
        """Write the index into the file and return its header.

        Args:
            uid: the index.
            path: the file; gzipped where its name ends with ``.gz``.
            force: whether a file that is there is written over.
            source: where documents are read; None for the log where it is whole, else the nodes.

        Raises:
            NotFoundError: there is no such index.
            MiroirError: the documents cannot be had whole from there; says what to do.
        """
        require_free(path, force=force)
        await self._view.refresh()
        index = self._view.topology.index(uid)
        sight = await look_at_log(self._admin, self._reader, index)
        fault = log_fault(index.topic, index.shards, sight, begun_on(self._view, index))
        chosen: Source = source or ("nodes" if fault else "log")
        if chosen == "log" and fault:
            raise MiroirError(f"{fault}; its documents are on the nodes: --source nodes")
        if chosen == "nodes" and index.state is not IndexState.PAUSED:
            because = fault or "documents are read from nodes"
            text = f"{because}, and the nodes must stand still meanwhile: first `miroir index pause {uid}`"
            raise MiroirError(f"{text}, afterwards `miroir index resume {uid}`")
        with writing(path) as writer:
            if chosen == "log":
                return await self._from_log(index, sight, writer)
            return await self._from_nodes(index, writer)

    async def _from_log(self, index: IndexRecord, sight: LogSight, writer: BackupWriter) -> BackupHeader:
        bounds = sight.bounds or {}
        total = sum(held.end - held.beginning for held in bounds.values())
        if index.primary_key is None and total:
            text = f"has no primary key yet, so its {total} records are no documents"
            raise MiroirError(f"index {index.uid!r}: {text}: `miroir produce --id FIELD` or the HTTP API names one")
        header = self._header(index, "log", {shard: held.end for shard, held in bounds.items()})
        writer.begin(header)
        condemned = await fetch_condemned(self._reader, self._view.topology)
        done, shard = 0, ShardId(0)

        def count(positions: int) -> None:
            nonlocal done
            done += positions
            self._report(done // 2, total, f"{index.uid} shard {shard}: {writer.documents:,} documents")

        documents = LogDocuments(self._reader, index, self._settings.post_bytes_max, count)
        for shard in map(ShardId, range(index.shards)):
            refused = condemned.get(TopicPartition(index.topic, Partition(shard)), set())
            async for document in documents.of_shard(shard, bounds[shard], refused):
                writer.add(document)
        # Each shard is read for itself: those read last may come from a topic that was made anew under the same name.
        now = await look_at_log(self._admin, self._reader, index)
        fault = log_fault(index.topic, index.shards, now, [sight.topic_id])
        if fault:
            raise MiroirError(f"{fault}; this happened while it was read, so nothing was kept")
        return header

    async def _from_nodes(self, index: IndexRecord, writer: BackupWriter) -> BackupHeader:
        async with NodeDocuments(self._settings, self._view.topology, index) as nodes:
            copies = await nodes.choose()
            header = self._header(index, "nodes", {copy.shard: copy.cursor for copy in copies})
            writer.begin(header)
            for copy in copies:
                self._report(copy.shard, index.shards, f"{index.uid} shard {copy.shard} on {copy.node}")
                async for document in nodes.of_copy(copy):
                    writer.add(document)
            await nodes.check(copies)
        self._report(index.shards, index.shards, f"{writer.documents:,} documents")
        return header

    def _header(self, index: IndexRecord, source: Source, cursors: dict[ShardId, Position]) -> BackupHeader:
        settings = self._view.topology.settings(index.uid)
        assert settings is not None, f"index {index.uid!r} has no settings"
        return BackupHeader(
            uid=index.uid,
            incarnation=index.incarnation,
            topic=index.topic,
            primary_key=index.primary_key,
            shards=index.shards,
            replication=index.replication,
            groups=index.groups,
            partitioner=index.partitioner,
            settings=settings.settings,
            cursors=tuple(cursors[shard] for shard in sorted(cursors)),
            source=source,
            taken_ms=int(time.time() * 1000),
        )


def begun_on(view: ClusterView, index: IndexRecord) -> list[str]:
    """Return the ids that were published of the topic that the index was begun on."""
    replicas = view.progress.replicas.values()
    return sorted({each.log for each in replicas if each.incarnation == index.incarnation and each.log})


async def look_at_log(admin: KafkaLogAdmin, reader: KafkaLogReader, index: IndexRecord) -> LogSight:
    """Return the index's topic as it is now.

    Raises:
        LogUnavailableError: no broker answers, or two do not agree.
    """
    found = (await admin.describe([index.topic])).get(index.topic)
    if found is None:
        return LogSight(exists=False)
    identity = (await admin.identify([index.topic])).get(index.topic)
    if identity is None:
        raise LogUnavailableError(f"topic {index.topic}: one broker knows it, and another one does not: ask again")
    partitions = [TopicPartition(index.topic, Partition(each)) for each in range(found.partitions)]
    bounds: dict[ShardId, Bounds] = {
        ShardId(each.partition): held for each, held in (await reader.bounds(partitions)).items()
    }
    return LogSight(exists=True, topic_id=identity.topic_id, bounds=bounds)
