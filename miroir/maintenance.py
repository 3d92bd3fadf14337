"""What a node's absence means, and what its operator does next: read from the cluster's status.

What always holds: nothing is believed but what the query service tells. Who calls it: ``miroir node maintenance``. It
must not know: a terminal, a network.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Status = Mapping[str, Any]
"""What ``GET /_miroir/status`` answers."""


class Alone(NamedTuple):
    """Shards of an index that can be read from one node only."""

    uid: str
    shards: Sequence[int]


class Standing(NamedTuple):
    """How many copies a node has, and how many of them can be read."""

    copies: int
    readable: int

    @property
    def is_whole(self) -> bool:
        """Whether all of them can be read."""
        return self.copies == self.readable


def alone_on(status: Status, node: str) -> Sequence[Alone]:
    """Return what searches miss while the node is away: shards of which nobody else has a copy that can be read."""
    found = []
    for index in _applied(status):
        shards = [each["shard"] for each in index["shards"] if _is_on(each, node) and set(each["readable"]) <= {node}]
        if shards:
            found.append(Alone(index["uid"], shards))
    return found


def standing_of(status: Status, node: str) -> Standing:
    """Return how far the node's copies are."""
    copies = [copy for index in _applied(status) for shard in index["shards"] for copy in _copies(shard, node)]
    return Standing(len(copies), sum(copy["readable"] for copy in copies))


def steps_after_on(node: str) -> Sequence[str]:
    """Return what to do once a node is in maintenance, a sentence each."""
    with_disk = "with its disk, where it takes it (Meilisearch: --upgrade-db)"
    without = "with an empty disk and the same master key: it is rebuilt from the log"
    return (
        f"stop {node}",
        f"start the other version {with_disk}, or {without}",
        f"`miroir node maintenance {node} off` waits until it is whole",
    )


def steps_after_off() -> Sequence[str]:
    """Return what to do once a node is whole again, a sentence each."""
    return ("the next node: `miroir node maintenance NODE on`, if there is one",)


def _applied(status: Status) -> Iterator[Mapping[str, Any]]:
    """Yield the indexes whose primary key is known: of the others no copy holds anything, or is read."""
    return (index for index in status["indexes"] if index["primary_key"] is not None)


def _copies(shard: Mapping[str, Any], node: str) -> Iterator[Mapping[str, Any]]:
    return (copy for copy in shard["replicas"] if copy["node"] == node)


def _is_on(shard: Mapping[str, Any], node: str) -> bool:
    return any(True for _ in _copies(shard, node))
