"""Routing: every shard once, few nodes, nobody who may not be asked."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.routing import (
    ANY,
    COVERS_MAX,
    Away,
    Kind,
    Readable,
    Wanted,
    alike_copies,
    has_others,
    plan_again,
    plan_covers,
    plan_route,
    usable_replicas,
)
from schemas.events import ClusterValue, IndexRecord, NodeRecord, ReplicaRecord, build_key
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, SettingsVersion, ShardId
from schemas.progress import FRESH_MS, Progress
from streams.readable import ProgressView
from streams.topology import Topology, build_topology

NODES = [NodeId(name) for name in "abcdef"]

readables = st.lists(
    st.lists(st.sampled_from(NODES), max_size=4, unique=True).map(lambda nodes: tuple(sorted(nodes))),
    min_size=1,
    max_size=16,
).map(tuple)


@given(readables, st.integers(0, 2**64))
def test_route_of_any_copies_has_every_shard_once(readable: Readable, choice: int) -> None:
    """Every shard is in one part, of a node that has it, or is missing because nobody has it."""
    route = plan_route(readable, choice)

    asked = [shard for part in route.parts for shard in part.shards]
    assert sorted([*asked, *route.missing]) == list(range(len(readable)))
    assert all(part.node in readable[shard] for part in route.parts for shard in part.shards)
    assert all(not readable[shard] for shard in route.missing)


@given(readables)
def test_covers_of_any_copies_are_few_small_and_different(readable: Readable) -> None:
    """Covers have one size, none has a node to spare, and no two are the same nodes."""
    covers = plan_covers(readable)

    assert 1 <= len(covers) <= COVERS_MAX
    assert len({len(cover.parts) for cover in covers}) == 1
    assert len({frozenset(part.node for part in cover.parts) for cover in covers}) == len(covers)


def test_covers_where_one_node_has_all_are_single_nodes() -> None:
    """A node that holds every shard is asked alone, and each such node is some query's."""
    covers = plan_covers(((NODES[0], NODES[1], NODES[2]),) * 12)

    assert sorted(cover.parts[0].node for cover in covers) == ["a", "b", "c"]
    assert all(cover.whole for cover in covers)


def test_covers_of_three_nodes_at_two_copies_use_every_pair() -> None:
    """With two copies on three nodes two are asked, and every node gets its share of queries."""
    pairs = [("a", "b"), ("b", "c"), ("a", "c")] * 4
    covers = plan_covers(tuple((NodeId(one), NodeId(two)) for one, two in pairs))

    assert {len(cover.parts) for cover in covers} == {2}
    assert {part.node for cover in covers for part in cover.parts} == {"a", "b", "c"}


@given(readables, st.sets(st.sampled_from(NODES)))
def test_plan_again_asks_no_node_that_was_tried(readable: Readable, tried: set[NodeId]) -> None:
    """Second plans leave out who was tried, and miss just the shards that nobody else has."""
    shards = [ShardId(number) for number in range(len(readable))]
    route = plan_again(readable, shards, tried)

    assert not tried & {part.node for part in route.parts}
    assert sorted([*route.missing, *(shard for part in route.parts for shard in part.shards)]) == shards
    assert has_others(readable, shards, tried) == (not route.missing)


INDEX = IndexRecord(IndexUid("i"), Incarnation(1), "t", 1, 2, SettingsVersion(1), 0, 0)


def _cluster(cursors: Mapping[str, int], *, seen_ms: int = 100) -> tuple[Topology, ProgressView]:
    """A shard with copies on these nodes, standing at these cursors of 1,000."""
    replicas = [ReplicaRecord(INDEX.uid, INDEX.incarnation, ShardId(0), NodeId(n), Attempt(0)) for n in cursors]
    nodes = [NodeRecord(NodeId(n), f"http://{n}", search_key=f"key of {n}") for n in cursors]
    values: list[ClusterValue] = [INDEX, *nodes, *replicas]
    topology = build_topology({build_key(value): value for value in values})
    seen = {
        f"i/1/0/{node}": Progress(
            INDEX.uid,
            INDEX.incarnation,
            ShardId(0),
            NodeId(node),
            Attempt(0),
            Position(cursor),
            Position(1000),
            SettingsVersion(1),
            seen_ms,
            at_end_ms=1,
            lag_ms=500,
        )
        for node, cursor in cursors.items()
    }
    return topology, ProgressView(replicas=seen)


def _usable(cursors: Mapping[str, int], away: Mapping[str, Away], wanted: Wanted = ANY, seen_ms: int = 100) -> set[str]:
    topology, progress = _cluster(cursors, seen_ms=seen_ms)
    nodes = {NodeId(name): each for name, each in away.items()}
    (found,) = usable_replicas(topology, progress, INDEX, away=nodes, lag_records_max=1000, wanted=wanted)
    return set(found)


def test_usable_node_away_is_left_out() -> None:
    """A node that does not answer is not asked while another has the shard."""
    assert _usable({"a": 900, "b": 900}, {"a": Away(100)}) == {"b"}


def test_usable_every_node_away_keeps_all() -> None:
    """Where every copy's node is away, asking one in vain is better than not asking."""
    assert _usable({"a": 900, "b": 900}, {"a": Away(100), "b": Away(100)}) == {"a", "b"}


