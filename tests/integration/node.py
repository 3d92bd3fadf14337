"""One node for tests: its process, its disk, and what it says of itself to the master key."""

import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson

from miroir.ports import free_port
from miroir.processes import Child, Command
from schemas.events import IndexRecord
from schemas.ids import NodeId, ShardId, node_index_uid
from schemas.posts import Post, parse_metadata
from streams.marker import MARKER_FIELD, shards_filter
from tests.integration.waiting import signal_group, until

NODE_MASTER_KEY = "node-master-key-of-the-tests"

Document = Mapping[str, Any]
Task = Mapping[str, Any]


class PostTask(NamedTuple):
    """A task of the node's list that is a post, or a part of one, with what it says of itself."""

    uid: int
    status: str
    post: Post

    @property
    def is_unfinished(self) -> bool:
        """Whether the node has taken it and not yet done it."""
        return self.status in ("enqueued", "processing")

    def is_of(self, worker: str) -> bool:
        """Whether the worker of this id has posted it."""
        return self.post.post.startswith(f"{worker}-")


class Node:
    """A real or an embedded node, on loopback.

    Args:
        node_id: its id.
        directory: its own.
        binary: a real Meilisearch; the embedded node where it is None.
    """

    def __init__(self, node_id: str, directory: Path, binary: str | None) -> None:
        self.id = NodeId(node_id)
        self.is_embedded = binary is None
        self.disk = directory / "data"
        self.url = f"http://127.0.0.1:{free_port()}"
        program = [binary] if binary else [sys.executable, "-m", "miroir.node"]
        flags = ["--no-analytics", "--max-indexing-memory", "256MiB", "--master-key", NODE_MASTER_KEY]
        address = ["--http-addr", self.url.removeprefix("http://"), "--db-path", str(self.disk)]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        self.process = Child(
            Command(node_id, [*program, *address, *flags], environment, directory, directory / "output.log")
        )
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {NODE_MASTER_KEY}", "Accept-Encoding": "identity"},
            timeout=30,
            trust_env=False,
        )

    async def start(self) -> None:
        """Start it with the disk it has, and return when it answers."""
        await self.process.start()
        await until(self._is_healthy, f"{self.id} to answer", logs=[self.process.command.log])

    async def _is_healthy(self) -> bool:
        self.process.require_running()
        with suppress(httpx.HTTPError):
            return (await self._http.get("/health")).is_success
        return False

    async def kill(self) -> None:
        """End it with SIGKILL: the process alone, what it has started must notice."""
        await self.process.kill()

    async def upgrade(self, version: str, *, keeps_disk: bool) -> None:
        """End it as an operator does, and start it as another version.

        Args:
            version: which, of an embedded one; of a real one the program, or nothing where it stays what it is.
            keeps_disk: whether it starts with what it had.
        """
        await self.process.stop()
        if not keeps_disk:
            self.wipe()
        command = self.process.command
        argv = list(command.argv)
        if self.is_embedded:
            argv += ["--reported-version", version]
        elif version:
            argv = [version, *argv[1:], "--upgrade-db"]
        self.process = Child(replace(command, argv=argv))
        await self.start()

    def wipe(self) -> None:
        """Give it an empty disk; only while it is down."""
        shutil.rmtree(self.disk)

    def copy_disk(self, to: Path) -> None:
        """Copy its disk away; only while it is down."""
        shutil.copytree(self.disk, to)

    def restore_disk(self, source: Path) -> None:
        """Give it the disk that was copied away; only while it is down."""
        self.wipe()
        shutil.copytree(source, self.disk)

    def freeze(self) -> None:
        """Stop it, and whatever it has started, with SIGSTOP."""
        signal_group(self.process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        signal_group(self.process, signal.SIGCONT)

    async def ask(self, path: str, body: object = None, **query: str) -> Any:  # whatever JSON the node answers
        """GET, or POST where there is a body, and return the answer."""
        method = "GET" if body is None else "POST"
        answer = await self._http.request(method, path, json=body, params=query)
        assert answer.is_success, f"{self.id}: {path}: {answer.status_code} {answer.text}"
        return orjson.loads(answer.content)

    async def tasks(self, index: IndexRecord) -> Sequence[Task]:
        """Return the newest 1,000 tasks of the index, newest first."""
        uid = node_index_uid(index.uid, index.incarnation)
        found: Sequence[Task] = (await self.ask("/tasks", indexUids=uid, limit="1000"))["results"]
        return found

    async def posts(self, index: IndexRecord) -> Sequence[PostTask]:
        """Return those of the newest 1,000 tasks of the index that are posts, newest first."""
        found = [(task, parse_metadata(task.get("customMetadata"))) for task in await self.tasks(index)]
        return [PostTask(task["uid"], task["status"], post) for task, post in found if isinstance(post, Post)]

    async def documents(self, index: IndexRecord, shards: Sequence[ShardId] | None = None) -> dict[str, Document]:
        """Return the documents by id, without the marker: all, or those of some shards."""
        body: dict[str, object] = {"limit": 1_000_000}
        if shards is not None:
            body["filter"] = shards_filter(shards)
        uid = node_index_uid(index.uid, index.incarnation)
        found = (await self.ask(f"/indexes/{uid}/documents/fetch", body))["results"]
        assert index.primary_key is not None
        by_id: dict[str, dict[str, Any]] = {str(document[index.primary_key]): document for document in found}
        assert len(by_id) == len(found), f"{self.id}: an id stands in two documents"
        for document in by_id.values():
            del document[MARKER_FIELD]
            # A node with embedders keeps them apart and does not return them.
            document.pop("_vectors", None)
        return dict(by_id)

    async def close(self) -> None:
        """End it, however it is."""
        self.thaw()
        await self.process.stop()
        await self._http.aclose()
