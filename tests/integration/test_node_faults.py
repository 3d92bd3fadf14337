"""Nodes that are killed, lose their disk, come back with an older one, or stay away: every replica equals the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from schemas.events import IndexRecord
from schemas.ids import ShardId
from schemas.requests import RebuildNode
from tests.integration.cluster import Cluster, record_of
from tests.integration.documents import make_documents
from tests.integration.node import Document, Node

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTS = 1000
LOADED_AT_ONCE = 200
POST_RECORDS = 100

QUEUE_BYTES = 64 * 1024
"""Of one partition that may wait in the worker: the least there is, so that a node that is away soon fills it."""

LEFT_MIN = 5 * POST_RECORDS
"""A node killed in the middle lacks so many records at least: more than it may have taken since it was last seen."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, node_binary: str | None) -> AsyncIterator[Cluster]:
    """Three nodes and one worker, whose posts are small, so that a load takes many."""
    directory = tmp_path_factory.mktemp("nodes")
    settings = {
        "MIROIR_POST_RECORDS_MAX": str(POST_RECORDS),
        "MIROIR_PARTITION_QUEUE_BYTES_MAX": str(QUEUE_BYTES),
    }
    async with Cluster(directory, node_binary=node_binary, settings=settings) as running:
        # All at once: the group is rebalanced for every new one.
        names = ("killed", "wiped", "older", "absent", "beside")
        for name in names:
            await running.create_index(name)
        await running.create_index("alone", shards=6, replication=1)
        # Whichever test comes first may kill a node: every copy has begun by then.
        for name in (*names, "alone"):
            await running.caught_up(await running.index(name))
        yield running


def delete_some(documents: Mapping[str, Document], *, one_in: int) -> dict[str, Document | None]:
    """Return the same writes, but for one in so many that deletes."""
    return {key: document if number % one_in else None for number, (key, document) in enumerate(documents.items())}


async def load(cluster: Cluster, index: IndexRecord) -> dict[str, Document]:
    """Write each document three times, the last two close together, and delete some; return those that stay."""
    first, second, third = (make_documents(DOCUMENTS, text=text) for text in ("first", "second", "third"))
    # Either deletes others, so that some are there again at the end.
    again, last = delete_some(second, one_in=5), delete_some(third, one_in=7)
    await cluster.produce(index, first)
    keys = list(first)
    for at in range(0, DOCUMENTS, LOADED_AT_ONCE):
        some = keys[at : at + LOADED_AT_ONCE]
        await cluster.append(index, [record_of(key, written[key]) for written in (again, last) for key in some])
    return {key: document for key, document in last.items() if document is not None}


async def kill_in_the_middle(cluster: Cluster, index: IndexRecord, victim: Node) -> dict[str, Document]:
    """Load documents and kill the node when it has taken some of them; return them once it is known as away."""
    before = {task.uid for task in await victim.posts(index)}
    loading = asyncio.create_task(load(cluster, index))

    async def has_taken_some() -> bool:
        done = {task.uid for task in await victim.posts(index) if task.status == "succeeded"}
        return len(done - before) > 1

    await cluster.until(has_taken_some, "the first posts")
    await victim.kill()
    documents = await loading
    await cluster.away(victim)
    ends = await cluster.bounds(index)
    seen = {r.shard: p for r, p in (await cluster.replicas(index)).items() if r.node == victim.id and p is not None}
    left = {shard: ends[shard].end - progress.cursor for shard, progress in seen.items()}
    assert sum(left.values()) > LEFT_MIN, f"the node was killed when it had all but {left}"
    return documents


async def shards_of(cluster: Cluster, index: IndexRecord, node: Node) -> list[ShardId]:
    """Return the shards of the index that are placed on the node."""
    return [replica.shard for replica in await cluster.replicas(index) if replica.node == node.id]


async def test_node_killed_in_a_load_with_its_disk_misses_nothing(cluster: Cluster) -> None:
    """SIGKILL in the middle of a bulk load; started again, the node goes on where its task list says."""
    index = await cluster.index("killed")
    victim = cluster.nodes[0]
    documents = await kill_in_the_middle(cluster, index, victim)

    await victim.start()

    await cluster.compare(index, documents)


async def test_node_back_with_an_empty_disk_is_not_read_until_caught_up(cluster: Cluster) -> None:
    """A wiped node begins anew: no query reads it before it holds what the others hold, and then it holds just that."""
    index = await cluster.index("wiped")
    victim = cluster.nodes[1]
    documents = await kill_in_the_middle(cluster, index, victim)
    shards = await shards_of(cluster, index, victim)
    await cluster.caught_up(index, without=[victim.id])
    before = {replica for replica in await cluster.replicas(index) if replica.node == victim.id}

    victim.wipe()
    await victim.start()

    async def is_placed_anew() -> bool:
        return not before & (await cluster.replicas(index)).keys()

    await cluster.until(is_placed_anew, "new attempts for the lost replicas")
    waiting = set(shards)

    async def are_read() -> bool:
        for shard in [shard for shard in waiting if victim.id in await cluster.readable(index, shard)]:
            held = await victim.documents(index, [shard])
            wanted = {key for key in documents if cluster.shard_of(index, key) == shard}
            assert held.keys() >= wanted, f"shard {shard} is read with {len(held)} of {len(wanted)} documents"
            waiting.remove(shard)
        return not waiting

    await cluster.until(are_read, "the node to be read again")
    await cluster.compare(index, documents)


async def test_node_rebuilt_twice_holds_the_same(cluster: Cluster) -> None:
    """A rebuild asked for by an operator gives the documents of the log, like the replay of a lost disk."""
    index = await cluster.index("wiped")
    documents = await load(cluster, index)
    await cluster.caught_up(index)

    assert (await cluster.request(RebuildNode(cluster.nodes[1].id))).accepted

    await cluster.compare(index, documents)


