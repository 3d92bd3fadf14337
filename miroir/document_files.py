"""Files of documents: NDJSON, one JSON array, or one JSON object; gzipped or not.

What always holds: NDJSON is read line by line whatever its size; a JSON array is read as a whole. A document that is
not JSON stops with the file's name and its place there. Who calls it: ``miroir produce``, the demonstration. It must
not know: where documents go.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from schemas.documents import check_integers
from schemas.errors import InvalidInputError, MiroirError


class FileDocument(NamedTuple):
    """One document of a file.

    Attributes:
        place: where it stands, for people: ``line 7`` or ``item 7``.
        fields: parsed.
        value: its JSON text.
        bytes_read: how much of the file, as it stands on the disk, had been read when it came; 0 of a pipe.
    """

    place: str
    fields: dict[str, Any]  # a document is any JSON object
    value: bytes
    bytes_read: int


def read_documents(path: Path) -> Iterator[FileDocument]:
    """Yield the documents of a file, in its order.

    Raises:
        InvalidInputError: something in it is not JSON, or not an object; names the file and the place.
        MiroirError: the file cannot be read.
    """
    try:
        with path.open("rb") as raw, _opened(path, raw) as text:
            # A pipe cannot tell how far it was read.
            tell = raw.tell if raw.seekable() else lambda: 0
            first = text.readline()
            # An array or an object over many lines begins with a line that is no object by itself.
            if first.strip() and not _is_object(first):
                yield from _items(first + text.read(), tell())
                return
            for number, line in enumerate(chain([first], text), start=1):
                if line.strip():
                    yield _document(f"line {number}", line.strip(), tell())
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise MiroirError(f"{path}: {error}") from error


def _opened(path: Path, raw: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """Return the file's text, decompressed where its name ends with ``.gz``."""
    if path.suffix != ".gz":
        return nullcontext(raw)
    return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]  # it reads as one, and its type does not say so


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _items(text: bytes, bytes_read: int) -> Iterator[FileDocument]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"not JSON: {error}") from error
    # Each item is written anew below: a number that was rounded would not show any more.
    check_integers(text)
    for number, item in enumerate(found if isinstance(found, list) else [found], start=1):
        if not isinstance(item, dict):
            raise InvalidInputError(f"item {number}: expected a JSON object, found {type(item).__name__}")
        yield FileDocument(f"item {number}", item, orjson.dumps(item), bytes_read)


def _document(place: str, line: bytes, bytes_read: int) -> FileDocument:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"{place}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f"{place}: expected a JSON object, found {type(found).__name__}")
    return FileDocument(place, found, line, bytes_read)
