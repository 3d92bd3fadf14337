"""Asks nodes over HTTP, over connections that are kept open.

What always holds: answers come uncompressed; no more requests are under way at one node than it is allowed; a question
is put again only where its connection had been closed in the meantime, before anything of an answer came: it only
reads; foreign exceptions are translated here. Who calls it: the gathering of parts. It must not know: what is asked.
Why not a ready-made client: ``docs/decisions/0008-a-client-of-our-own-for-searches.md``.
"""

import asyncio
import ssl
from types import TracebackType
from typing import Any, Self

import orjson

from query.nodes.connection import CutError, OverlongAnswerError, Reply
from query.nodes.pool import ConnectionPool
from query.nodes.request import Origin, build_head, build_request, parse_address
from query.ports import NodeQuestion
from query.shapes import shape_fault
from schemas.errors import (
    NodeBusyError,
    NodeForgotError,
    NodeFullError,
    NodeGarbledError,
    NodeRejectedError,
    NodeTimeoutError,
    NodeUnreachableError,
)
from schemas.events import NodeRecord
from schemas.ids import NodeId
from schemas.keys import derive_key

HEADS_MAX = 4096
"""Heads of requests remembered: one a route of each index on each node; beyond, they are built again."""

_OK = range(200, 300)
_OVERLOADED = (429, 503)
_OVERLONG = "The page is too large, ask for a smaller `limit` or `offset`, or for fewer attributes"


class NodeClient:
    """``NodeAsker`` over connections of its own. Used as a context.

    Args:
        master_key: of the nodes; their search keys are derived from it.
        searches_max: most requests at once at one node.
        tls: how nodes with https are verified; None is as the system does.
    """

    def __init__(self, master_key: str, *, searches_max: int, tls: ssl.SSLContext | None = None) -> None:
        self._master_key = master_key
        self._searches_max = searches_max
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ConnectionPool | None = None
        self._heads: dict[tuple[str, str, str, str, bool], tuple[Origin, bytes]] = {}
        self._under_way: dict[NodeId, int] = {}

    async def __aenter__(self) -> Self:
        """Open the pool; connections are made when they are needed."""
        self._loop = asyncio.get_running_loop()
        self._pool = ConnectionPool(self._loop, self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.close()

    def under_way(self, node: NodeId) -> int:
        """Return how many requests are under way at the node."""
        return self._under_way.get(node, 0)

    async def ask(self, node: NodeRecord, question: NodeQuestion, *, timeout_s: float) -> Any:
        """Return the parsed JSON of the node's answer; see ``NodeAsker``."""
        under_way = self._under_way.get(node.id, 0)
        if under_way >= self._searches_max:
            raise NodeFullError(node.id, _action(question), f"{under_way} requests under way")
        self._under_way[node.id] = under_way + 1
        try:
            reply = await self._exchange(node, question, timeout_s)
        except TimeoutError as error:
            raise NodeTimeoutError(node.id, _action(question), f"no answer within {timeout_s:.2f} s") from error
        except OverlongAnswerError as error:
            # Not the node's fault, and no other's answer would be shorter: it is the question that is refused.
            action, detail = _action(question), f"{_OVERLONG}: {error}"
            raise NodeRejectedError(node.id, action, status=413, code="payload_too_large", detail=detail) from error
        except CutError as error:
            kind = NodeUnreachableError if error.untouched else NodeGarbledError
            raise kind(node.id, _action(question), str(error)) from error
        except (OSError, ValueError) as error:
            raise NodeUnreachableError(node.id, _action(question), str(error)) from error
        finally:
            self._under_way[node.id] -= 1
        return _answer(node.id, question, reply)

    async def _exchange(self, node: NodeRecord, question: NodeQuestion, timeout_s: float) -> Reply:
        assert self._loop is not None, "the client is used as a context"
        assert self._pool is not None, "the client is used as a context"
        until_s = self._loop.time() + timeout_s
        origin, head = self._head(node, question)
        request = build_request(head, question.body)
        kept = self._pool.take(origin)
        while True:
            connection = kept or await self._pool.connect(origin, until_s=until_s)
            try:
                reply = await connection.send(request, until_s=until_s)
            except BaseException as error:
                # Cancelled, or broken: an answer that still comes must never be taken for another question's.
                connection.close()
                if kept is None or not isinstance(error, CutError) or not error.untouched:
                    raise
                # Closed by the node while it was idle: neither's fault.
                kept = None
            else:
                self._pool.give_back(origin, connection)
                return reply

    def _head(self, node: NodeRecord, question: NodeQuestion) -> tuple[Origin, bytes]:
        with_body = question.body is not None
        name = (node.url, node.search_key, question.method, question.path, with_body)
        found = self._heads.get(name)
        if found is None:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            address = parse_address(node.url)
            key = derive_key(self._master_key, node.search_key) if self._master_key else ""
            head = build_head(address, question.method, question.path, key=key, with_body=with_body)
            found = self._heads[name] = (address.origin, head)
        return found


def _action(question: NodeQuestion) -> str:
    return f"{question.method} {question.path.partition('?')[0]}"


def _answer(node: NodeId, question: NodeQuestion, reply: Reply) -> Any:
    status, body = reply
    answer: Any = None
    try:
        answer = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        if status not in _OVERLOADED:
            detail = f"status {status} and no JSON: {body[:80]!r}"
            raise NodeGarbledError(node, _action(question), detail) from error
    if status in _OK:
        if fault := shape_fault(question.path, answer):
            raise NodeGarbledError(node, _action(question), fault)
        return answer
    code = str(answer.get("code", "")) if isinstance(answer, dict) else ""
    detail = str(answer.get("message", "")) if isinstance(answer, dict) else ""
    if status in _OVERLOADED:
        raise NodeBusyError(node, _action(question), f"{status} {code}: {detail}")
    if code in ("invalid_api_key", "missing_authorization_header"):
        raise NodeForgotError(node, _action(question), detail)
    raise NodeRejectedError(node, _action(question), status=status, code=code, detail=detail)
