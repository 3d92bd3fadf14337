"""Placement: pure, spread, bounded, and moving little."""

from collections import Counter
from collections.abc import Mapping
from statistics import mean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.ids import Incarnation, IndexUid, NodeId, ShardId
from streams.placement import Candidate, explain, place, scores, shares_of

INDEXES = range(20)
"""So many index names stand for all: what must hold holds for each of them."""

Placed = Mapping[ShardId, tuple[NodeId, ...]]


def make_nodes(count: int, *, zones: int = 1, weight: float = 1.0, first: int = 0) -> list[Candidate]:
    """Return equal nodes, spread over so many zones."""
    numbers = range(first, first + count)
    return [Candidate(NodeId(f"node-{number}"), weight, f"zone-{number % zones}") for number in numbers]


def place_index(number: int, nodes: list[Candidate], *, shards: int = 256, replication: int = 2) -> Placed:
    """Place the index of this number."""
    return place(IndexUid(f"index-{number}"), Incarnation(number), shards=shards, replication=replication, nodes=nodes)


def loads(placed: Placed) -> Counter[NodeId]:
    """Return how many shards each node holds."""
    return Counter(node for nodes in placed.values() for node in nodes)


def moved(before: Placed, after: Placed) -> float:
    """Return the part of all copies that has to be made anew."""
    fresh = sum(len(set(after[shard]) - set(before[shard])) for shard in before)
    return fresh / sum(map(len, after.values()))


candidates = st.lists(
    st.builds(
        Candidate,
        st.text("abc", min_size=1, max_size=3).map(NodeId),
        st.floats(0.1, 10),
        st.sampled_from(["", "a", "b", "c"]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda node: node.id,
)


@given(candidates, st.integers(1, 40), st.integers(1, 4), st.randoms(use_true_random=False))
def test_placement_is_independent_of_the_order_of_nodes(
    nodes: list[Candidate], shards: int, replication: int, random: object
) -> None:
    """Every controller places alike, however it came to know the nodes."""
    shuffled = list(nodes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random

    placed = place_index(1, nodes, shards=shards, replication=replication)

    assert place_index(1, shuffled, shards=shards, replication=replication) == placed


@given(candidates, st.integers(1, 40), st.integers(1, 10))
def test_every_shard_has_its_copies_on_different_nodes(nodes: list[Candidate], shards: int, replication: int) -> None:
    """As many copies as asked for, or as there are nodes; never two on one."""
    placed = place_index(1, nodes, shards=shards, replication=replication)

    assert list(placed) == list(range(shards))
    for found in placed.values():
        assert len(found) == len(set(found)) == min(replication, len(nodes))


@given(candidates, st.integers(1, 40), st.integers(1, 4), st.integers(0, 1000))
@example([Candidate(NodeId("heavy"), 2.0), *make_nodes(2)], 256, 2, 1)
@example([*make_nodes(2, weight=2.0), *make_nodes(2, first=2)], 256, 3, 1)
def test_no_node_is_beyond_its_weights_bounds(
    nodes: list[Candidate], shards: int, replication: int, number: int
) -> None:
    """A tenth above its share or below it, and part of a copy; also where a node must hold nearly every shard."""
    without_zones = [Candidate(node.id, node.weight) for node in nodes]

    placed = place_index(number, without_zones, shards=shards, replication=replication)

    shares = shares_of(shards, replication, without_zones)
    held = loads(placed)
    assert all(int(0.9 * share.fair) <= held[node] <= share.most for node, share in shares.items())


@pytest.mark.parametrize("replication", [1, 2, 3])
@pytest.mark.parametrize("number", INDEXES)
def test_fullest_of_eight_nodes_stays_near_the_mean(number: int, replication: int) -> None:
    """256 shards on 8 equal nodes: none holds more than 1.15 times the mean."""
    placed = place_index(number, make_nodes(8), replication=replication)

    assert max(loads(placed).values()) <= 1.15 * 256 * replication / 8


@pytest.mark.parametrize("replication", [2, 3])
@pytest.mark.parametrize("number", INDEXES)
def test_ninth_node_that_joins_moves_little_beyond_its_share(number: int, replication: int) -> None:
    """A ninth of all copies must move; at most two points more do."""
    before = place_index(number, make_nodes(8), replication=replication)
    after = place_index(number, make_nodes(9), replication=replication)

    assert moved(before, after) <= 1 / 9 + 0.02


def test_ninth_node_that_joins_moves_little_where_copies_are_single() -> None:
    """With a single copy chance weighs more: two points on the mean of many indexes, three and a half at worst."""
    found = [
        moved(place_index(n, make_nodes(8), replication=1), place_index(n, make_nodes(9), replication=1))
        for n in INDEXES
    ]

    assert mean(found) <= 1 / 9 + 0.02
    assert max(found) <= 1 / 9 + 0.035


@pytest.mark.parametrize("number", INDEXES)
def test_node_that_leaves_moves_little_beyond_its_share(number: int) -> None:
    """Whichever of nine leaves: its own copies move, and at most two points more."""
    nodes = make_nodes(9)
    gone = nodes[number % 9]
    before, after = place_index(number, nodes), place_index(number, [node for node in nodes if node != gone])

    assert moved(before, after) <= loads(before)[gone.id] / 512 + 0.02


@pytest.mark.parametrize(("nodes", "zones"), [(4, 2), (6, 2), (6, 3), (9, 3), (5, 5)])
@pytest.mark.parametrize("number", INDEXES[:5])
def test_copies_never_share_a_zone_while_another_has_room(number: int, nodes: int, zones: int) -> None:
    """In zones of equal size, two copies are always in two zones."""
    candidates_by_id = {node.id: node for node in make_nodes(nodes, zones=zones)}

    placed = place_index(number, list(candidates_by_id.values()), shards=64)

    for found in placed.values():
        assert len({candidates_by_id[node].zone for node in found}) == 2


def test_copies_share_a_zone_only_where_the_others_are_full() -> None:
    """One small zone against a large one: it is filled to its share before any shard does without it."""
    nodes = [*make_nodes(5), Candidate(NodeId("lone"), 1.0, "zone-lone")]

    placed = place_index(1, nodes, shards=60)

    without = [shard for shard, found in placed.items() if "lone" not in found]
    assert loads(placed)[NodeId("lone")] == 22  # a sixth of 120 copies, and a tenth more
    assert without == sorted(without)[-38:]


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, 3.0), (0.5, 1.0, 2.0)], ids=str)
def test_nodes_hold_shards_by_their_weights(weights: tuple[float, ...]) -> None:
    """On the mean of many indexes each class of nodes is within a tenth of its share."""
    nodes = [Candidate(NodeId(f"node-{w}-{number}"), w) for w in weights for number in range(4)]
    total: Counter[float] = Counter()
    for number in INDEXES:
        for node, held in loads(place_index(number, nodes)).items():
            total[next(candidate.weight for candidate in nodes if candidate.id == node)] += held

    for weight in weights:
        share = 512 * len(INDEXES) * weight / sum(weights)
        assert 0.9 * share <= total[weight] <= 1.1 * share


