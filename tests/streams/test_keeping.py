"""Keeping copies where they are, where moving them would help nobody."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import Incarnation, IndexUid, NodeId, ShardId
from streams.keeping import Copies, keep_existing
from streams.placement import Candidate, Share, place, shares_of

A, B, C, D = map(NodeId, "abcd")
S0, S1 = ShardId(0), ShardId(1)


def nodes_of(*names: str, zones: str = "") -> list[Candidate]:
    """Return equal nodes, in these zones or in none."""
    return [Candidate(NodeId(name), 1.0, zones[at] if zones else "") for at, name in enumerate(names)]


def wide(*names: NodeId) -> Mapping[NodeId, Share]:
    """Return shares that forbid nothing."""
    return dict.fromkeys(names, Share(0, 1.0, 100))


def test_copy_that_exists_stays_in_place_of_one_that_is_wanted() -> None:
    """Nothing is gained by the move."""
    wanted = {S0: frozenset({A})}

    assert keep_existing(wanted, {S0: frozenset({B})}, nodes_of("a", "b"), wide(A, B)) == {S0: {B}}


def test_copy_moves_off_a_node_that_is_full() -> None:
    """The bound on the fullest node stands."""
    wanted = {S0: frozenset({A}), S1: frozenset({B})}
    shares = {A: Share(0, 1.0, 100), B: Share(0, 1.0, 1)}

    kept = keep_existing(wanted, {S0: frozenset({B}), S1: frozenset({B})}, nodes_of("a", "b"), shares)

    assert kept == wanted


def test_copy_moves_to_a_node_that_has_too_little() -> None:
    """A node that joins is given its share."""
    wanted = {S0: frozenset({A})}
    shares = {A: Share(1, 1.0, 2), B: Share(0, 1.0, 100)}

    assert keep_existing(wanted, {S0: frozenset({B})}, nodes_of("a", "b"), shares) == wanted


def test_copy_moves_out_of_a_zone_that_has_one() -> None:
    """Zones are no worse than wanted."""
    wanted = {S0: frozenset({A, C})}
    existing = {S0: frozenset({A, B})}

    kept = keep_existing(wanted, existing, nodes_of("a", "b", "c", zones="xxy"), wide(A, B, C))

    assert kept == wanted


def test_copy_on_a_node_without_a_share_is_passed_over() -> None:
    """It is drained, or has failed."""
    wanted = {S0: frozenset({A})}

    assert keep_existing(wanted, {S0: frozenset({D})}, nodes_of("a", "b"), wide(A, B)) == wanted


def zones_left_out(
    copies: Copies, nodes: Sequence[Candidate], shares: Mapping[NodeId, Share]
) -> Iterator[tuple[ShardId, NodeId]]:
    """Yield each shard whose copies share a zone with each node of another zone that has room for it."""
    zones = {node.id: node.zone for node in nodes}
    held = Counter(node for chosen in copies.values() for node in chosen)
    for shard, chosen in copies.items():
        used = {zones[node] for node in chosen}
        if len(used) < len(chosen):
            others = (node for node in zones if zones[node] not in used)
            yield from ((shard, node) for node in others if held[node] < shares[node].most)


def test_no_room_is_left_in_a_zone_that_some_shard_does_without() -> None:
    """Copies that could stay elsewhere go to the small zone all the same: it was full for those that share one."""
    nodes = nodes_of("a", "b", "c", "d", zones="xxyz")
    wanted = {S0: frozenset({C, D}), S1: frozenset({A, B})}
    existing = {S0: frozenset({B, D}), S1: frozenset({A, B})}
    shares = {A: Share(0, 1.0, 2), B: Share(0, 1.0, 2), C: Share(0, 1.0, 1), D: Share(0, 1.0, 1)}

    assert not list(zones_left_out(keep_existing(wanted, existing, nodes, shares), nodes, shares))


@given(
    st.integers(1, 30),
    st.integers(1, 3),
    st.lists(st.sampled_from(["", "x", "y"]), min_size=1, max_size=6),
    st.data(),
)
def test_what_is_kept_has_the_same_number_of_copies_and_is_kept_again(
    shards: int, replication: int, zones: list[str], data: st.DataObject
) -> None:
    """Whatever exists: once the moves are done, nothing moves; no node is above its room but by placement itself."""
    nodes = [Candidate(NodeId(f"n{at}"), 1.0, zone) for at, zone in enumerate(zones)]
    placed = place(IndexUid("i"), Incarnation(1), shards=shards, replication=replication, nodes=nodes)
    wanted: Copies = {shard: frozenset(chosen) for shard, chosen in placed.items()}
    anywhere = st.frozensets(st.sampled_from([*(node.id for node in nodes), D]), max_size=replication)
    existing = {shard: data.draw(anywhere) for shard in wanted}
    shares = shares_of(shards, replication, nodes)

    kept = keep_existing(wanted, existing, nodes, shares)

    assert keep_existing(wanted, kept, nodes, shares) == kept
    assert not list(zones_left_out(kept, nodes, shares))
    assert all(len(kept[shard]) == len(wanted[shard]) for shard in wanted)
    before = Counter(node for chosen in wanted.values() for node in chosen)
    for node, count in Counter(node for chosen in kept.values() for node in chosen).items():
        assert count <= max(shares[node].most, before[node])
