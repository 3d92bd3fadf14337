"""What happened between two looks counts: what was published when a copy left, and every outage of a node."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

import pytest

from agents.decision import build_puts
from schemas.events import ClusterValue, IndexRecord, NodeRecord, ReplicaRecord, ReplicaState
from schemas.ids import (
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
    node_index_uid,
)
from schemas.keys import derive_key
from schemas.progress import Progress, build_progress, build_progress_key
from streams.log import Append, TopicSpec
from streams.topics import PROGRESS
from tests.fakes.node import NO_NAME
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.copies import Copies
from tests.simulation.faults import Faults
from tests.simulation.judge import Judge
from tests.simulation.pages import Page, draw_request
from tests.simulation.searcher import EXCUSE_S, Searcher, _Search
from tests.simulation.simulated_node import MASTER_KEY
from tests.simulation.truth import BrokenInvariantError, Truth

FILMS = IndexRecord(IndexUid("films"), Incarnation(1), "films", 1, 1, SettingsVersion(1), 0, 0, primary_key="id")
OLD, NEW = (
    ReplicaRecord(FILMS.uid, FILMS.incarnation, ShardId(0), NodeId(node), Attempt(attempt))
    for node, attempt in (("n1", 5), ("n2", 6))
)


@asynccontextmanager
async def _cluster() -> AsyncIterator[SimulatedCluster]:
    """Yield a cluster with a document, and two copies of its shard."""
    cluster = SimulatedCluster(random.Random(1))
    try:
        cluster.log.create(TopicSpec(FILMS.topic, 1, {}))
        cluster.log.append(Append(FILMS.topic, Partition(0), b"1", b"{}"))
        for replica in (OLD, NEW):
            cluster.add_node(replica.node)
            _write(cluster, NodeRecord(replica.node, f"http://{replica.node}"))
        _write(cluster, FILMS, OLD, NEW)
        yield cluster
    finally:
        cluster.stop()


def _write(cluster: SimulatedCluster, *values: ClusterValue) -> None:
    for append in build_puts(*values):
        cluster.log.append(append)
    cluster.absent_ms += 1000


def _publish(cluster: SimulatedCluster, replica: ReplicaRecord, *, at_end_ms: int = 1, away: bool = False) -> None:
    seen = Progress(
        replica.uid,
        replica.incarnation,
        replica.shard,
        replica.node,
        replica.attempt,
        cursor=Position(1),
        end=Position(1),
        settings_version=SettingsVersion(1),
        seen_ms=1,
        at_end_ms=at_end_ms,
        away=away,
    )
    cluster.log.append(Append(PROGRESS, Partition(0), build_progress_key(seen), build_progress(seen)))
    cluster.absent_ms += 1000


def _leave(cluster: SimulatedCluster) -> None:
    _write(cluster, replace(OLD, state=ReplicaState.LEAVING, attempt=Attempt(7)))


async def test_copy_leaves_after_one_that_was_whole_between_two_looks_and_is_kept() -> None:
    """Published to be whole, then frozen and said to be away, all before anybody looked: it was whole."""
    async with _cluster() as cluster:
        copies = Copies(cluster)
        copies.look()
        _publish(cluster, NEW)
        _leave(cluster)
        cluster.nodes[NEW.node].is_frozen = True
        _publish(cluster, NEW, away=True)

        copies.look()


async def test_copy_leaves_after_one_that_was_whole_and_begun_anew_since_and_is_kept() -> None:
    """What the other was when the copy left counts, not what became of it."""
    async with _cluster() as cluster:
        _publish(cluster, NEW)
        _leave(cluster)
        _write(cluster, replace(NEW, attempt=Attempt(8)))

        Copies(cluster).look()


async def test_copy_leaves_after_one_that_left_itself_before_the_next_look_and_is_kept() -> None:
    """A third copy took the place of both, one after the other: each left beside one that was whole."""
    async with _cluster() as cluster:
        third = replace(NEW, node=NodeId("n3"), attempt=Attempt(6))
        cluster.add_node(third.node)
        _write(cluster, NodeRecord(third.node, "http://n3"), third)
        copies = Copies(cluster)
        _publish(cluster, NEW)
        copies.look()
        _leave(cluster)
        _publish(cluster, third)
        _write(cluster, replace(NEW, state=ReplicaState.LEAVING, attempt=Attempt(8)))

        copies.look()


async def test_copy_that_is_to_be_dropped_anew_has_left_before() -> None:
    """What the others are when a disk has changed under a copy that had left says nothing of how it left."""
    async with _cluster() as cluster:
        copies = Copies(cluster)
        _publish(cluster, NEW)
        _leave(cluster)
        copies.look()
        _write(cluster, replace(NEW, attempt=Attempt(8)))
        _write(cluster, replace(OLD, state=ReplicaState.LEAVING, attempt=Attempt(9)))

        copies.look()


@pytest.mark.parametrize("anew", [False, True])
async def test_copy_leaves_before_another_is_whole_and_is_found(*, anew: bool) -> None:
    """Neither one away, nor one that never stood at the end, nor one that is whole later will do."""
    async with _cluster() as cluster:
        _publish(cluster, NEW, away=True)
        _publish(cluster, NEW, at_end_ms=0)
        _leave(cluster)
        _publish(cluster, NEW)
        if anew:
            _write(cluster, replace(NEW, attempt=Attempt(8)))

        with pytest.raises(BrokenInvariantError, match="kept"):
            Copies(cluster).look()


async def test_copy_leaves_while_the_other_was_whole_only_as_an_earlier_placement_and_is_found() -> None:
    """A copy that was begun anew before the other left must be whole again."""
    async with _cluster() as cluster:
        _publish(cluster, replace(NEW, attempt=Attempt(4)))
        _leave(cluster)

        with pytest.raises(BrokenInvariantError, match="kept"):
            Copies(cluster).look()


async def test_copy_whose_node_was_away_between_two_looks_is_whole_since_then() -> None:
    """A search may have waited for a node that was frozen and thawed before anybody looked."""
    async with _cluster() as cluster:
        node, copies = cluster.nodes[NEW.node], Copies(cluster)
        node.disk.keys[derive_key(MASTER_KEY, "")] = NO_NAME
        node.create_index(node_index_uid(NEW.uid, NEW.incarnation))
        _publish(cluster, NEW)
        copies.look()
        before_s = copies.whole_since_s[NEW]

        node.is_frozen = True
        Faults(cluster, Truth(), random.Random(1)).mend_all()
        copies.look()

        assert before_s < copies.whole_since_s[NEW] == node.there_since_s


async def test_copy_on_a_disk_without_its_index_is_not_whole() -> None:
    """An older disk has come back, and nobody lives who would publish so."""
    async with _cluster() as cluster:
        node, copies = cluster.nodes[NEW.node], Copies(cluster)
        node.disk.keys[derive_key(MASTER_KEY, "")] = NO_NAME
        _publish(cluster, NEW)

        copies.look()

        assert NEW not in copies.whole_since_s


@pytest.mark.parametrize("frozen", [False, True])
async def test_search_without_a_copy_is_excused_where_its_node_has_frozen_since_the_last_look(*, frozen: bool) -> None:
    """A search that has little time left loses what freezes in its last moments."""
    async with _cluster() as cluster:
        node, rng = cluster.nodes[NEW.node], random.Random(1)
        node.disk.keys[derive_key(MASTER_KEY, "")] = NO_NAME
        node.create_index(node_index_uid(NEW.uid, NEW.incarnation))
        _publish(cluster, NEW)
        searcher = Searcher(cluster, Judge(cluster, Truth()), rng, rng)
        searcher._copies.look()
        searcher._copies.whole_since_s[NEW] -= 2 * EXCUSE_S
        view, page = cluster.view(), Page(FILMS, draw_request(rng))
        searcher._asked = _Search(FILMS, view.topology, view.progress, page)

        node.is_frozen = frozen

        with nullcontext() if frozen else pytest.raises(BrokenInvariantError, match="complete"):
            searcher._require_excused(FILMS, [NEW.shard])
