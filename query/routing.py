"""Which nodes a search asks: few that together hold a readable copy of every shard.

A search costs a node nearly the same however few documents it is asked about, so the fewest nodes are asked. A handful
of such covers is made for each set of readable copies; the query's hash chooses among them, so that equal queries meet
equal replicas (pages stay stable, caches warm) while different queries spread.

What always holds: a pure function of its arguments; every shard is in exactly one part, or missing because nobody may
be asked for it; within a part the node holds all its shards. Who calls it: the search path, and whatever else asks one
replica of some shards. It must not know: how a node is asked, or what it is doing just now beyond what it is told.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import xxhash

from schemas.events import IndexRecord, NodeRecord
from schemas.ids import NodeId, ShardId
from schemas.progress import FRESH_MS, Progress
from streams.readable import ProgressView, readable_replicas
from streams.topology import Topology

COVERS_MAX = 8
"""Covers kept for a set of readable copies: enough to spread queries, few enough that each one's caches stay warm."""

CACHED_MAX = 256
"""Sets of readable copies remembered: indexes times the few states each goes through while a node comes or goes."""

Readable = tuple[tuple[NodeId, ...], ...]
"""For every shard, in order: the nodes whose copy may be read."""


class Part(NamedTuple):
    """What one node is asked for."""

    node: NodeId
    shards: tuple[ShardId, ...]


class Kind(NamedTuple):
    """What makes two copies answer alike.

    Attributes:
        settings_version: of the copy's index on its node.
        program: the node's Meilisearch version; empty where it is not known.
    """

    settings_version: int
    program: str


@dataclass(frozen=True, slots=True)
class Route:
    """Who is asked for what.

    Attributes:
        parts: by node id; disjoint.
        missing: shards of which no copy may be read, in order.
        spare: who may be asked where everybody else has failed: nodes that are away, too.
    """

    parts: tuple[Part, ...]
    missing: tuple[ShardId, ...] = ()
    spare: Readable = ()

    @property
    def whole(self) -> bool:
        """Whether one node answers for everything, so that nothing needs to be merged."""
        return len(self.parts) == 1 and not self.missing


@dataclass(frozen=True, slots=True)
class Away:
    """A node that refused, or did not answer in time.

    Attributes:
        seen_ms: the newest progress that its replicas had when it failed; a copy with newer progress has an owner that
            reaches the node.
        answered: whether it has answered since.
        refused_key: the search key that it refused, where it did: it is away until it has another.
    """

    seen_ms: int
    answered: bool = False
    refused_key: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader asks of the copies it reads.

    Attributes:
        cursors: the least visible cursor by shard (read your writes).
        lag_ms_max: how old the oldest record not yet visible may be; None is any age.
        now_ms: for ages, where one of the lags has a bound; milliseconds since 1970.
        lag_records_max: how many records may be not yet visible; None is any number.
    """

    cursors: Mapping[ShardId, int]
    lag_ms_max: int | None = None
    now_ms: int = 0
    lag_records_max: int | None = None


ANY = Wanted({})


def usable_replicas(
    topology: Topology,
    progress: ProgressView,
    index: IndexRecord,
    *,
    away: Mapping[NodeId, Away],
    lag_records_max: int,
    wanted: Wanted = ANY,
) -> Readable:
    """Return, for every shard, the nodes to be asked: readable copies, without those whose node is away.

    A shard whose every node is away keeps them all: asking in vain costs less than not asking a node that is back.
    """
    shards = []
    for number in range(index.shards):
        shard = ShardId(number)
        readable = readable_replicas(topology, progress, index, shard, lag_records_max=lag_records_max)
        if readable and (away or wanted is not ANY):
            seen = {r.node: p for r in topology.replicas_of(index.uid, shard) if (p := progress.of(r)) is not None}
            readable = tuple(node for node in readable if _satisfies(seen[node], shard, wanted))
            best = max(seen[node].cursor for node in readable) if readable else 0
            present = tuple(
                node for node in readable if _is_present(seen[node], away.get(node), best, topology.nodes.get(node))
            )
            readable = present or readable
        shards.append(readable)
    return tuple(shards)


def alike_copies(readable: Readable, kind_of: Callable[[ShardId, NodeId], Kind]) -> Readable:
    """Return the copies of one kind, the newest that has every shard that anybody has; all where no kind has.

    Copies of two versions of the settings, or of Meilisearch, rank differently: an answer merged of both is of neither.
    What fails may still be asked of the others.
    """
    kinds = {kind_of(ShardId(number), node) for number, nodes in enumerate(readable) for node in nodes}
    if len(kinds) <= 1:
        return readable
    settings = [(version, None) for version in sorted({kind.settings_version for kind in kinds}, reverse=True)]
    for wanted_version, wanted_program in [*sorted(kinds, reverse=True), *settings]:
        alike = tuple(
            tuple(
                node
                for node in nodes
                if (kind := kind_of(ShardId(number), node)).settings_version == wanted_version
                and wanted_program in (None, kind.program)
            )
            for number, nodes in enumerate(readable)
        )
        if all(bool(some) == bool(every) for some, every in zip(alike, readable, strict=True)):
            return alike
    return readable


def plan_route(readable: Readable, choice: int) -> Route:
    """Return the cover that the query's hash ``choice`` falls on."""
    covers = plan_covers(readable)
    return covers[choice % len(covers)]


