"""The names of things: small types that stop one number from being taken for another.

What always holds: these are plain ``int`` and ``str`` at run time; text from outside becomes one of them only through a
``parse_`` function here. Who calls it: every room.
"""

import re
from typing import NewType

from schemas.errors import InvalidInputError

Offset = NewType("Offset", int)
"""Where one record stands in its partition."""

Position = NewType("Position", int)
"""Where a consumer stands: the next offset it will read. Exclusive of everything before it."""

Partition = NewType("Partition", int)
"""A Kafka partition's number, from 0."""

ShardId = NewType("ShardId", int)
"""A shard's number; equal to its partition's number."""

NodeId = NewType("NodeId", str)
"""An operator's name for one Meilisearch process."""

IndexUid = NewType("IndexUid", str)
"""The name users give an index."""

NodeIndexUid = NewType("NodeIndexUid", str)
"""The name an index has on a node: uid and incarnation, never used twice."""

Incarnation = NewType("Incarnation", int)
"""The offset of the request that created the index: an index of the same name made later has another."""

Epoch = NewType("Epoch", int)
"""A position in the cluster topic: everything before it has been folded. Compared with ``>=``, never computed."""

Attempt = NewType("Attempt", int)
"""One placement of a shard on a node; a later placement has a larger number."""

SettingsVersion = NewType("SettingsVersion", int)
"""The offset of the request that last changed an index's settings, or of the one that created it."""

TaskUid = NewType("TaskUid", int)
"""The offset of a client task's record. On a node: the node's own number of a task."""

INDEX_UID_BYTES_MAX = 200
"""Kafka allows 249 bytes in a topic name, and Meilisearch 400 in a uid; ours adds a prefix and the incarnation."""

NODE_ID_BYTES_MAX = 100
"""Long enough for a host name, short enough for a label of a metric."""

SHARDS_MAX = 4096
"""The marker has 65,534 private-use characters; far before that a cluster topic holds too many replicas."""

_INDEX_UID = re.compile(r"[a-zA-Z0-9_-]+")
_INCARNATION = re.compile(r"0|[1-9][0-9]{0,18}")
_NODE_ID = re.compile(r"[a-zA-Z0-9._-]+")


def parse_index_uid(text: str) -> IndexUid:
    """Return ``text`` as an index uid.

    Raises:
        InvalidInputError: it is empty, too long, or holds anything but letters, digits, ``-`` and ``_`` (Meilisearch's
            own rule; https://www.meilisearch.com/docs/learn/getting_started/indexes).
    """
    if not _INDEX_UID.fullmatch(text) or len(text) > INDEX_UID_BYTES_MAX:
        msg = (
            f"index uid {text[:40]!r}: expected 1 to {INDEX_UID_BYTES_MAX} characters out of a-z A-Z 0-9 - and _,"
            f" found {len(text)} characters"
        )
        raise InvalidInputError(msg)
    return IndexUid(text)


def parse_node_id(text: str) -> NodeId:
    """Return ``text`` as a node id.

    Raises:
        InvalidInputError: it is empty, too long, or holds anything but letters, digits, ``.``, ``-`` and ``_``.
    """
    if not _NODE_ID.fullmatch(text) or len(text) > NODE_ID_BYTES_MAX:
        raise InvalidInputError(f"node id {text[:40]!r}: expected 1 to {NODE_ID_BYTES_MAX} of a-z A-Z 0-9 . - _")
    return NodeId(text)


def node_index_uid(index: IndexUid, incarnation: Incarnation) -> NodeIndexUid:
    """Return the name of this incarnation of the index on every node.

    The incarnation is part of it, so that a post to a deleted index can never reach its successor.
    """
    return NodeIndexUid(f"{index}__{incarnation}")


def parse_node_index_uid(text: str) -> tuple[IndexUid, Incarnation] | None:
    """Return index and incarnation, or None where the name is not one of ours."""
    index, separator, incarnation = text.rpartition("__")
    # "films__007" is not "films__7": what we did not build is not ours.
    if not index or not separator or not _INCARNATION.fullmatch(incarnation):
        return None
    return IndexUid(index), Incarnation(int(incarnation))