def test_usable_returned_node_behind_waits_for_newer_progress() -> None:
    """A node that answers again is asked once its owner has reached it, since it may have missed writes."""
    answered = {"a": Away(100, answered=True)}

    assert _usable({"a": 800, "b": 900}, answered) == {"b"}
    assert _usable({"a": 800, "b": 900}, answered, seen_ms=101) == {"a", "b"}


def test_usable_returned_node_that_missed_nothing_is_asked() -> None:
    """A node that answers again and stands where the best copy stands has missed nothing."""
    assert _usable({"a": 900, "b": 900}, {"a": Away(100, answered=True)}) == {"a", "b"}


def test_usable_node_that_refused_its_key_waits_for_another() -> None:
    """A node that refused a key is away however new its progress is, and there again once it has another."""
    assert _usable({"a": 900, "b": 900}, {"a": Away(50, refused_key="key of a")}) == {"b"}
    assert _usable({"a": 900, "b": 900}, {"a": Away(50, refused_key="an earlier one")}) == {"a", "b"}
    assert _usable({"a": 100, "b": 900}, {"a": Away(50)}) == {"b"}


def test_usable_wanted_cursor_leaves_only_copies_that_reached_it() -> None:
    """Read your writes: only copies that show the write are asked, and none where none does."""
    assert _usable({"a": 800, "b": 900}, {}, Wanted({ShardId(0): 900})) == {"b"}
    assert _usable({"a": 800, "b": 900}, {}, Wanted({ShardId(0): 901})) == set()


def test_usable_wanted_lag_counts_time_since_it_was_seen() -> None:
    """The lag that was published grows with the time since; a copy at the end has none."""
    wanted = Wanted({}, lag_ms_max=600, now_ms=150)

    assert _usable({"a": 900, "b": 1000}, {}, wanted) == {"a", "b"}
    assert _usable({"a": 900, "b": 1000}, {}, Wanted({}, lag_ms_max=600, now_ms=201)) == {"b"}


def test_usable_wanted_lag_in_records_leaves_out_who_is_further_behind() -> None:
    """A bound in records counts positions, not time."""
    assert _usable({"a": 900, "b": 950}, {}, Wanted({}, lag_records_max=50)) == {"b"}


@pytest.mark.parametrize("bound", [{"lag_ms_max": 600}, {"lag_records_max": 50}])
def test_usable_wanted_lag_leaves_out_whom_nobody_has_looked_at_for_long(bound: dict[str, int]) -> None:
    """A copy that stood at the end then may be anywhere now: its owner may be dead while the log goes on."""
    last_ms = 100 + FRESH_MS

    assert _usable({"a": 1000}, {}, Wanted({}, now_ms=last_ms, **bound)) == {"a"}
    assert _usable({"a": 1000}, {}, Wanted({}, now_ms=last_ms + 1, **bound)) == set()


def test_usable_wanted_lag_longer_than_owners_are_silent_is_that_long() -> None:
    """What a copy at the end lacks came after it was looked at, so it is no older than that look."""
    wanted = Wanted({}, lag_ms_max=2 * FRESH_MS, now_ms=100 + 2 * FRESH_MS)

    assert _usable({"a": 1000}, {}, wanted) == {"a"}
    assert _usable({"a": 1000}, {}, replace(wanted, now_ms=wanted.now_ms + 1)) == set()


def test_usable_wanted_cursor_is_shown_however_long_ago_it_was_seen() -> None:
    """A record that was visible stays visible."""
    assert _usable({"a": 1000}, {}, Wanted({ShardId(0): 900}, now_ms=100 + 9 * FRESH_MS)) == {"a"}


kinds = st.dictionaries(
    st.sampled_from(NODES), st.builds(Kind, st.integers(1, 3), st.sampled_from(["", "1.49", "1.50"]))
)


@given(readables, kinds)
def test_alike_copies_lose_no_shard_and_are_of_one_kind_where_possible(
    readable: Readable, given_kinds: dict[NodeId, Kind]
) -> None:
    """Whatever the kinds, every shard is still had; a kind that has all shards is all that is left."""

    def kind_of(_shard: ShardId, node: NodeId) -> Kind:
        return given_kinds.get(node, Kind(1, "1.50"))

    alike = alike_copies(readable, kind_of)

    assert all(set(some) <= set(every) for some, every in zip(alike, readable, strict=True))
    assert [bool(nodes) for nodes in alike] == [bool(nodes) for nodes in readable]
    held = [{kind_of(ShardId(0), node) for node in nodes} for nodes in readable if nodes]
    common = set.intersection(*held) if held else set()
    if common:
        assert {kind_of(ShardId(0), node) for nodes in alike for node in nodes} == {max(common)}


def test_alike_copies_where_only_the_settings_agree_are_those() -> None:
    """Two Meilisearch versions are mixed before two versions of the settings are."""
    kinds_here = {NODES[0]: Kind(2, "1.49"), NODES[1]: Kind(2, "1.50"), NODES[2]: Kind(1, "1.50")}
    readable = ((NODES[0], NODES[2]), (NODES[1], NODES[2]), (NODES[0],))

    alike = alike_copies(readable, lambda _, node: kinds_here[node])

    assert alike == ((NODES[0],), (NODES[1],), (NODES[0],))
