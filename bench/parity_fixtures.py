"""Recorded searches and conversations as files: what a directory of them holds.

What always holds: a file that cannot be used is named in the error, with the reason. Who calls it: ``bench.parity`` and
the embedded node's tests. It must not know: how answers are compared.
"""

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FIXTURES = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
"""Where recordings lie beside a checkout."""

CONVERSATION = "conversation"
_SUFFIXES = (".json.gz", ".json")
_EVERY = re.compile(r"every (\d+)(?:st|nd|rd|th) line")


class FixtureError(Exception):
    """A file that is no recording, or that names documents which are not there."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


class SearchFixture(NamedTuple):
    """The recorded searches of one index.

    Attributes:
        name: the index's uid.
        source: where the documents are from, as the file says.
        documents: one JSON object a line.
        cases: ``request`` and ``response`` of each search.
    """

    name: str
    source: str
    settings: Mapping[str, Any]
    documents: bytes
    cases: tuple[Mapping[str, Any], ...]


class Conversation(NamedTuple):
    """Recorded requests, in order."""

    master_key: str
    steps: tuple[Mapping[str, Any], ...]


def fixture_paths(directory: Path) -> dict[str, Path]:
    """Return the recordings of a directory by name.

    Raises:
        FixtureError: there is no such directory, or nothing in it.
    """
    if not directory.is_dir():
        raise FixtureError(directory, "no such directory")
    found = {
        path.name.removesuffix(suffix): path
        for suffix in reversed(_SUFFIXES)
        for path in sorted(directory.iterdir())
        if path.name.endswith(suffix)
    }
    if not found:
        raise FixtureError(directory, "holds no recording (*.json.gz)")
    return dict(sorted(found.items()))


def is_conversation(content: Mapping[str, Any]) -> bool:
    """Tell a conversation from recorded searches."""
    return "steps" in content


def read_recording(path: Path) -> Mapping[str, Any]:
    """Return what a file holds.

    Raises:
        FixtureError: it is not there, cut short, or no JSON object.
    """
    try:
        content = json.loads(_read(path))
    except (OSError, EOFError, ValueError) as error:
        raise FixtureError(path, f"cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise FixtureError(path, "holds no JSON object")
    return content


def read_searches(path: Path, *, whole: bool = False) -> SearchFixture:
    """Return recorded searches with their documents.

    Args:
        path: the file.
        whole: take all documents, also where the file names only some lines.

    Raises:
        FixtureError: something is missing in it, or its documents are.
    """
    content = read_recording(path)
    missing = [name for name in ("documents", "cases") if name not in content]
    if missing:
        raise FixtureError(path, f"lacks {' and '.join(missing)}: neither searches nor a conversation")
    for place, case in enumerate(content["cases"]):
        if not isinstance(case, dict) or not {"request", "response"} <= case.keys():
            raise FixtureError(path, f"case {place} lacks its request or its response")
    name = str(content.get("index", path.name.partition(".")[0]))
    source = content["documents"]
    documents = (
        b"\n".join(json.dumps(document).encode() for document in source)
        if isinstance(source, list)
        else _documents(path, str(source), whole=whole)
    )
    return SearchFixture(name, str(source)[:200], content.get("settings", {}), documents, tuple(content["cases"]))


def read_conversation(path: Path) -> Conversation:
    """Return a recorded conversation.

    Raises:
        FixtureError: it is none.
    """
    content = read_recording(path)
    for place, step in enumerate(content.get("steps", ())):
        if not isinstance(step, dict) or not {"method", "path", "status"} <= step.keys():
            raise FixtureError(path, f"step {place} lacks its method, path or status")
    if not content.get("steps"):
        raise FixtureError(path, "holds no steps")
    return Conversation(content.get("master_key", "masterKey"), tuple(content["steps"]))


def _documents(path: Path, source: str, *, whole: bool) -> bytes:
    named, _, rest = source.partition(",")
    places = (path.parent.parent, path.parent, FIXTURES.parent)
    file = next((place / named.strip() for place in places if (place / named.strip()).is_file()), None)
    if file is None:
        raise FixtureError(path, f"its documents {named.strip()!r} are not beside it")
    try:
        lines = _read(file).splitlines()
    except (OSError, EOFError) as error:
        raise FixtureError(file, f"cannot be read: {error}") from error
    every = _EVERY.search(rest)
    return b"\n".join(lines if every is None or whole else lines[:: int(every[1])])


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data
