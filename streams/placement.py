"""Placement: which nodes hold which shard: weighted rendezvous hashing, with bounds on the fullest and emptiest node.

Every node has a score for every shard; a shard goes to the nodes with the highest scores, skipping a zone that already
holds a copy while another zone has room, and skipping a node that is full. A node that joins or leaves changes no other
node's scores, so that only its own share moves (Thaler and Ravishankar, "Using name-based mappings to increase hit
rates", 1998; the weighted form: Schindelhauer and Schomaker, 2005).

A hash alone gives one node many high scores by chance and another few; then the bound turns copies away, and a join
turns others away: moves that help nobody. So a node's hash only *orders* the shards, and the score follows from the
place in that order: every node has the same set of scores, each once. On 256 shards, 8 nodes and a ninth that joins,
the worst of 100 indexes moved 12.7 % of the copies at two copies each, before 13.9 %, where 11.1 % is the least; of
copies that have no second one 14.1 %, before 14.8 %. That nobody has too little either costs 0.7 of a point.

What always holds: a pure function of its arguments, independent of the order of the nodes; no node twice for a shard.
Who calls it: moves, and whoever asks why. It must not know: what a node is doing.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import xxhash

from schemas.ids import Incarnation, IndexUid, NodeId, ShardId

FULLEST_OVER_MEAN_MAX = 1.10
"""The fullest node may hold this much more than its weight's share, and part of a shard; hashing alone gives 1.4."""

LEAST_OVER_SHARE = 0.90
"""A node is given so much of its weight's share, part of a shard apart, and no more at the price of moves; otherwise
a few are left at 0.6."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may be given shards; its weight is above 0. Where it has a seat, that is hashed instead of its id."""

    id: NodeId
    weight: float = 1.0
    zone: str = ""
    seat: str = ""


def scores(index: IndexUid, incarnation: Incarnation, shards: int, node: Candidate) -> Sequence[tuple[float, int]]:
    """Return the node's score for each shard: higher is preferred; a weight of 2 is preferred twice as often.

    It depends on the node alone, so that other nodes may come and go. Places in the order of few shards are often equal
    at two nodes: then the hash, second in the score, decides. O(n log n) in the shards.
    """
    seat = node.seat or node.id
    digests = [xxhash.xxh3_64_intdigest(f"{index}/{incarnation}/{shard}/{seat}".encode()) for shard in range(shards)]
    found = [(0.0, 0)] * shards
    for rank, shard in enumerate(sorted(range(shards), key=digests.__getitem__)):
        found[shard] = (-node.weight / math.log((rank + 0.5) / shards), digests[shard])
    return found


def place(
    index: IndexUid, incarnation: Incarnation, *, shards: int, replication: int, nodes: Sequence[Candidate]
) -> Mapping[ShardId, tuple[NodeId, ...]]:
    """Return the nodes of every shard, best first: ``min(replication, len(nodes))`` of them, all different."""
    by_id = sorted(nodes, key=lambda node: node.id)
    copies = min(replication, len(nodes))
    room = _room(shards, copies, by_id)
    preferred = {node.id: scores(index, incarnation, shards, node) for node in by_id}
    placed: dict[ShardId, tuple[NodeId, ...]] = {}
    for shard in map(ShardId, range(shards)):
        chosen = _choose(_ranking(by_id, preferred, shard), copies, room, left=shards - shard)
        for node in chosen:
            room[node.id] -= 1
        placed[shard] = tuple(node.id for node in chosen)
    _give_to_the_emptiest(placed, by_id, preferred, _shares(shards, copies, by_id))
    return placed


class Share(NamedTuple):
    """How many copies a node may hold.

    Attributes:
        least: with fewer it is given more, whatever has to move.
        fair: what its weight says.
        most: never more.
    """

    least: int
    fair: float
    most: int


def shares_of(shards: int, replication: int, nodes: Sequence[Candidate]) -> Mapping[NodeId, Share]:
    """Return how many copies of an index each node may hold."""
    copies = min(replication, len(nodes))
    fair, most = _shares(shards, copies, nodes), _room(shards, copies, nodes)
    return {node: Share(math.floor(fair[node] * LEAST_OVER_SHARE), fair[node], most[node]) for node in fair}


class Preference(NamedTuple):
    """Why a shard is on a node, or is not.

    Attributes:
        node: which.
        score: higher is preferred.
        share: how many copies of the index's shards its weight says.
        room: how many it may hold.
        held: how many it holds in all.
        chosen: whether it holds this shard.
    """

    node: Candidate
    score: float
    share: float
    room: int
    held: int
    chosen: bool


