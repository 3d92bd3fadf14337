"""Vectors compared by verification: what real nodes make of them is not called wrong, and what is wrong is found."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from agents.shard_sample import Sample
from miroir.comparison import Comparison, FaultyIds
from miroir.verify import Verifier
from schemas.ids import IndexUid, node_index_uid
from tests.integration.api import Api, running_service
from tests.integration.cluster import Cluster
from tests.integration.node import Node
from tests.integration.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.meilisearch, pytest.mark.asyncio(loop_scope="module")]

DIMENSIONS = 4
EMBEDDER = {"source": "userProvided", "dimensions": DIMENSIONS}

SHAPES: list[Any] = [
    [0.1, -0.3, 0.0, -1e-40],
    [[0.1, 0.2, 0.3, 0.4], [3, 4, 5, 6], [-1, -2, -3, 0.5]],
    {"embeddings": [0.1, 0.2, 0.3, -0.4], "regenerate": False},
    {"embeddings": [[1, 2, 3, 4], [1, 2, 3, 4]], "regenerate": False},
    {"embeddings": [[5, 6, 7, 8]], "regenerate": True},
    {"embeddings": [], "regenerate": False},
    {"embeddings": None, "regenerate": False},
    [],
    None,
    # Each lies so near the middle of two numbers of 32 bits that a node takes the wrong one.
    [0.9650581181049347, 0.40810035169124603, 0.00016992766904877501, 9.665978087380901e-11],
    [16777217, 1e39, 1 + 2**-24, 18446744073709551615],
]
"""Whatever a node takes for vectors of four numbers."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Three real nodes; without a binary there is nothing to ask."""
    binary = os.environ.get("MEILISEARCH_BIN")
    if not binary:
        pytest.skip("MEILISEARCH_BIN names no binary")
    directory: Path = tmp_path_factory.mktemp("vectors")
    async with Cluster(directory, node_binary=binary) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """A service over the nodes."""
    async with running_service(cluster.settings) as ready:
        yield ready


async def set_embedders(api: Api, uid: str, change: Mapping[str, Any]) -> None:
    """Change an index's embedders on all nodes."""
    task = await api.finished(await api.write("PATCH", f"/indexes/{uid}/settings", {"embedders": change}))
    assert task["status"] == "succeeded", task


async def faults(cluster: Cluster, uid: str, documents: int, *, sample: Sample | None = None) -> Sequence[Comparison]:
    """Return what was found of each replica that is not as the log has it, of so many documents."""
    async with Verifier(cluster.settings, sample=sample) as verifier:
        report = await verifier.run(index=IndexUid(uid))
    found = [each.comparison for each in report.replicas]
    assert not any(each.error for each in report.replicas), report
    assert sum(each.documents + each.different.count for each in found) == documents * 2
    return [each.comparison for each in report.replicas if not each.equal]


async def test_vectors_of_every_shape_are_verified(api: Api, cluster: Cluster) -> None:
    """Quantized or not, and once they are quantized, and once they are gone: nothing that is right is called wrong."""
    index = await cluster.create_index("shapes")
    documents = {
        str(number): {"id": number, "_vectors": {"own": own, "bits": bits, "none": [1]}}
        for number, (own, bits) in enumerate(product(SHAPES, SHAPES))
    }
    await set_embedders(api, "shapes", {"own": EMBEDDER, "bits": {**EMBEDDER, "binaryQuantized": True}})
    await cluster.produce(index, documents)
    await cluster.caught_up(index)

    assert await faults(cluster, "shapes", len(documents)) == []
    for change in ({"own": {"binaryQuantized": True}}, {"bits": None}, {"own": None}):
        await set_embedders(api, "shapes", change)
        assert await faults(cluster, "shapes", len(documents)) == []


async def test_a_vector_that_was_changed_on_a_node_is_found(api: Api, cluster: Cluster) -> None:
    """By a little; and nothing is found before, or once it is put right."""
    index, random = await cluster.create_index("things"), Random(7)
    await set_embedders(api, "things", {"own": EMBEDDER})
    documents = {
        str(number): {"id": number, "_vectors": {"own": [random.uniform(-1, 1) for _ in range(DIMENSIONS)]}}
        for number in range(1000)
    }
    await cluster.produce(index, documents)
    await cluster.caught_up(index)
    path = f"/indexes/{node_index_uid(index.uid, index.incarnation)}/documents"
    replicas = await cluster.replicas(index)
    node = cluster.node(next(each.node for each in replicas if each.shard == cluster.shard_of(index, "7")))
    (right,) = (await node.ask(f"{path}/fetch", {"ids": ["7"], "retrieveVectors": True}))["results"]
    ((first, *others),) = right["_vectors"]["own"]["embeddings"]

    async def put(document: Mapping[str, Any]) -> None:
        task = (await node.ask(path, [document]))["taskUid"]
        await until(partial(is_done, node, task), "the node")

    before = await faults(cluster, "things", 1000)
    await put({**right, "_vectors": {"own": [first + 1e-6, *others]}})
    spoilt = await faults(cluster, "things", 1000)
    sampled = await faults(cluster, "things", 1000, sample=Sample(share=1.0))
    await put(right)

    assert before == []
    assert [each.different for each in spoilt] == [each.different for each in sampled] == [FaultyIds(1, ("7",))]
    assert await faults(cluster, "things", 1000) == []


async def test_a_difference_while_embedders_are_changed_is_none(api: Api, cluster: Cluster) -> None:
    """A node may have quantized what was told of the log before: it is to be verified again."""
    index = await cluster.create_index("turned", shards=1, replication=1)
    await set_embedders(api, "turned", {"own": EMBEDDER})
    await cluster.produce(index, {"1": {"id": 1, "_vectors": {"own": [1, 2, 3, 4]}}})
    await cluster.caught_up(index)
    (replica,) = await cluster.replicas(index)
    node = cluster.node(replica.node)
    path = f"/indexes/{node_index_uid(index.uid, index.incarnation)}/documents"
    (held,) = (await node.ask(f"{path}/fetch", {"ids": ["1"]}))["results"]
    task = (await node.ask(path, [{**held, "_vectors": {"own": [1, 2, 3, 5]}}]))["taskUid"]
    await until(partial(is_done, node, task), "the node")
    begun = asyncio.Event()

    async def has_changed() -> bool:
        await cluster.view.refresh()
        record = cluster.view.topology.settings(index.uid)
        return record is not None and bool(record.settings["embedders"]["own"].get("binaryQuantized"))

    async with Verifier(cluster.settings, report=lambda *_: begun.set()) as verifier, asyncio.TaskGroup() as group:
        # A frozen node holds up the verification behind what it was told of the log.
        node.freeze()
        running = group.create_task(verifier.run(index=index.uid))
        await begun.wait()
        change = {"embedders": {"own": {"binaryQuantized": True}}}
        await api.write("PATCH", "/indexes/turned/settings", change)
        await cluster.until(has_changed, "the change")
        node.thaw()

    (report,) = running.result().replicas
    assert "embedders were changed" in report.error


async def is_done(node: Node, task: int) -> bool:
    """Return whether the node has done the task."""
    return bool((await node.ask(f"/tasks/{task}"))["status"] == "succeeded")
