"""What moves, what would move, and why, as operators ask for it."""

from dataclasses import replace
from functools import partial

import pytest

from query.http.views import Views
from schemas.events import NodeState, ReplicaRecord
from schemas.ids import Attempt, NodeId, Partition, Position, ShardId
from schemas.progress import Progress, build_progress, build_progress_key
from streams.log import Append
from streams.topics import PROGRESS
from tests.query.http.stand import Stand


async def drain(stand: Stand, node: str) -> None:
    """Let a node drain, as a controller would write it, and wait until the service knows."""
    record = replace(stand.service.views.topology.nodes[NodeId(node)], state=NodeState.DRAINING)
    stand.put(record)
    views = stand.service.views
    await views.wait_for(lambda: views.topology.nodes[NodeId(node)] == record or None, timeout_s=60.0)


def _has_seen(views: Views, copy: ReplicaRecord, progress: Progress) -> bool | None:
    return views.progress.of(copy) == progress or None


async def test_moves_of_a_settled_cluster_are_done(stand: Stand) -> None:
    """Nothing is made, nothing waits, nothing leaves."""
    await stand.films(20, shards=6)

    body = (await stand.call("GET", "/_miroir/moves")).body

    assert body["done"]
    assert (body["building"], body["waiting"], body["surplus"], body["leaving"]) == ([], [], [], [])
    assert {node: found["state"] for node, found in body["nodes"].items()} == dict.fromkeys("abc", "active")
    assert sum(found["copies"] for found in body["nodes"].values()) == 12
    assert not any(found["leaving"] for found in body["nodes"].values())


async def test_moves_of_a_draining_node_show_what_is_to_come(stand: Stand) -> None:
    """The copies that others need, and those that leave once they have them."""
    await stand.films(20, shards=6)
    await drain(stand, "a")

    body = (await stand.call("GET", "/_miroir/moves")).body

    assert not body["done"]
    assert len(body["waiting"]) == len(body["surplus"]) > 0
    assert {copy["node"] for copy in body["surplus"]} == {"a"}


async def test_shards_show_every_copy_and_where_it_is_wanted(stand: Stand) -> None:
    """Of one index or of all."""
    await stand.films(20, shards=2)

    rows = (await stand.call("GET", "/_miroir/shards?index=films")).body["results"]

    assert rows == (await stand.call("GET", "/_miroir/shards")).body["results"]
    assert [row["shard"] for row in rows] == [0, 1]
    for row in rows:
        assert [copy["node"] for copy in row["copies"]] == row["wanted"]
        assert all(copy["readable"] and copy["whole"] and copy["state"] == "placed" for copy in row["copies"])


async def test_why_orders_the_nodes_by_preference(stand: Stand) -> None:
    """Score, weight, zone and room of every node: those that were chosen are the first with room."""
    await stand.films(20, shards=6)

    body = (await stand.call("GET", "/_miroir/why?index=films&shard=3")).body

    nodes = body["groups"]["0"]
    assert sorted(node["node"] for node in nodes if node["chosen"]) == body["wanted"] == body["placed"]
    assert [node["score"] for node in nodes] == sorted((node["score"] for node in nodes), reverse=True)
    assert sum(node["held"] for node in nodes) == 12


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/_miroir/why?index=films&shard=x", 400),
        ("/_miroir/why?index=films&shard=6", 404),
        ("/_miroir/why?index=nope&shard=0", 404),
        ("/_miroir/shards?index=nope", 404),
    ],
)
async def test_question_about_what_is_not_there_is_refused(stand: Stand, path: str, status: int) -> None:
    """With the name of what is missing."""
    await stand.films(1, shards=6)

    assert (await stand.call("GET", path)).status == status


async def test_plan_tells_what_a_change_would_move_and_changes_nothing(stand: Stand) -> None:
    """As many copies are made as leave, where their number stays."""
    await stand.films(20, shards=6)

    drained = (await stand.call("POST", "/_miroir/plan", {"kind": "drain_node", "id": "a"})).body
    more = (await stand.call("POST", "/_miroir/plan", {"kind": "update_index", "uid": "films", "replication": 3})).body
    nothing = await stand.call("POST", "/_miroir/plan", {"kind": "delete_index", "uid": "films"})

    assert len(drained["begin"]) == len(drained["leave"]) > 0
    assert (drained["fault"], more["fault"]) == ("", "")
    assert (len(more["begin"]), more["leave"], more["copies"]) == (6, [], 18)
    assert nothing.status == 400
    assert (await stand.call("GET", "/_miroir/moves")).body["done"]


async def test_plan_of_what_would_be_refused_says_what_is_wanting(stand: Stand) -> None:
    """In the controller's own words: what little would move is no good news there."""
    await stand.films(20, shards=6)

    body = (await stand.call("POST", "/_miroir/plan", {"kind": "update_index", "uid": "films", "replication": 4})).body

    assert "index 'films': 4 copies need as many nodes, there are 3" in body["fault"]


async def test_copy_that_is_made_shows_what_is_left_and_how_fast(stand: Stand) -> None:
    """From two records of progress, two seconds apart."""
    index = await stand.films(20, shards=1)
    views = stand.service.views
    copy = views.topology.replicas_of(index.uid, ShardId(0))[0]
    begun = replace(copy, attempt=Attempt(copy.attempt + 10**6))
    known = views.progress.of(copy)
    assert known is not None
    for second in (0, 2):
        seen = replace(
            known, attempt=begun.attempt, cursor=Position(second), end=Position(20), at_end_ms=0, seen_ms=1000 * second
        )
        stand.log.append(Append(PROGRESS, Partition(0), build_progress_key(seen), build_progress(seen)))
        await views.wait_for(partial(_has_seen, views, begun, seen), timeout_s=60.0)
    stand.put(begun)
    await views.wait_for(lambda: begun in views.topology.replicas_of(index.uid, ShardId(0)) or None, timeout_s=60.0)

    (made,) = (await stand.call("GET", "/_miroir/moves")).body["building"]

    assert made["node"] == copy.node
    assert (made["left"], made["per_second"], made["eta_s"]) == (18, 1.0, 18.0)