@lru_cache(maxsize=CACHED_MAX)
def plan_covers(readable: Readable) -> tuple[Route, ...]:
    """Return the covers with the fewest nodes, at least one and at most ``COVERS_MAX``, in a stable order.

    Each begins at another node, in an order of the nodes' hashes, and goes on greedily; so that every node is in some
    cover also where one holds more shards than the others.
    """
    shards = {ShardId(number): nodes for number, nodes in enumerate(readable)}
    missing = tuple(shard for shard, nodes in shards.items() if not nodes)
    nodes = sorted({node for nodes in readable for node in nodes}, key=_hash)
    chosen: dict[frozenset[NodeId], None] = {}
    for first in nodes:
        chosen[frozenset(_cover(shards, first))] = None
    fewest = min((len(cover) for cover in chosen), default=0)
    smallest = [cover for cover in chosen if len(cover) == fewest][:COVERS_MAX]
    return tuple(Route(_share(shards, cover), missing) for cover in smallest) or (Route((), missing),)


def plan_again(readable: Readable, shards: Iterable[ShardId], tried: Collection[NodeId]) -> Route:
    """Return whom to ask for ``shards`` instead of the nodes that were tried already."""
    left = {shard: tuple(node for node in readable[shard] if node not in tried) for shard in shards}
    missing = tuple(sorted(shard for shard, nodes in left.items() if not nodes))
    nodes = {node for nodes in left.values() for node in nodes}
    if not nodes:
        return Route((), missing)
    first = max(nodes, key=lambda node: (sum(node in found for found in left.values()), _hash(node)))
    return Route(_share(left, frozenset(_cover(left, first))), missing)


def has_others(readable: Readable, shards: Iterable[ShardId], tried: Collection[NodeId]) -> bool:
    """Return whether every one of ``shards`` can be asked of a node that was not tried."""
    return all(any(node not in tried for node in readable[shard]) for shard in shards)


def has_some_others(readable: Readable, shards: Iterable[ShardId], tried: Collection[NodeId]) -> bool:
    """Return whether one of ``shards`` at least can be asked of a node that was not tried."""
    return any(node not in tried for shard in shards for node in readable[shard])


def _satisfies(progress: Progress, shard: ShardId, wanted: Wanted) -> bool:
    if progress.cursor < wanted.cursors.get(shard, 0):
        return False
    if _is_unseen(progress, wanted):
        return False
    if wanted.lag_records_max is not None and progress.end - progress.cursor > wanted.lag_records_max:
        return False
    if wanted.lag_ms_max is None or progress.cursor >= progress.end:
        return True
    return progress.lag_ms + max(0, wanted.now_ms - progress.seen_ms) <= wanted.lag_ms_max


def _is_unseen(progress: Progress, wanted: Wanted) -> bool:
    """Return whether the lag has a bound, and nobody has looked for so long that nothing is known of it.

    A copy at the log's end stood at the end of that time: with its owner dead the log goes on without it. What was
    appended since the last look is no older than that look, so a look within the bound is enough.
    """
    if wanted.lag_ms_max is None and wanted.lag_records_max is None:
        return False
    return wanted.now_ms - progress.seen_ms > max(wanted.lag_ms_max or 0, FRESH_MS)


def _is_present(progress: Progress, away: Away | None, best: int, node: NodeRecord | None) -> bool:
    """Return whether the copy's node may be asked.

    One that failed and answers again may have stood still while others went on: its copy is used once its owner has
    reached it, or where it has missed nothing. One that refused its search key was there all the time, and may be asked
    with the next.
    """
    if away is None:
        return True
    if away.refused_key is not None:
        return node is not None and node.search_key != away.refused_key
    if not away.answered:
        return False
    return progress.seen_ms > away.seen_ms or progress.cursor >= best


def _cover(shards: Mapping[ShardId, Sequence[NodeId]], first: NodeId) -> list[NodeId]:
    """Return nodes that hold all shards that anybody holds: ``first``, then always the one with the most left."""
    held: dict[NodeId, set[ShardId]] = {}
    for shard, nodes in shards.items():
        for node in nodes:
            held.setdefault(node, set()).add(shard)
    left = {shard for shard, nodes in shards.items() if nodes} - held[first]
    chosen = [first]
    while left:
        best = max(held, key=lambda node: (len(held[node] & left), _hash(node)))
        chosen.append(best)
        left -= held[best]
    return [node for node in chosen if not _is_spare(node, chosen, held)]


def _is_spare(node: NodeId, chosen: Sequence[NodeId], held: Mapping[NodeId, set[ShardId]]) -> bool:
    """Return whether ``first`` has become superfluous; later ones were chosen for what only they add."""
    others = set().union(*(held[other] for other in chosen if other != node))
    return node == chosen[0] and len(chosen) > 1 and held[node] <= others


def _share(shards: Mapping[ShardId, Sequence[NodeId]], cover: frozenset[NodeId]) -> tuple[Part, ...]:
    """Return the parts: every shard to that node of the cover which has the fewest so far."""
    given: dict[NodeId, list[ShardId]] = {}
    for shard, nodes in sorted(shards.items(), key=lambda entry: (len(entry[1]), entry[0])):
        candidates = [node for node in nodes if node in cover]
        if candidates:
            node = min(candidates, key=lambda name: (len(given.get(name, ())), name))
            given.setdefault(node, []).append(shard)
    return tuple(Part(node, tuple(sorted(found))) for node, found in sorted(given.items()))


@lru_cache(maxsize=4096)
def _hash(node: NodeId) -> int:
    return xxhash.xxh3_64_intdigest(node.encode())
