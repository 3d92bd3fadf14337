"""Clusters to decide about: topologies as the controller itself would have written them, and how it writes on."""

from collections.abc import Iterable, Mapping, Sequence

from agents.controller import decide, topics_needed
from agents.decision import Decision, Sights, TopicSight, build_commit, build_puts
from schemas.events import ClusterValue, NodeRecord, NodeState
from schemas.ids import IndexUid, NodeId, Offset, Partition, Position
from schemas.requests import CreateIndex, Request
from streams.log import Append, LogBatch, LogRecord, TopicFound
from streams.topics import CLUSTER, docs_topic
from streams.topology import Topology, fold_cluster

NOW_MS = 1_700_000_000_000
KEY_UID = "0b6d8a2e-8b1b-4a52-b63a-4f0f2c0f0001"
MOVIES = IndexUid("movies")


def node_record(name: str, state: NodeState = NodeState.ACTIVE) -> NodeRecord:
    """Return a node; one that has joined has keys."""
    joined = state is not NodeState.JOINING
    return NodeRecord(
        NodeId(name),
        f"http://{name}:7700",
        state=state,
        worker_key=f"{name}-worker" if joined else "",
        search_key=f"{name}-search" if joined else "",
        fence_key=f"{name}-fence" if joined else "",
    )


def write(topology: Topology, appends: Sequence[Append]) -> Topology:
    """Return the topology after these records were appended and read back."""
    start = topology.epoch
    records = tuple(LogRecord(Offset(start + at), NOW_MS, a.key, a.value) for at, a in enumerate(appends))
    end = Position(start + len(records))
    return fold_cluster(topology, [LogBatch(CLUSTER, Partition(0), Position(start), end, records)])


def cluster_of(*values: ClusterValue) -> Topology:
    """Return the topology in which exactly these values stand."""
    return write(Topology(), build_puts(*values))


def sights(topics: Iterable[TopicSight] = (), *, topics_created: bool = True) -> Sights:
    """Return what was seen before deciding."""
    return Sights(NOW_MS, KEY_UID, {sight.found.name: sight for sight in topics}, topics_created)


def topic(
    name: str, partitions: int = 3, *, empty: bool = True, configs: Mapping[str, str] | None = None
) -> TopicSight:
    """Return a topic as it was seen; compacted unless told."""
    found = TopicFound(name, partitions, 1, docs_topic(name, 1).configs if configs is None else configs)
    return TopicSight(found, empty)


class World:
    """A cluster topic and the topics of documents, written by decisions alone: what the shell does, without I/O."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.topics: dict[str, TopicSight] = {}

    def decide(self, request: Request, offset: int) -> Decision:
        """Return what becomes of the request, with the topics it needs made."""
        at = Offset(offset)
        needed = topics_needed(self.topology, request, at)
        seen = sights(self.topics[name] for name in needed if name in self.topics)
        decision = decide(self.topology, request, at, seen)
        for spec in decision.topics:
            self.topics[spec.name] = topic(spec.name, spec.partitions)
        return decision

    def answer(self, request: Request, offset: int, *, torn_after: int | None = None) -> Decision:
        """Decide and write; of a torn commit only the first ``torn_after`` records."""
        decision = self.decide(request, offset)
        appends = build_commit(self.topology, decision)[:torn_after]
        if appends:
            self.topology = write(self.topology, appends)
        return decision


def world(nodes: int = 3) -> World:
    """Return a cluster of active nodes and nothing else."""
    return World(cluster_of(*(node_record(f"n{number}") for number in range(nodes))))


def world_with_index(primary_key: str | None = None) -> World:
    """Return a cluster of three nodes with the index ``movies``, made by request 1."""
    made = world()
    made.answer(CreateIndex(MOVIES, primary_key, shards=3, replication=2), 1)
    return made
