"""How many documents have each field, out of what nodes count over all their replicas.

A node counts over everything it holds of an index, copies of shards that others hold too included, and cannot be asked
about some shards only. What always holds: exact where every shard has equally many copies and all are at the same
point (``CopiesSeen`` tells); else an estimate; the marker is not in it. Who calls it: the statistics routes. It must
not know: how nodes are asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from query.rewrite import is_marker
from schemas.ids import ShardId
from schemas.progress import Progress

ESTIMATED = ("rawDocumentDbSize", "numberOfEmbeddings", "numberOfEmbeddedDocuments", "fieldDistribution")
"""Fields of an index's statistics that are made out of counts over all copies."""


@dataclass(frozen=True, slots=True)
class CopiesSeen:
    """How far the copies of an index are.

    Attributes:
        lagging: shards of which some copy is behind the log's end, or not seen at all, in order.
        alike: whether every shard has equally many copies, and no copy is leaving: nodes count one until it is dropped.
    """

    lagging: tuple[ShardId, ...]
    alike: bool

    @property
    def are_exact(self) -> bool:
        """Whether counts over all copies, divided by their number, are exact."""
        return self.alike and not self.lagging


def see_copies(shards: Sequence[Sequence[Progress | None]], *, leaving: bool) -> CopiesSeen:
    """Return what is known of an index's copies.

    Args:
        shards: the progress of every shard's copies; None is a copy that was not seen.
        leaving: whether there are others, which are being dropped.
    """
    lagging = (
        ShardId(shard)
        for shard, copies in enumerate(shards)
        if not copies or any(copy is None or copy.away or copy.cursor < copy.end for copy in copies)
    )
    return CopiesSeen(tuple(lagging), len({len(copies) for copies in shards}) <= 1 and not leaving)


def estimate_field_counts(counts: Sequence[Mapping[str, int]], *, documents: int, held: int) -> dict[str, int]:
    """Return the number of documents with each field, by name.

    Args:
        counts: ``fieldDistribution`` of each node.
        documents: how many documents the index has.
        held: how many the nodes hold together.
    """
    sums: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            if not is_marker(name):
                sums[name] = sums.get(name, 0) + count
    if not held:
        return {}
    return {name: round(count * documents / held) for name, count in sorted(sums.items())}
