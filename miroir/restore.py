"""A backup into a new index: made with the file's settings, then every document produced as any producer would.

What always holds: nothing is made before the file was read to its end and found whole; a document is in the log under
its id, so that doing it again changes nothing. Who calls it: ``miroir restore``. It must not know: terminals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from miroir.backup_file import check_backup, read_backup
from miroir.client import UNANSWERED, QueryClient
from miroir.cluster_view import ClusterView
from miroir.produce import Produced, produce
from miroir.visibility import Standing, until_visible
from query.freshness import build_token
from schemas.backups import BackupHeader
from schemas.errors import InvalidRequestError, MiroirError
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset
from schemas.kafka import KafkaConfig
from schemas.requests import CreateIndex, UpdateSettings
from streams.kafka.writer import KafkaLogWriter

VISIBLE_S = 24 * 3600.0
"""How long the documents may take to be visible everywhere: as long as a rebuild."""

Report = Callable[[int, int, str], None]
"""Takes how much is done, of how much, and what is done."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The index that is to be made; None is as the file says.

    Attributes:
        again: whether it may be there already, of an earlier try.
    """

    uid: IndexUid | None = None
    shards: int | None = None
    replication: int | None = None
    groups: tuple[int, ...] | None = None
    again: bool = False


class Restored(NamedTuple):
    """What was made; ``token`` makes a search wait for all of it, and is empty where there were no documents."""

    uid: IndexUid
    incarnation: Incarnation
    documents: int
    token: str


async def restore(
    client: QueryClient, kafka: KafkaConfig, path: Path, wanted: Wanted, *, report: Report = lambda *_: None
) -> Restored:
    """Make the index, produce the documents, and return once every copy has them.

    Args:
        client: of a query service.
        kafka: the log.
        path: the backup.
        wanted: the index.
        report: told each step.

    Raises:
        InvalidInputError: the file is no whole backup; nothing was made.
        MiroirError: the index is there already, cannot be made, or is not visible in time; says what to do.
    """
    report(0, 0, "checking the file")
    backup = check_backup(path)
    uid = wanted.uid or backup.header.uid
    async with ClusterView(kafka) as view:
        await view.refresh()
        existing = view.topology.indexes.get(uid)
        if existing is not None and not wanted.again:
            text = f"index {uid!r} is there already: give another name with --as, or delete it first"
            raise MiroirError(f"{text}; --again goes on with a restore of this file that was cut off")
        if existing is not None:
            _require_alike(existing, backup.header)
        await _create(client, uid, backup.header, wanted, is_there=existing is not None)
        await view.refresh()
        index = view.topology.index(uid)
        size_bytes = backup.size_bytes
        produced = await _produce(kafka, index, path, lambda done, what: report(done, size_bytes, what))
        if produced.documents != backup.footer.documents:
            found = f"{produced.documents} documents produced, {backup.footer.documents} expected"
            raise MiroirError(f"{path}: {found}: the file was changed meanwhile")

        def tell(standing: Standing) -> None:
            report(standing.reached, standing.wanted, f"{produced.documents:,} documents become visible on every copy")

        await until_visible(view, uid, produced.ends, timeout_s=VISIBLE_S, report=tell)
    offsets = {partition: Offset(end - 1) for partition, end in produced.ends.items()}
    return Restored(uid, index.incarnation, produced.documents, build_token(uid, offsets))


async def _create(client: QueryClient, uid: IndexUid, header: BackupHeader, wanted: Wanted, *, is_there: bool) -> None:
    request = CreateIndex(
        uid,
        header.primary_key,
        shards=wanted.shards or header.shards,
        replication=wanted.replication or header.replication,
        partitioner=header.partitioner,
        groups=wanted.groups or header.groups,
    )
    try:
        if not is_there:
            await client.request(request)
        await client.request(UpdateSettings(uid, header.settings))
    except InvalidRequestError as error:
        if error.code == UNANSWERED:
            # What was asked for may still be done, so that the index is there the next time.
            raise MiroirError(f"index {uid!r}: {error} then restore with --again") from error
        hint = "other numbers of copies: --replication, --group"
        raise MiroirError(f"index {uid!r} cannot be made as the file says: {error} ({hint})") from error


def _require_alike(index: IndexRecord, header: BackupHeader) -> None:
    """Raise where an index that is there cannot be what an earlier try has made."""
    if index.primary_key != header.primary_key:
        text = f"its primary key is {index.primary_key!r}, the file's {header.primary_key!r}"
        raise MiroirError(f"index {index.uid!r}: {text}: it was not made from this file")


async def _produce(kafka: KafkaConfig, index: IndexRecord, path: Path, report: Callable[[int, str], None]) -> Produced:
    if index.primary_key is None:
        return Produced()
    writer = KafkaLogWriter(kafka)

    def tell(documents: int, bytes_read: int) -> None:
        report(bytes_read, f"{documents:,} documents produced")

    try:
        # What the file says of the index need not be what was asked for: the index's own record decides.
        return await produce(writer, index, read_backup(path), id_field=index.primary_key, report=tell)
    finally:
        await writer.close()
