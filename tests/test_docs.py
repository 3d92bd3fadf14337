"""What the documents show parses, and what they name exists."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from miroir.cli import make_app
from schemas.config import FILE_KEY, PREFIX, Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
INLINE = re.compile(r"`(miroir [a-z][^`]*)`")
VARIABLE = re.compile(rf"\b{PREFIX}[A-Z_]+\b")
COMMAND = typer.main.get_command(make_app())


class Block(NamedTuple):
    """A fenced block of a document."""

    document: str
    kind: str
    text: str


def read_blocks() -> Iterator[Block]:
    """Yield every fenced block."""
    for path in DOCUMENTS:
        for kind, text in FENCE.findall(path.read_text()):
            yield Block(path.name, kind, text)


BLOCKS = list(read_blocks())


def named_commands() -> Iterator[tuple[str, str]]:
    """Yield every ``miroir …`` that a document tells people to run, with the document's name."""
    for block in BLOCKS:
        if block.kind == "sh":
            yield from (
                (block.document, line.strip()) for line in block.text.splitlines() if line.startswith("miroir ")
            )
    for path in DOCUMENTS:
        yield from ((path.name, text) for text in INLINE.findall(FENCE.sub("", path.read_text())))


def of_kind(kind: str) -> list[Block]:
    """Return the blocks of one language; there is at least one."""
    found = [block for block in BLOCKS if block.kind == kind]
    assert found, kind
    return found


def name_of(block: Block) -> str:
    """Return a test's name for a block."""
    return f"{block.document}:{block.text[:25].strip()}"


@pytest.mark.parametrize("block", of_kind("python"), ids=name_of)
def test_docs_python_compiles(block: Block) -> None:
    """Python shown to people is Python."""
    compile(block.text, block.document, "exec")


@pytest.mark.parametrize("block", of_kind("json"), ids=name_of)
def test_docs_json_parses(block: Block) -> None:
    """JSON shown to people is JSON."""
    assert json.loads(block.text)


@pytest.mark.parametrize("block", of_kind("sh"), ids=name_of)
def test_docs_shell_parses(block: Block) -> None:
    """A shell takes the commands as they stand."""
    ran = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("document", "line"), sorted(set(named_commands())))
def test_docs_command_exists_with_its_options(document: str, line: str) -> None:
    """Every ``miroir`` command that is named exists, and so do its options."""
    del document
    words = shlex.split(line.split(" #", maxsplit=1)[0])[1:]
    found = COMMAND
    while words and (steps := getattr(found, "commands", None)):
        assert words[0] in steps, f"{line}: no command {words[0]!r}"
        found, words = steps[words[0]], words[1:]
    options = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("--"):
            assert word in options, f"{line}: no option {word}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_docs_settings_named_are_known(path: Path) -> None:
    """Every MIROIR_ variable that a document names is a setting."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {FILE_KEY}

    assert set(VARIABLE.findall(path.read_text())) <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_docs_links_lead_somewhere(path: Path) -> None:
    """Every link to a file of ours leads to one."""
    links = [link for link in LINK.findall(FENCE.sub("", path.read_text())) if "://" not in link]

    assert [link for link in links if not (path.parent / link).exists()] == []


def test_docs_changelog_keeps_its_form() -> None:
    """The changelog has an unreleased part, and its sections come in the agreed order."""
    text = (ROOT / "CHANGELOG.md").read_text()
    order = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]

    versions = text.split("\n## ")[1:]
    assert versions[0].startswith("[Unreleased]")
    for version in versions:
        sections = re.findall(r"^### (\w+)$", version, re.MULTILINE)
        assert sections == sorted(sections, key=order.index)
