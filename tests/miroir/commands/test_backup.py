"""``miroir backup`` on a running stack: from the log, from the nodes, and what it refuses."""

import asyncio
import gzip
import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from miroir.backup import BackupMaker
from miroir.broker import EmbeddedBroker
from schemas.config import Settings
from schemas.errors import MiroirError
from schemas.events import SettingsRecord, build_key, build_value
from schemas.ids import Partition
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.topics import CLUSTER, docs_topic, own_topics
from tests.builders import make_index as make_record
from tests.miroir.local_stack import LocalStack

DOCUMENTS = 30
FIRST_CHANGED = 5


def make_index(stack: LocalStack, uid: str, file: Path) -> None:
    """Make an index of documents, of which the first few are written twice, the last one deleted."""
    lines = [{"id": n, "title": f"film {n}", "price": 1.5, "none": None} for n in range(DOCUMENTS)]
    again = [{"id": n, "title": "changed"} for n in range(FIRST_CHANGED)]
    file.write_text("\n".join(map(json.dumps, [*lines, *again])))
    stack.run("index", "create", uid, "--primary-key", "id", "--shards", "2", "--replication", "1")
    stack.run("produce", str(file), "--index", uid, "--wait")


def names_in(directory: Path) -> list[str]:
    """Return what lies there."""
    return sorted(path.name for path in directory.iterdir())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return every line of a gzipped backup."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_backup_from_log_and_from_nodes_is_the_same(local_stack: LocalStack, tmp_path: Path) -> None:
    """Every document is there once, as it was written last, without the marker; the header tells the positions."""
    make_index(local_stack, "kept", tmp_path / "documents.ndjson")
    from_log, from_nodes = tmp_path / "log.ndjson.gz", tmp_path / "nodes.ndjson.gz"

    told = local_stack.run("backup", "kept", str(from_log), "--json").json
    standing = local_stack.run("backup", "kept", str(from_nodes), "--source", "nodes", code=1).err
    local_stack.run("index", "pause", "kept")
    local_stack.run("backup", "kept", str(from_nodes))
    local_stack.run("backup", "kept", str(from_nodes), "--source", "nodes", "--force")

    header, *documents, footer = read_lines(from_log)
    assert (told["documents"], told["source"], sum(told["cursors"])) == (DOCUMENTS, "log", DOCUMENTS + FIRST_CHANGED)
    assert (header["uid"], header["cursors"], footer["documents"]) == ("kept", told["cursors"], DOCUMENTS)
    assert {each["id"]: each["title"] for each in documents} == {
        n: "changed" if n < FIRST_CHANGED else f"film {n}" for n in range(DOCUMENTS)
    }
    assert "miroir index pause kept" in standing
    other, *others, _ = read_lines(from_nodes)
    assert (other["source"], other["cursors"]) == ("nodes", header["cursors"])
    assert sorted(others, key=lambda each: each["id"]) == sorted(documents, key=lambda each: each["id"])
    local_stack.run("index", "delete", "kept", "--yes")


@pytest.mark.parametrize(
    ("index", "name", "said"),
    [("nobody", "new.gz", "not found"), ("nobody", "there.gz", "--force"), ("nobody", "no/new.gz", "no directory")],
)
def test_backup_refused_says_why(local_stack: LocalStack, tmp_path: Path, index: str, name: str, said: str) -> None:
    """An index that is not there, a file that is, and a directory that is not."""
    (tmp_path / "there.gz").touch()

    assert said in local_stack.run("backup", index, str(tmp_path / name), code=1).err
    assert names_in(tmp_path) == ["there.gz"]


RECORD = make_record()
RECORDS = [Append(RECORD.topic, Partition(n % 2), f"{n}".encode(), b'{"id":%d}' % n) for n in range(DOCUMENTS)]


async def make_anew(kafka: KafkaConfig) -> None:
    """Delete the index's topic and make it again, with the same number of records."""
    admin, writer = KafkaLogAdmin(kafka), KafkaLogWriter(kafka)
    try:
        await admin.delete([RECORD.topic])
        await admin.create([docs_topic(RECORD.topic, RECORD.shards)])
        await writer.append(RECORDS)
    finally:
        await writer.close()
        await admin.close()


@pytest.mark.slow
async def test_backup_of_a_log_made_anew_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """The shards behind the first one would be another log's, at the same positions; no file is left."""
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    admin, writer = KafkaLogAdmin(broker.config), KafkaLogWriter(broker.config)
    reached = {"kafka": broker.address, "kafka_idempotence": False, "kafka_transactions": False}
    settings = Settings.model_validate(reached | {"node_master_key": "x" * 16})
    done: list[str] = []

    def report(_done: int, _total: int, what: str) -> None:
        if not done:
            done.append(what)
            other = Thread(target=asyncio.run, args=(make_anew(broker.config),))
            other.start()
            other.join()

    try:
        await admin.create([*own_topics(), docs_topic(RECORD.topic, RECORD.shards)])
        cluster = (SettingsRecord(RECORD.uid, RECORD.incarnation, RECORD.settings_version, {}), RECORD)
        await writer.append([Append(CLUSTER, Partition(0), build_key(v).encode(), build_value(v)) for v in cluster])
        await writer.append(RECORDS)
        with pytest.raises(MiroirError, match="was deleted and made anew") as caught:
            async with BackupMaker(settings, report=report) as maker:
                await maker.run(RECORD.uid, tmp_path / "films.ndjson")
    finally:
        await writer.close()
        await admin.close()
        await broker.stop()
    assert "while it was read" in str(caught.value)
    assert names_in(tmp_path) == ["broker.log"]
