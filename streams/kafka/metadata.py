"""What a cluster says about itself and its topics, with the topics' ids.

A topic id is given once and never again: a topic deleted and created under the same name has another. The client
library speaks an older version of the request, without ids; this is the newest, in its own building blocks.

What always holds: asking creates nothing, and one broker that cannot be reached keeps nobody from an answer that others
have. Who calls it: reader, writer and admin. It must not know: what a topic is for.
"""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import UUID

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, NoError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v4, MetadataRequest_v5
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from schemas.errors import NoTopicError

_UNKNOWN_TOPIC = 3
"""``UNKNOWN_TOPIC_OR_PARTITION``: the topic does not exist."""

_NO_ID = UUID(int=0)

UNREACHED = (NodeNotReadyError, KafkaConnectionError)
"""What the library raises where there is no connection to the broker that was asked, or it was cut."""

_OPERATIONS: Mapping[str, int] = {"read": 3, "write": 4, "create": 5, "delete": 6}
"""The protocol's numbers for what we do with topics (``AclOperation``): each is a bit of what a user may do."""


@dataclass(frozen=True, slots=True)
class TopicMetadata:
    """One topic.

    Attributes:
        id: the topic's id; empty where the broker is too old to tell (Kafka before 3.1).
        leaders: partition → the broker that leads it, -1 where none does just now.
        replication: copies of the partition that has fewest.
        operations: what this user may do with it; None where it was not asked for, or the broker does not tell.
    """

    id: str
    leaders: Mapping[int, int]
    replication: int
    operations: frozenset[str] | None

    @property
    def partitions(self) -> int:
        """How many partitions it has."""
        return len(self.leaders)


@dataclass(frozen=True, slots=True)
class ClusterMetadata:
    """A cluster's id, the number of its brokers, and those of the topics asked for that exist."""

    cluster_id: str
    brokers: int
    topics: Mapping[str, TopicMetadata]


class _Uuid:
    """The protocol's UUID: 16 bytes."""

    @staticmethod
    def encode(value: UUID) -> bytes:
        return value.bytes

    @staticmethod
    def decode(data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))

    @staticmethod
    def repr(value: UUID) -> str:
        return str(value)


_TEXT = CompactString("utf-8")


class _MetadataResponse12(Response):  # type: ignore[misc]  # the library ships no types
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), ("tags", TaggedFields)),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequest12(RequestStruct):  # type: ignore[misc]  # the library ships no types
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", _TEXT), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicsRequest(Request[MetadataRequest_v4 | MetadataRequest_v5 | _MetadataRequest12]):  # type: ignore[misc]
    """Asks about named topics, in the newest version both sides know."""

    API_KEY = 3

    def __init__(self, names: Sequence[str], *, operations: bool) -> None:
        self._names = names
        self._operations = operations

    # The library's request types are unknown to the type checker.
    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class is _MetadataRequest12:
            topics: list[tuple[UUID, str, dict[int, bytes]]] = [(_NO_ID, name, {}) for name in self._names]
            return request_struct_class(topics, False, self._operations, {})  # noqa: FBT003 - fields by position
        return request_struct_class(list(self._names), False)  # noqa: FBT003 - the same


async def fetch_metadata(client: AIOKafkaClient, names: Sequence[str], *, operations: bool = False) -> ClusterMetadata:
    """Return the cluster and those of the topics ``names`` that exist; with ``operations`` what may be done with them.

    Raises:
        aiokafka.errors.KafkaError: no broker answers, or a topic may not be looked at.
    """
    # The second connection: on the first the question would wait behind a fetch that the broker holds open.
    request = _TopicsRequest(names, operations=operations)
    found = (await ask_any(client, request)).to_object()
    topics: dict[str, TopicMetadata] = {}
    for topic in found["topics"]:
        if topic["error_code"] == _UNKNOWN_TOPIC:
            continue
        error = for_code(topic["error_code"])
        if error is not NoError:
            raise error(topic["topic"])
        topics[topic["topic"]] = TopicMetadata(
            id=str(topic["topic_id"]) if "topic_id" in topic else "",
            leaders={partition["partition"]: partition["leader"] for partition in topic["partitions"]},
            replication=min((len(partition["replicas"]) for partition in topic["partitions"]), default=0),
            operations=_allowed(topic.get("authorized_operations", 0)),
        )
    return ClusterMetadata(cluster_id=found["cluster_id"] or "", brokers=len(found["brokers"]), topics=topics)


async def fetch_topic_configs(client: AIOKafkaClient, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Return each topic's configuration, key → text; a topic is missing where the broker does not tell.

    Raises:
        aiokafka.errors.KafkaError: no broker answers.
    """
    if not names:
        return {}
    # All entries: the embedded broker hangs up on a question about one.
    wanted: list[tuple[int, str, None]] = [(ConfigResourceType.TOPIC.value, name, None) for name in names]
    answer = await ask_any(client, DescribeConfigsRequest(wanted))
    found: dict[str, dict[str, str]] = {}
    for code, _message, _type, name, entries in answer.resources:
        if for_code(code) is NoError:
            # The rest of an entry (read-only, source, synonyms) differs by version and is not needed.
            found[name] = {str(entry[0]): str(entry[1]) for entry in entries if entry[1] is not None}
    return found


async def ask_any(client: AIOKafkaClient, request: Any) -> Any:
    """Return the answer of any broker to a question that all can answer.

    One that was killed is named for seconds, until the cluster misses it: then another is asked.

    Raises:
        aiokafka.errors.KafkaError: none can be reached, or the one that was asked does not answer.
    """
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    if not nodes:
        raise KafkaConnectionError("no broker is known")
    random.shuffle(nodes)
    for node in nodes[1:]:
        with suppress(*UNREACHED):
            return await client.send(node, request, group=ConnectionGroup.COORDINATION)
    return await client.send(nodes[0], request, group=ConnectionGroup.COORDINATION)


def _allowed(bits: int) -> frozenset[str] | None:
    """Return the operations of a bit field; one that is not told is negative, or zero with the embedded broker."""
    return frozenset(name for name, bit in _OPERATIONS.items() if bits >> bit & 1) if bits > 0 else None


def require_topics(metadata: ClusterMetadata, names: Sequence[str]) -> None:
    """Raise ``NoTopicError`` naming the topics that do not exist."""
    missing = sorted(set(names) - set(metadata.topics))
    if missing:
        raise NoTopicError(f"no such topic: {', '.join(missing)}", frozenset(missing))