def explain(
    index: IndexUid,
    incarnation: Incarnation,
    shard: ShardId,
    *,
    shards: int,
    replication: int,
    nodes: Sequence[Candidate],
) -> tuple[Preference, ...]:
    """Return what every node has to say to the placement of a shard, the most preferred node first."""
    placed = place(index, incarnation, shards=shards, replication=replication, nodes=nodes)
    shares = shares_of(shards, replication, nodes)
    preferred = {node.id: scores(index, incarnation, shards, node) for node in nodes}
    held = Counter(node for chosen in placed.values() for node in chosen)
    return tuple(
        Preference(
            node,
            preferred[node.id][shard][0],
            shares[node.id].fair,
            shares[node.id].most,
            held[node.id],
            node.id in placed[shard],
        )
        for node in _ranking(sorted(nodes, key=lambda node: node.id), preferred, shard)
    )


def _ranking(
    nodes: Sequence[Candidate], preferred: Mapping[NodeId, Sequence[tuple[float, int]]], shard: ShardId
) -> Sequence[Candidate]:
    """Return the nodes, given by id, in the order in which they are preferred for the shard."""
    return sorted(nodes, key=lambda node: preferred[node.id][shard], reverse=True)


def _room(shards: int, copies: int, nodes: Sequence[Candidate]) -> dict[NodeId, int]:
    """Return how many shards each node may hold: its weight's share and a little more, at most one copy of each."""
    shares = _shares(shards, copies, nodes)
    return {node: min(shards, math.ceil(share * FULLEST_OVER_MEAN_MAX)) for node, share in shares.items()}


def _shares(shards: int, copies: int, nodes: Sequence[Candidate]) -> dict[NodeId, float]:
    """Return each node's share of the copies, by weight; what is above one copy of every shard falls to the others."""
    left = float(shards * copies)
    heaviest_first = sorted(nodes, key=lambda node: -node.weight)
    shares: dict[NodeId, float] = {}
    for at, node in enumerate(heaviest_first):
        weights = math.fsum(other.weight for other in heaviest_first[at:])
        shares[node.id] = min(float(shards), left * node.weight / weights)
        left -= shares[node.id]
    return shares


def _choose(ranking: Sequence[Candidate], copies: int, room: Mapping[NodeId, int], *, left: int) -> list[Candidate]:
    """Return ``copies`` nodes, best first: with room in a new zone, else with room, else any."""
    urgent = _urgent(copies, room, left)
    chosen: list[Candidate] = []
    while len(chosen) < copies:
        zones = {node.zone for node in chosen}
        rest = [node for node in ranking if node not in chosen]
        first = [node for node in rest if node.id in urgent.nodes] if urgent.nodes else []
        if len(first) <= urgent.to_spare:
            first = []
        with_room = [node for node in rest if room[node.id] > 0]
        fresh = [node for node in with_room if node.zone not in zones]
        first_fresh = [node for node in first if node.zone not in zones]
        chosen.append((first_fresh or fresh or first or with_room or rest)[0])
    return [node for node in ranking if node in chosen]


def _give_to_the_emptiest(
    placed: dict[ShardId, tuple[NodeId, ...]],
    nodes: Sequence[Candidate],
    preferred: Mapping[NodeId, Sequence[tuple[float, int]]],
    fair: Mapping[NodeId, float],
) -> None:
    """Let nodes with too little have what they prefer of what the others of their zone hold above their shares.

    Who gives keeps its share, part of a copy apart, so that nobody becomes the emptiest by it; zones are no worse.
    """
    held = Counter(node for chosen in placed.values() for node in chosen)
    for node in nodes:
        by_preference = sorted(placed, key=preferred[node.id].__getitem__)
        while held[node.id] < math.floor(fair[node.id] * LEAST_OVER_SHARE) and by_preference:
            shard = by_preference.pop()
            rich = [each.id for each in nodes if each.zone == node.zone and held[each.id] > fair[each.id]]
            givers = sorted(set(placed[shard]).intersection(rich), key=lambda each: (held[each] / fair[each], each))
            if node.id not in placed[shard] and givers:
                placed[shard] = tuple(node.id if each == givers[-1] else each for each in placed[shard])
                held.update({node.id: 1, givers[-1]: -1})


class _Urgent(NamedTuple):
    """Nodes that lose a place whenever they are passed over, and how many places may be lost."""

    nodes: Collection[NodeId]
    to_spare: int


def _urgent(copies: int, room: Mapping[NodeId, int], left: int) -> _Urgent:
    """Return the nodes that have room for all the shards that are left, this one among them, or for more.

    Where no place may be lost they come first; else the last shards would find room only on nodes that they are on
    already, and others would be given more than their bound.
    """
    nodes = [node for node, places in room.items() if places >= left]
    if not nodes:
        return _Urgent((), 0)
    return _Urgent(nodes, sum(min(max(places, 0), left) for places in room.values()) - copies * left)
