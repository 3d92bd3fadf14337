"""Keeping copies where they are, where moving them would help nobody.

Placement knows no history: after a node has joined it also asks for moves between older nodes, only because the bound
on the fullest one is tighter now. So a copy that exists stays in place of one that is wanted elsewhere, as long as its
own node keeps within its bound and the other one is not left with much less than its share. On 256 shards, 8 nodes and
a ninth that joins, 12.1 % of single copies move at worst, of 100 indexes; by placement alone 14.8 % would; 11.1 % is
the new node's whole share.

What always holds: as many copies of a shard as were wanted, on different nodes; no node above its room; zones no worse,
and none with room that a shard does without whose copies share another; what was kept once is kept again, so that
planning after the moves plans nothing. Who calls it: moves. It must not know: how the nodes were chosen.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from schemas.ids import NodeId, ShardId
from streams.placement import Candidate, Share

Copies = Mapping[ShardId, frozenset[NodeId]]


def keep_existing(
    wanted: Copies, existing: Copies, nodes: Sequence[Candidate], shares: Mapping[NodeId, Share]
) -> Copies:
    """Return what is wanted, with copies that exist in place of others wherever that is as good.

    Args:
        wanted: by placement alone.
        existing: copies of the same shards; those on other nodes than ``nodes`` are passed over.
        nodes: that have a share.
        shares: of each of them.
    """
    zones = {node.id: node.zone for node in nodes}
    scarce = _scarce_zones(wanted, zones)
    held = Counter(node for chosen in wanted.values() for node in chosen)
    kept: dict[ShardId, frozenset[NodeId]] = {}
    for shard, placed in sorted(wanted.items()):
        chosen = placed
        present = existing.get(shard, frozenset()) & zones.keys()
        spare = sorted(present - chosen)
        elsewhere = (node for node in chosen - present if zones[node] not in scarce)
        for missing in sorted(elsewhere, key=lambda node: (-held[node], node)):
            found = next((node for node in spare if _is_as_good(node, missing, chosen, held, shares, zones)), None)
            if found is not None:
                spare.remove(found)
                chosen = chosen - {missing} | {found}
                held[found] += 1
                held[missing] -= 1
        kept[shard] = chosen
    return kept


def _scarce_zones(wanted: Copies, zones: Mapping[NodeId, str]) -> frozenset[str]:
    """Return the zones that some shard does without although its copies share one: their nodes are full.

    A copy that were kept away from such a node would leave room there, and that shard still without it.
    """
    found: set[str] = set()
    for chosen in wanted.values():
        used = {zones[node] for node in chosen}
        if len(used) < len(chosen):
            found.update(set(zones.values()) - used)
    return frozenset(found)


def _is_as_good(
    node: NodeId,
    missing: NodeId,
    chosen: frozenset[NodeId],
    held: Mapping[NodeId, int],
    shares: Mapping[NodeId, Share],
    zones: Mapping[NodeId, str],
) -> bool:
    others = {zones[other] for other in chosen - {missing}}
    shares_zone = zones[node] in others and zones[missing] not in others
    return not shares_zone and held[node] < shares[node].most and held[missing] > shares[missing].least