async def test_node_back_with_an_older_disk_goes_on_from_there(cluster: Cluster, tmp_path: Path) -> None:
    """A copy of the disk, taken while the node was down, says itself what is missing: rewrites and deletes too."""
    index = await cluster.index("older")
    victim = cluster.nodes[2]
    first = make_documents(1000)
    await cluster.produce(index, first)
    await cluster.caught_up(index)
    await victim.kill()
    await cluster.away(victim)
    victim.copy_disk(tmp_path / "copy")
    await victim.start()
    second = {**make_documents(500, text="second"), **make_documents(1000, first=1000)}
    await cluster.produce(index, {**second, "doc-700": None})
    await cluster.caught_up(index)

    await victim.kill()
    await cluster.away(victim)
    victim.restore_disk(tmp_path / "copy")
    await victim.start()

    expected = {key: document for key, document in {**first, **second}.items() if key != "doc-700"}
    await cluster.compare(index, expected)
    drops = [task for task in await victim.tasks(index) if "drop" in (task.get("customMetadata") or "")]
    assert len(drops) == 1, "it was caught up, not rebuilt"


async def test_node_away_for_long_holds_up_nobody_and_catches_up(cluster: Cluster) -> None:
    """With one node down its shards go on at the other copies, other indexes too; its lag is shown until it is back."""
    index, beside = await cluster.index("absent"), await cluster.index("beside")
    victim = cluster.nodes[0]
    await victim.kill()
    documents: dict[str, Document] = {}

    for round_number in range(5):
        documents |= make_documents(1000, first=500 * round_number, text=f"round {round_number}")
        await cluster.produce(index, documents)
        await cluster.produce(beside, documents)
        await cluster.caught_up(index, without=[victim.id])
        await cluster.caught_up(beside, without=[victim.id])

    async def shows_lag() -> bool:
        replicas = await cluster.replicas(index)
        shown = [p for r, p in replicas.items() if r.node == victim.id and p is not None]
        return bool(shown) and all(progress.end - progress.cursor > 1000 and progress.lag_ms > 0 for progress in shown)

    await cluster.until(shows_lag, "the lag of the node that is away")
    await victim.start()
    await cluster.compare(index, documents)
    await cluster.compare(beside, documents)


async def shown_lag(cluster: Cluster, index: IndexRecord, node: Node) -> dict[ShardId, float]:
    """Return by how many records the node's copies are behind, as the metrics of the workers say."""
    shown: dict[ShardId, float] = {}
    for worker in cluster.live_workers():
        for family in text_string_to_metric_families(await cluster.watch_worker(worker, "/metrics")):
            if family.name == "miroir_apply_lag_records":
                found = [each for each in family.samples if each.labels["node"] == node.id]
                shown |= {ShardId(int(s.labels["shard"])): s.value for s in found if s.labels["index"] == index.uid}
    return shown


async def test_node_away_with_the_only_copies_holds_up_no_other_partition(cluster: Cluster) -> None:
    """What has its only copy there waits, its queue full; the worker's other partitions go on, and the lag is shown."""
    index = await cluster.index("alone")
    victim = cluster.nodes[1]
    documents = make_documents(600)
    await cluster.produce(index, documents)
    await cluster.caught_up(index)
    stood = {shard: held.end for shard, held in (await cluster.bounds(index)).items()}
    alone = await shards_of(cluster, index, victim)
    assert 0 < len(alone) < index.shards
    await victim.kill()
    await cluster.away(victim)

    for round_number in range(3):
        documents = {
            key: {**document, "padding": "x" * 1000}
            for key, document in make_documents(600, text=f"round {round_number}").items()
        }
        await cluster.produce(index, documents)
        await cluster.caught_up(index, without=[victim.id])
        ends = await cluster.bounds(index)
        lag = {shard: ends[shard].end - stood[shard] for shard in alone}

        async def shows_lag(lag: dict[ShardId, int] = lag) -> bool:
            replicas = await cluster.replicas(index)
            seen = {r.shard: p for r, p in replicas.items() if r.node == victim.id and p is not None}
            published = {shard: p.end - p.cursor for shard, p in seen.items() if p.away and p.lag_ms > 0}
            return published == lag == await shown_lag(cluster, index, victim)

        await cluster.until(shows_lag, f"a lag of {lag}")
    for shard in alone:
        waiting = [document for key, document in documents.items() if cluster.shard_of(index, key) == shard]
        assert len(orjson.dumps(waiting)) > QUEUE_BYTES, "each round fills the queue"
    await victim.start()
    await cluster.compare(index, documents)


async def test_node_away_since_before_its_placement_shows_its_lag(cluster: Cluster) -> None:
    """Shards given to a node that has not answered since are behind by all there is: shown, and never read."""
    victim = cluster.nodes[2]
    await victim.kill()
    index = await cluster.create_index("unbegun")
    documents = make_documents(300)
    await cluster.produce(index, documents)
    await cluster.caught_up(index, without=[victim.id])

    async def shows_lag() -> bool:
        placed = [replica for replica in await cluster.replicas(index) if replica.node == victim.id]
        seen = [cluster.view.progress.unbegun(replica) for replica in placed]
        return bool(seen) and all(each is not None and each.away and each.end > 0 < each.lag_ms for each in seen)

    await cluster.until(shows_lag, "the lag of the node that never answered")
    for shard in map(ShardId, range(index.shards)):
        assert victim.id not in await cluster.readable(index, shard)
    await victim.start()
    await cluster.compare(index, documents)
