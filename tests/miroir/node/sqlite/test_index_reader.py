"""One index as a reader sees it: what it keeps in memory."""

import tracemalloc

import orjson

from miroir.node.sqlite.index_reader import DOCUMENTS_BYTES_MAX, SqliteIndexReader
from tests.miroir.node.indexing.test_batch import Bench

SIZE_BYTES = 4 * 1024 * 1024


def test_large_documents_are_not_all_kept() -> None:
    """A reader that has shown many large documents keeps no more of them than its bound."""
    bench = Bench()
    count = 2 * DOCUMENTS_BYTES_MAX // SIZE_BYTES
    files = bench.store.open(bench.record)
    for number in range(count):
        files.put_body(number, str(number), orjson.dumps({"id": number, "text": "x" * SIZE_BYTES}))
    reader = SqliteIndexReader(bench.store.db, bench.record)
    tracemalloc.start()

    shown = [reader.document(number)["id"] for number in range(count)]

    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shown == list(range(count))
    assert kept_bytes < 1.5 * DOCUMENTS_BYTES_MAX
    assert reader.document(0)["id"] == 0
