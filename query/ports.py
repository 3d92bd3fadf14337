"""What the query service asks of nodes, as a port.

What always holds: an answer that was returned is a success's JSON; everything else is a typed error. Who calls it: the
gathering of parts and the routes that ask one node. It must not know: a client library.
"""

from typing import Any, NamedTuple, Protocol

from schemas.events import NodeRecord


class NodeQuestion(NamedTuple):
    """One request to a node's API.

    Attributes:
        method: GET or POST.
        path: path and query, percent-encoded, as they go into the request line.
        body: JSON, or None.
    """

    method: str
    path: str
    body: bytes | None = None


class NodeAsker(Protocol):
    """Asks nodes with their search keys. Keeps no state that outlives a question, but connections."""

    async def ask(self, node: NodeRecord, question: NodeQuestion, *, timeout_s: float) -> Any:
        """Return the parsed JSON of the node's answer. Cancelling it leaves nothing behind.

        Raises:
            NodeUnreachableError: no connection; ``NodeGarbledError`` where its answer was cut short, or is none.
            NodeTimeoutError: no answer within ``timeout_s`` seconds.
            NodeBusyError: it says that it is overloaded; ``NodeFullError`` where too many requests are under way at it.
            NodeForgotError: it does not know the key: the key was replaced, or the disk lost.
            NodeRejectedError: another answer that is no success; status, Meilisearch's code and message. Also one
                too large to be read: 413 ``payload_too_large``, as if the node had refused to give so much.
        """