@pytest.mark.parametrize("replication", [1, 2])
@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, 3.0), (0.5, 1.0, 2.0)], ids=str)
def test_every_node_holds_its_weights_share_of_many_indexes(weights: tuple[float, ...], replication: int) -> None:
    """Within a tenth, not only its class; and of no single index more than a tenth, and part of a copy, above it."""
    nodes = [Candidate(NodeId(f"node-{w}-{number}"), w) for w in weights for number in range(4)]
    shares = shares_of(256, replication, nodes)
    total: Counter[NodeId] = Counter()
    for number in INDEXES:
        held = loads(place_index(number, nodes, replication=replication))
        assert all(held[node.id] < 1.1 * shares[node.id].fair + 1 for node in nodes)
        total += held

    for node in nodes:
        assert total[node.id] / len(INDEXES) == pytest.approx(shares[node.id].fair, rel=0.1)


def test_node_too_heavy_for_its_copies_leaves_the_rest_to_the_others() -> None:
    """A node holds one copy of a shard at most; what its weight says beyond falls to the others evenly."""
    nodes = [Candidate(NodeId("heavy"), 100.0), *make_nodes(3)]

    held = loads(place_index(1, nodes, shards=30))

    assert held[NodeId("heavy")] == 30
    assert max(held[node.id] for node in make_nodes(3)) <= 11


@pytest.mark.parametrize("number", INDEXES)
def test_small_index_on_three_nodes_is_nearly_even(number: int) -> None:
    """The stack a newcomer starts: 12 shards, two copies, three nodes of eight."""
    assert max(loads(place_index(number, make_nodes(3), shards=12)).values()) <= 9


def test_scores_of_a_node_are_the_same_set_for_every_node() -> None:
    """None is lucky: a node's hash orders the shards, and the place in that order is the score."""
    one, other = (scores(IndexUid("a"), Incarnation(1), 64, node) for node in make_nodes(2))

    assert sorted(score for score, _ in one) == sorted(score for score, _ in other)
    assert one != other


def test_placement_of_an_incarnation_is_pinned() -> None:
    """The same on every machine and in every version: a changed hash would move every copy of every cluster."""
    assert place_index(1, make_nodes(3), shards=6) == {
        0: ("node-1", "node-2"),
        1: ("node-0", "node-2"),
        2: ("node-0", "node-1"),
        3: ("node-2", "node-0"),
        4: ("node-1", "node-2"),
        5: ("node-1", "node-0"),
    }


@pytest.mark.parametrize("number", INDEXES[:5])
def test_explanation_agrees_with_the_placement(number: int) -> None:
    """Who is chosen is chosen; nobody holds more than it has room for; scores fall."""
    nodes = [*make_nodes(4), Candidate(NodeId("seated"), seat="elsewhere")]
    placed = place_index(number, nodes, shards=20)

    for shard, chosen in placed.items():
        found = explain(IndexUid(f"index-{number}"), Incarnation(number), shard, shards=20, replication=2, nodes=nodes)
        assert {each.node.id for each in found if each.chosen} == set(chosen)
        assert all(each.held == loads(placed)[each.node.id] <= each.room for each in found)
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
