"""Rebuild: how fast a node is rebuilt from the log, against loading the same documents straight into the same node.

``python -m bench.rebuild [--file FILE] [--documents N] [--keep-disk] [--json]``: two nodes, replication factor 2, so
that the node that is rebuilt holds every document. The straight load is two posts, as the node likes best. Two ratios:
of the whole, which includes what takes the same time however many documents there are (the node's start and being
noticed, or the longest search that must end before a copy is dropped); and of the replay alone, from the drop on. At
full speed: what a share of the node's time does is ``bench.rebuild_beside_search``.
"""

import asyncio
import itertools
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import orjson

from bench.endurance import generated
from bench.films import load
from bench.setting import documents_file, make_parser, running_stack, show
from bench.setting import run as run_measure
from miroir.cluster_view import ClusterView
from miroir.document_files import FileDocument, read_documents
from miroir.stack import Stack
from miroir.visibility import attempts_on, until_rebuilt
from schemas.config import PREFIX
from schemas.errors import MiroirError
from schemas.ids import IndexUid
from schemas.posts import Drop, parse_metadata
from schemas.requests import RebuildNode

INDEX = IndexUid("bench")
DIRECT = "direct"
POSTS = 2
TASK_S = 600.0
POLL_S = 0.05


async def load_directly(stack: Stack, documents: list[FileDocument]) -> float:
    """Return how many documents a second the last node takes by itself, without miroir."""
    url = stack.node_url(stack.plan.node_ids[-1])
    key = stack.settings.node_master_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    size = -(-len(documents) // POSTS)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TASK_S, trust_env=False) as client:
        as_json = {"Content-Type": "application/json"}
        asked = [await client.post("/indexes", json={"uid": DIRECT, "primaryKey": "id"}, headers=as_json)]
        # The marker's setting is what every document of ours pays for too.
        settings = {"filterableAttributes": ["_miroir"]}
        asked.append(await client.patch(f"/indexes/{DIRECT}/settings", json=settings, headers=as_json))
        started = time.perf_counter()
        for part in _batched(documents, size):
            body = b"\n".join(orjson.dumps({**document.fields, "_miroir": "\U000f0000"}) for document in part)
            asked.append(await client.post(f"/indexes/{DIRECT}/documents", content=body))
        for answer in asked:
            task = answer.raise_for_status().json()
            while task["status"] in {"enqueued", "processing"}:
                await asyncio.sleep(POLL_S)
                task = (await client.get(f"/tasks/{task.get('taskUid', task.get('uid'))}")).raise_for_status().json()
            if task["status"] != "succeeded":
                raise MiroirError(f"{url}: task {task['uid']} {task['status']}: {task['error']}")
        rate = len(documents) / (time.perf_counter() - started)
        await client.delete(f"/indexes/{DIRECT}")
    return rate


async def rebuild(stack: Stack, *, keep_disk: bool) -> tuple[float, float]:
    """Return how many seconds pass until all of the last node may be read again, and how many of them before the drop.

    Its disk is wiped, and the time runs from its start; or it keeps its disk, and the time runs from asking for the
    rebuild.
    """
    node = stack.plan.node_ids[-1]
    async with ClusterView(stack.kafka) as view, stack.client() as client:
        await view.refresh()
        before = attempts_on(view, node)
        if not keep_disk:
            await stack.kill_node(node)
            await stack.wipe_node(node)
        started_s = time.time()
        if keep_disk:
            await client.request(RebuildNode(node))
        else:
            await stack.start_node(node)
        await until_rebuilt(view, node, before, timeout_s=TASK_S)
        ended_s = time.time()
    return ended_s - started_s, await dropped_at_s(stack) - started_s


async def dropped_at_s(stack: Stack) -> float:
    """Return when the last node was last told to drop shards, in seconds since 1970."""
    url = stack.node_url(stack.plan.node_ids[-1])
    key = stack.settings.node_master_key.get_secret_value()
    query = {"types": "documentDeletion", "limit": "1000"}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        tasks = (await client.get(f"{url}/tasks", params=query)).json()["results"]
    drops = [task for task in tasks if isinstance(parse_metadata(task.get("customMetadata")), Drop)]
    # To the millisecond: some Pythons read no nanoseconds.
    return datetime.fromisoformat(drops[0]["enqueuedAt"][:23] + "+00:00").timestamp()


async def measure(
    file: Path | None, count: int, *, keep_disk: bool, kafka: str | None, binary: Path | None
) -> dict[str, object]:
    """Return the figures."""
    os.environ[f"{PREFIX}REPLAY_SHARE"] = "1"
    documents = list(generated(count) if file is None else itertools.islice(read_documents(file), count))
    async with running_stack(kafka=kafka, node_binary=binary, nodes=2) as stack:
        await load(stack, INDEX, documents, replication=2)
        seconds, before_s = await rebuild(stack, keep_disk=keep_disk)
        direct = await load_directly(stack, documents)
    rate, replay = len(documents) / seconds, len(documents) / (seconds - before_s)
    return {
        "documents": len(documents),
        "rebuild_per_s": rate,
        "replay_per_s": replay,
        "direct_per_s": direct,
        "ratio": rate / direct,
        "replay_ratio": replay / direct,
        "rebuild_s": seconds,
        "before_drop_s": before_s,
    }


def _batched(documents: list[FileDocument], size: int) -> list[tuple[FileDocument, ...]]:
    return [tuple(documents[at : at + size]) for at in range(0, len(documents), size)]


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("How fast a node is rebuilt from the log.")
    parser.add_argument("--file", type=documents_file, help="a file of documents instead of generated ones")
    parser.add_argument("--documents", type=int, default=50_000, help="at most so many")
    parser.add_argument("--keep-disk", action="store_true", help="rebuild over the documents that are there")
    arguments = parser.parse_args()
    result = run_measure(
        measure(
            arguments.file,
            arguments.documents,
            keep_disk=arguments.keep_disk,
            kafka=arguments.kafka,
            binary=arguments.node_binary,
        )
    )
    show(result, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
