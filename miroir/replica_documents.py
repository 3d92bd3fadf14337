"""The documents that a node holds of a shard, asked from the node itself with the worker's key.

What always holds: a document is a shard's where it carries the shard's marker. Who calls it: ``verify``,
``backup``. It must not know: the log.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any, Self

import httpx
import orjson

from miroir.comparison import node_digest
from miroir.vectors_form import NO_EMBEDDERS, Embedders
from schemas.config import Settings
from schemas.document_ids import find_ids
from schemas.errors import NodeError, NodeForgotError, NodeRejectedError, NodeTimeoutError, NodeUnreachableError
from schemas.events import IndexRecord, NodeRecord
from schemas.ids import ShardId, node_index_uid
from schemas.keys import derive_key
from streams.marker import MARKER_FIELD, shards_filter

PAGE = 1000
"""Documents of one answer: about 1 MB of 1 KB documents."""

PAGE_WITH_VECTORS = 200
"""The same where they come with vectors: 6 MB with 1,536 numbers each, and ten times that once they are read."""

_ACTION = "fetch documents"


class ReplicaDocuments:
    """Connections to nodes.

    Args:
        settings: the nodes' master key, and how long a node may take.
    """

    def __init__(self, settings: Settings) -> None:
        self._master_key = settings.node_master_key.get_secret_value()
        # identity: a compressed answer of a real node comes 40 ms late.
        self._http = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity"}, timeout=settings.node_timeout_s, trust_env=False
        )

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first question."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._http.aclose()

    async def of_shard(
        self, index: IndexRecord, shard: ShardId, node: NodeRecord, *, embedders: Embedders = NO_EMBEDDERS
    ) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield id → digest of every document of the shard, page by page.

        Args:
            index: the index.
            shard: of the index.
            node: one that holds it.
            embedders: those whose vectors count.

        Raises:
            NodeError: the node does not answer, or not with documents.
        """
        async for page in self._pages(index, shard, node, vectors=bool(embedders)):
            yield _digests(page, index, embedders)

    async def whole_of_shard(
        self, index: IndexRecord, shard: ShardId, node: NodeRecord, *, vectors: bool = False
    ) -> AsyncIterator[dict[str, Any]]:  # a document is any JSON object
        """Yield every document of the shard as the node has it, marker and all, page by page.

        Args:
            index: the index.
            shard: of the index.
            node: one that holds it.
            vectors: whether with their vectors, which a node keeps apart.

        Raises:
            NodeError: the node does not answer, or not with documents.
        """
        async for page in self._pages(index, shard, node, vectors=vectors):
            for document in page:
                yield document

    async def of_ids(
        self, index: IndexRecord, ids: Collection[str], node: NodeRecord, *, embedders: Embedders = NO_EMBEDDERS
    ) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield id → digest of those of these documents that the node has, of whichever shard, page by page.

        Args:
            index: the index.
            ids: of documents.
            node: one that may hold them.
            embedders: those whose vectors count.

        Raises:
            NodeError: the node does not answer, or not with documents.
        """
        wanted, page = sorted(ids), _page(vectors=bool(embedders))
        for start in range(0, len(wanted), page["limit"]):
            body = {**page, "ids": wanted[start : start + page["limit"]]}
            yield _digests((await self._fetch(index, node, body))["results"], index, embedders)

    async def count_outside(self, index: IndexRecord, shards: Sequence[ShardId], node: NodeRecord) -> int:
        """Return how many documents of the index are of none of these shards.

        Raises:
            NodeError: the node does not answer, or not with documents.
        """
        others = shards_filter(shards).replace(f"{MARKER_FIELD} IN", f"{MARKER_FIELD} NOT IN", 1)
        return int((await self._fetch(index, node, {"filter": others, "limit": 1}))["total"])

    async def _pages(
        self, index: IndexRecord, shard: ShardId, node: NodeRecord, *, vectors: bool
    ) -> AsyncIterator[list[dict[str, Any]]]:  # documents
        body = {**_page(vectors=vectors), "filter": shards_filter([shard])}
        offset = 0
        while True:
            page = (await self._fetch(index, node, {**body, "offset": offset}))["results"]
            yield page
            offset += len(page)
            if len(page) < body["limit"]:
                return

    async def _fetch(self, index: IndexRecord, node: NodeRecord, body: Mapping[str, Any]) -> Any:  # as the node has it
        uid = node_index_uid(index.uid, index.incarnation)
        key = derive_key(self._master_key, node.worker_key)
        try:
            answer = await self._http.post(
                f"{node.url.rstrip('/')}/indexes/{uid}/documents/fetch",
                json=body,
                headers={"Authorization": f"Bearer {key}"},
            )
        except httpx.TimeoutException as error:
            raise NodeTimeoutError(node.id, _ACTION, type(error).__name__) from error
        except httpx.TransportError as error:
            raise NodeUnreachableError(node.id, _ACTION, f"{type(error).__name__}: {error}") from error
        if answer.is_success:
            return orjson.loads(answer.content)
        raise _to_error(node, answer)


def _page(*, vectors: bool) -> dict[str, Any]:  # JSON
    """Return what asks for one page."""
    return {"limit": PAGE_WITH_VECTORS, "retrieveVectors": True} if vectors else {"limit": PAGE}


def _digests(page: Iterable[Mapping[str, Any]], index: IndexRecord, embedders: Embedders) -> Mapping[str, bytes]:
    return {_id_of(document, index): node_digest(document, embedders) for document in page}


def _id_of(document: Mapping[str, Any], index: IndexRecord) -> str:
    values = find_ids(document, index.primary_key or "")
    return str(values[0]) if values else ""


def _to_error(node: NodeRecord, answer: httpx.Response) -> NodeError:
    if answer.status_code == httpx.codes.FORBIDDEN:
        return NodeForgotError(node.id, _ACTION, "403: it does not know the worker's key")
    try:
        code = str(orjson.loads(answer.content).get("code", ""))
    except (orjson.JSONDecodeError, AttributeError):
        code = ""
    return NodeRejectedError(node.id, _ACTION, status=answer.status_code, code=code, detail=answer.text[:200])
