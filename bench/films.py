"""The films as a benchmark's index.

What always holds: the index is there and every copy visible when ``load_films`` returns. Who calls it: the benchmarks.
It must not know: what is measured.
"""

from collections.abc import Iterable

from bench.setting import create_index
from miroir.cluster_view import ClusterView
from miroir.demo import FILMS
from miroir.document_files import FileDocument, read_documents
from miroir.produce import produce
from miroir.stack import Stack
from miroir.visibility import until_visible
from schemas.ids import IndexUid
from schemas.requests import SHARDS_DEFAULT, CreateIndex
from streams.kafka.writer import KafkaLogWriter

VISIBLE_S = 600.0


async def load(
    stack: Stack, uid: IndexUid, documents: Iterable[FileDocument], *, replication: int, shards: int = SHARDS_DEFAULT
) -> int:
    """Create the index, produce the documents to Kafka, wait until all is visible; return how many."""
    await create_index(stack, CreateIndex(uid, "id", shards=shards, replication=replication))
    async with ClusterView(stack.kafka) as view:
        await view.refresh()
        writer = KafkaLogWriter(stack.kafka)
        produced = await produce(writer, view.topology.index(uid), documents, id_field="id")
        await writer.close()
        await until_visible(view, uid, produced.ends, timeout_s=VISIBLE_S)
    return produced.documents


async def load_films(stack: Stack, uid: IndexUid, *, replication: int, shards: int = SHARDS_DEFAULT) -> int:
    """Load the films that come with the project."""
    return await load(stack, uid, read_documents(FILMS), replication=replication, shards=shards)
