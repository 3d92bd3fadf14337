"""The requests topic: what operators and APIs ask the controller for.

What always holds: a request is a fact asked for, not a step; the controller answers each one in order with one
``AnswerRecord`` under the request's offset. Who calls it: the query service and workers (produce), the controller
(decides). It must not know: whether it will be accepted.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from schemas.events import PartitionerName
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, ShardId
from schemas.wire import STRICT, build, parse

SHARDS_DEFAULT = 12
"""Divides evenly over 2, 3, 4, 6 and 12 nodes; a node's search costs nearly the same however many it holds."""

REPLICATION_DEFAULT = 2
"""A dead node must not mean a dead search."""


@dataclass(frozen=True, slots=True)
class AddNode:
    """Let a node join, or change its share; null leaves that as it is, of a new node as ``NodeRecord`` has it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    url: str
    weight: float | None = None
    zone: str | None = None
    group: int | None = None
    kind: Literal["add_node"] = "add_node"


@dataclass(frozen=True, slots=True)
class RebuildNode:
    """Drop every replica on the node and replay it from the log; with ``uid``, some of that index only.

    ``attempt`` guards a worker's request: what has been placed since has begun anew already.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    uid: IndexUid | None = None
    shards: tuple[ShardId, ...] = ()
    attempt: Attempt | None = None
    kind: Literal["rebuild_node"] = "rebuild_node"


@dataclass(frozen=True, slots=True)
class DrainNode:
    """Give the node no new replicas, and make those that it has elsewhere; then they leave it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    kind: Literal["drain_node"] = "drain_node"


@dataclass(frozen=True, slots=True)
class MaintainNode:
    """Expect the node to be away for a while: it keeps its replicas, and is not declared failed."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    kind: Literal["maintain_node"] = "maintain_node"


@dataclass(frozen=True, slots=True)
class ActivateNode:
    """End draining, maintenance or failure: the node is given its share of the replicas again."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    kind: Literal["activate_node"] = "activate_node"


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """Let a node go that holds nothing; with ``force`` one whose every shard has a whole copy elsewhere.

    ``forget`` ends a removal that waits in vain for a node that cannot be asked.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    force: bool = False
    forget: bool = False
    kind: Literal["remove_node"] = "remove_node"


@dataclass(frozen=True, slots=True)
class ReplaceNode:
    """Let a node join in the place of ``id``, with its weight, zone and group; once it is active, ``id`` drains."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: NodeId
    by: NodeId
    url: str
    kind: Literal["replace_node"] = "replace_node"


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """Create an index and its topic; ``topic`` names one that exists already."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    primary_key: str | None = None
    shards: int = SHARDS_DEFAULT
    replication: int = REPLICATION_DEFAULT
    partitioner: PartitionerName = PartitionerName.MURMUR2
    topic: str | None = None
    groups: tuple[int, ...] = (0,)
    kind: Literal["create_index"] = "create_index"


@dataclass(frozen=True, slots=True)
class UpdateIndex:
    """Change how many copies an index has, or in which replica groups; null leaves it as it is."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    replication: int | None = None
    groups: tuple[int, ...] | None = None
    kind: Literal["update_index"] = "update_index"


@dataclass(frozen=True, slots=True)
class DeleteIndex:
    """Delete an index, its replicas, and its topic where it is ours."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    kind: Literal["delete_index"] = "delete_index"


@dataclass(frozen=True, slots=True)
class SetPrimaryKey:
    """Name the primary key of an index that has none; ``inferred`` yields silently to one that is there already."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    primary_key: str
    inferred: bool = False
    kind: Literal["set_primary_key"] = "set_primary_key"


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """Change some settings; a null resets one (https://www.meilisearch.com/docs/reference/api/settings)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    patch: Mapping[str, Any]  # Meilisearch owns the shape
    kind: Literal["update_settings"] = "update_settings"


@dataclass(frozen=True, slots=True)
class PauseIndex:
    """Stop applying an index, loudly: searches go on, and ``reason`` is shown in ``status``.

    ``incarnation`` guards a worker's request against an index made since under the same name.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    reason: str
    incarnation: Incarnation | None = None
    kind: Literal["pause_index"] = "pause_index"


@dataclass(frozen=True, slots=True)
class ResumeIndex:
    """Apply a paused index again."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    kind: Literal["resume_index"] = "resume_index"


@dataclass(frozen=True, slots=True)
class ReplaceLog:
    """Begin a paused index anew over a topic that holds all of its documents; the former topic is left alone.

    The former copies answer searches until ``RetireFormer``. ``incarnation`` guards against an index made since under
    the same name. ``carried`` and ``seeded`` are kept in ``FormerRecord``: whoever ends the change carries over from
    there what still came to the former topic.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    topic: str
    incarnation: Incarnation
    carried: Mapping[ShardId, Position] = field(default_factory=dict)
    seeded: Mapping[ShardId, Position] = field(default_factory=dict)
    kind: Literal["replace_log"] = "replace_log"


@dataclass(frozen=True, slots=True)
class RetireFormer:
    """Let an index's former copies answer no more searches; with ``remove``, once none of those is under way, go."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    incarnation: Incarnation
    remove: bool = False
    kind: Literal["retire_former"] = "retire_former"


Request = (
    AddNode
    | RebuildNode
    | DrainNode
    | MaintainNode
    | ActivateNode
    | RemoveNode
    | ReplaceNode
    | CreateIndex
    | UpdateIndex
    | DeleteIndex
    | SetPrimaryKey
    | UpdateSettings
    | PauseIndex
    | ResumeIndex
    | ReplaceLog
    | RetireFormer
)

_REQUEST: Any = Annotated[Request, Field(discriminator="kind")]  # an annotation has no type of its own


def build_request(request: Request) -> bytes:
    """Return the request as a record's value."""
    if isinstance(request, AddNode):
        # Readers from before a share could be left as it is know no null there, but take a field that is missing.
        return build({name: value for name, value in asdict(request).items() if value is not None})
    return build(request)


def parse_request(data: bytes) -> Request:
    """Return the request that a record's value holds.

    Raises:
        InvalidInputError: it is not JSON, or no request that this version knows.
    """
    request: Request = parse(_REQUEST, data, name="Request")
    return request
