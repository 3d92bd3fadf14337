"""What applying the log needs of a node.

What always holds: every call ends within a time limit, and raises a ``NodeError``. Who implements it:
``agents/nodes/writer.py`` over HTTP; the tests' fake, which passes the same conformance suite.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agents.posts import PostPart
from agents.tail import TaskView
from schemas.ids import NodeIndexUid, SettingsVersion


class NodeWriter(Protocol):
    """One node, spoken to with the worker's key."""

    async def post(self, index: NodeIndexUid, part: PostPart) -> int:
        """Send one part; return the uid of its task, which is durable and has not run yet.

        Raises:
            NodeTimeoutError, NodeUnreachableError: it may have been taken all the same; the task list decides.
            NodeForgotError: the node has lost its disk.
            NodeRejectedError: the node refuses: its task database is full, the index is not there.
        """

    async def drop(self, index: NodeIndexUid, condition: str, metadata: str) -> int:
        """Delete the documents that the filter finds; return the uid of the task. Raises as ``post``."""

    async def clear(self, index: NodeIndexUid, metadata: str) -> int:
        """Delete every document of the index, at a cost that does not grow with them. Returns, raises as ``drop``."""

    async def tasks_from(self, uid: int) -> Sequence[TaskView]:
        """Return all tasks from ``uid`` on, inclusive, by uid. Raises as ``post``."""

    async def settings_version(self, index: NodeIndexUid) -> SettingsVersion | None:
        """Return the version of the index's settings; None where the index, or its version, is not there."""

    async def documents(self, index: NodeIndexUid, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Return those of the documents that the node has, as it has them. Raises as ``post``."""

    async def accepts(self, key: str) -> bool:
        """Return whether the node knows this key, of whichever role. Raises as ``post``, but for its own 403."""

    async def close(self) -> None:
        """Leave. Safe to call twice."""
