"""Backups on disk: written under another name until they are whole, and checked before they are believed.

What always holds: a file under its own name was whole when it got it; reading one that was cut or changed since ends
with an error. Who calls it: ``backup``, ``restore``, ``log reseed``. It must not know: where documents come from.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, NamedTuple, cast

import orjson

from miroir.document_files import FileDocument
from schemas.backups import BackupFooter, BackupHeader, build_footer, build_header, parse_footer, parse_header
from schemas.errors import InvalidInputError, MiroirError

COMPRESSION = 5
"""Three times as fast as the library's 9, and the file some 3 % larger."""

DIGEST_BYTES = 16
"""Two different files share one by a chance of 2^-128."""

_GZIP = b"\x1f\x8b"


class Backup(NamedTuple):
    """A backup that was read to its end."""

    header: BackupHeader
    footer: BackupFooter
    size_bytes: int


class BackupWriter:
    """Writes the lines of one backup; made by ``writing``."""

    def __init__(self, text: IO[bytes]) -> None:
        self._text = text
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self.documents = 0

    def begin(self, header: BackupHeader) -> None:
        """Write the header, before any document."""
        self._line(build_header(header))

    def add(self, document: bytes) -> None:
        """Write one document: JSON without line breaks."""
        self._line(document)
        self.documents += 1

    def end(self) -> None:
        """Write the footer, after every document."""
        self._text.write(build_footer(BackupFooter(self.documents, self._hash.hexdigest())) + b"\n")

    def _line(self, line: bytes) -> None:
        self._hash.update(line + b"\n")
        self._text.write(line + b"\n")


def require_free(path: Path, *, force: bool) -> None:
    """Return where a backup may be written there.

    Raises:
        MiroirError: a file is there, or there is no such directory.
    """
    if path.exists() and not force:
        raise MiroirError(f"{path}: is there already; take another name, or --force to write over it")
    if not path.parent.is_dir():
        raise MiroirError(f"{path}: there is no directory {path.parent}")


@contextmanager
def writing(path: Path) -> Iterator[BackupWriter]:
    """Give a writer of the file; it gets its name once the block ends well, and nothing is left where it does not.

    Raises:
        MiroirError: the disk refuses.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        # Nobody else may read it: settings hold the keys of embedders.
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:  # noqa: PTH123 - a mode
            with _compressed(path, raw) as text:
                writer = BackupWriter(text)
                yield writer
                writer.end()
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        raise MiroirError(f"{path}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def read_backup(path: Path) -> Iterator[FileDocument]:
    """Yield the documents of a backup; one that is cut or changed ends with an error.

    Raises:
        InvalidInputError: it is no backup, or not all of it is there as it was written.
        MiroirError: it cannot be read.
    """
    lines = _lines(path)
    next(lines)
    for place, line, bytes_read in lines:
        if parse_footer(line) is not None:
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InvalidInputError(f"{path}: {place}: not JSON: {error}") from error
        if not isinstance(found, dict):
            raise InvalidInputError(f"{path}: {place}: expected a JSON object, found {type(found).__name__}")
        yield FileDocument(place, found, line, bytes_read)


def check_backup(path: Path) -> Backup:
    """Read a backup to its end and return its first and last line.

    Raises:
        InvalidInputError: it is no backup, or not all of it is there as it was written.
        MiroirError: it cannot be read.
    """
    lines = _lines(path)
    try:
        _, first, _ = next(lines)
        header = parse_header(first)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    last = first
    for _, line, _ in lines:
        last = line
    footer = parse_footer(last)
    assert footer is not None, "the last line that was given is the footer"
    return Backup(header, footer, path.stat().st_size)


def _lines(path: Path) -> Iterator[tuple[str, bytes, int]]:
    """Yield place, line and bytes read of every line; the last is the footer, and says the truth."""
    total = hashlib.blake2b(digest_size=DIGEST_BYTES)
    number, ended = 0, False
    try:
        with path.open("rb") as raw, _decompressed(raw) as text:
            for number, line in enumerate(text, start=1):
                if ended:
                    raise InvalidInputError(f"{path}: line {number}: something stands behind the last line")
                if (footer := parse_footer(line)) is not None:
                    _check_footer(path, footer, number - 2, total.hexdigest())
                    ended = True
                total.update(line)
                yield f"line {number}", line.rstrip(b"\n"), raw.tell()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidInputError(
            f"{path}: cut or damaged after line {number}: {error}; take the backup again"
        ) from error
    except OSError as error:
        raise MiroirError(f"{path}: {error}") from error
    if not number:
        raise InvalidInputError(f"{path}: no backup of miroir: the file is empty")
    if not ended:
        message = f"{path}: cut, or no backup: line {number}, the last, should tell how many documents there are"
        raise InvalidInputError(message)


def _check_footer(path: Path, footer: BackupFooter, documents: int, digest: str) -> None:
    if footer.documents != documents:
        raise InvalidInputError(f"{path}: {footer.documents} documents expected, {documents} found; take it again")
    if footer.digest != digest:
        raise InvalidInputError(f"{path}: it was changed since it was written: digest {digest}, not {footer.digest}")


def _compressed(path: Path, raw: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if path.suffix != ".gz":
        return nullcontext(raw)
    # Without a name and a time in it the same documents give the same file.
    opened = gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=raw, mtime=0)
    return cast("AbstractContextManager[IO[bytes]]", opened)


def _decompressed(raw: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    is_gzip = raw.read(len(_GZIP)) == _GZIP
    raw.seek(0)
    return cast("AbstractContextManager[IO[bytes]]", gzip.GzipFile(fileobj=raw)) if is_gzip else nullcontext(raw)
