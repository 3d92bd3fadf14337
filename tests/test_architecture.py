"""Style that can be checked: twins, names, sizes, docstrings, what no file may say, the form of the changelog.

What needs judgement is in ``docs/style.md``; the direction of imports is import-linter's.
"""

import ast
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("schemas", "streams", "agents", "query", "miroir")

LINES_MAX = 400
"""A longer file holds more than one concept, or a concept that nobody can keep in mind."""

LONG_FILES: Mapping[str, str] = {
    "tests/conformance/test_writer.py": "one suite for every node",
}
"""Longer files, each with the reason why it is one."""

BANNED_NAMES = frozenset({"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"})
"""A file is named by the noun it is about; these are about nothing."""

TESTED_ELSEWHERE: Mapping[str, str] = {
    "agents/node_admin.py": "tests/agents/nodes/test_admin.py",
    "agents/nodes/writer.py": "tests/conformance/test_writer.py",
    "agents/ports.py": "tests/conformance/test_writer.py",
    "agents/worker/app.py": "tests/integration/test_worker_faults.py",
    "agents/worker/feeder_settings.py": "tests/agents/worker/test_feeder.py",
    "agents/worker/batch_thread.py": "tests/agents/worker/test_record_batches.py",
    "agents/worker/watch.py": "tests/integration/test_worker_faults.py",
    "miroir/backup.py": "tests/miroir/commands/test_backup.py",
    "miroir/demo.py": "tests/miroir/commands/test_demo.py",
    "agents/worker/worker_ports.py": "tests/integration/test_worker_faults.py",
    "miroir/node_documents.py": "tests/miroir/commands/test_backup.py",
    "miroir/reseed.py": "tests/miroir/commands/test_log.py",
    "miroir/restore.py": "tests/miroir/commands/test_restore.py",
    "miroir/node/indexing/ports.py": "tests/miroir/node/indexing/test_batch.py",
    "miroir/node/server/app.py": "tests/miroir/node/test_conversation.py",
    "miroir/node/server/document_routes.py": "tests/miroir/node/test_conversation.py",
    "miroir/node/server/http.py": "tests/miroir/node/test_conversation.py",
    "miroir/node/server/index_routes.py": "tests/miroir/node/test_conversation.py",
    "miroir/node/server/indexer.py": "tests/miroir/node/test_queue.py",
    "miroir/node/server/key_routes.py": "tests/miroir/node/test_conversation.py",
    "miroir/node/server/main.py": "tests/miroir/node/test_faults.py",
    "miroir/node/server/node.py": "tests/miroir/node/test_queue.py",
    "miroir/node/server/search_routes.py": "tests/miroir/node/test_conversation.py",
    "miroir/node/server/task_routes.py": "tests/miroir/node/test_conversation.py",
    "miroir/verify.py": "tests/miroir/commands/test_verify.py",
    "query/ports.py": "tests/query/nodes/test_client.py",
    "streams/kafka/admin.py": "tests/conformance/test_log.py",
    "streams/kafka/bounds.py": "tests/conformance/test_log.py",
    "streams/kafka/transactions.py": "tests/conformance/test_log.py",
    "streams/kafka/writer.py": "tests/conformance/test_log.py",
    "streams/log.py": "tests/conformance/test_log.py",
}
"""Shells that only processes can test, and ports whose one suite is for every implementation."""

TWINS_TO_COME = frozenset(
    {
        "miroir/node/engine/cropping.py",
        "miroir/node/engine/display.py",
        "miroir/node/engine/entries.py",
        "miroir/node/engine/facet_search.py",
        "miroir/node/engine/facets.py",
        "miroir/node/engine/federation.py",
        "miroir/node/engine/filter_evaluation.py",
        "miroir/node/engine/flatten.py",
        "miroir/node/engine/index_settings.py",
        "miroir/node/engine/marks.py",
        "miroir/node/engine/ranking/bucket_sort.py",
        "miroir/node/engine/ranking/context.py",
        "miroir/node/engine/ranking/costs.py",
        "miroir/node/engine/ranking/exactness.py",
        "miroir/node/engine/ranking/matching.py",
        "miroir/node/engine/ranking/proximity.py",
        "miroir/node/engine/ranking/terms.py",
        "miroir/node/engine/ranking/words.py",
        "miroir/node/engine/reader.py",
        "miroir/node/engine/scripts.py",
        "miroir/node/engine/search.py",
        "miroir/node/engine/search_request.py",
        "miroir/node/engine/sorting.py",
        "miroir/node/indexing/documents.py",
        "miroir/node/protocol/document_ids.py",
        "miroir/node/protocol/errors.py",
        "miroir/node/protocol/index_uids.py",
        "miroir/node/protocol/task_filters.py",
        "miroir/node/protocol/tasks.py",
        "miroir/node/server/lock.py",
        "miroir/node/sqlite/connection.py",
        "miroir/node/sqlite/index_store.py",
    }
)
"""Modules that still lack their twin. Nothing is added here; the list is gone when it is empty."""

MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:work|root|home/\w+|Users/\w+|tmp/work)/")
"""Paths of somebody's machine; a test finds its data by a path relative to the checkout."""

TOLD_OF_ITSELF = re.compile(
    r"\b(?:" + "|".join(("A" + "I", "L" + "LMs?", "chat" + "bot", "co" + "pilot", "language" + " model")) + r")\b"
)
"""The project speaks of its subject alone. Spelt in pieces: this file is searched too."""

SECTIONS = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]
"""Of the changelog, in this order: what a user must act on comes first."""


@cache
def tracked() -> tuple[str, ...]:
    """Return every tracked file, by path; what is not committed yet is nobody's business."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: there is no telling what belongs to the project")
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def modules() -> list[str]:
    """Return every tracked module of the rooms; a package's own file and its start hold no decision."""
    named = [name for name in tracked() if name.endswith(".py") and name.partition("/")[0] in ROOMS]
    return [name for name in named if Path(name).name not in {"__init__.py", "__main__.py"}]


def python_files() -> list[str]:
    """Return every tracked Python file, tests and benchmarks too."""
    return [name for name in tracked() if name.endswith(".py")]


def twin(module: str) -> str:
    """Return where a module's tests are expected."""
    path = Path(module)
    return str("tests" / path.parent / f"test_{path.name}")


def text_of(name: str) -> str:
    """Return a text file's content, or nothing where it is not one."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_every_module_has_a_twin_or_a_reason() -> None:
    """``streams/x.py`` is tested by ``tests/streams/test_x.py``, or it says above by what."""
    excused = TWINS_TO_COME | TESTED_ELSEWHERE.keys()

    missing = [name for name in modules() if name not in excused and not (ROOT / twin(name)).is_file()]

    assert missing == []


def test_excuses_name_what_exists() -> None:
    """A module or a suite that was renamed is not excused for ever."""
    gone = [name for name in (*TESTED_ELSEWHERE, *LONG_FILES) if not (ROOT / name).is_file()]
    gone += [suite for suite in TESTED_ELSEWHERE.values() if not (ROOT / suite).is_file()]

    assert gone == []


def test_no_file_is_named_after_nothing() -> None:
    """One concept a file, named by its noun."""
    assert [name for name in python_files() if Path(name).stem.removeprefix("test_") in BANNED_NAMES] == []


def test_no_file_is_long_without_a_reason() -> None:
    """Four hundred lines are the point to think again."""
    found = {name: len(text_of(name).splitlines()) for name in python_files() if name not in LONG_FILES}

    assert {name: lines for name, lines in found.items() if lines > LINES_MAX} == {}


def test_every_module_opens_with_a_docstring() -> None:
    """A reader learns what a file is for before reading it."""
    found = {name: ast.get_docstring(ast.parse(text_of(name))) for name in python_files()}

    assert [name for name, docstring in found.items() if not docstring] == []


def test_every_test_says_the_behaviour_in_a_docstring() -> None:
    """The name says which case, the docstring what must hold."""
    silent = [
        f"{name}::{function.name}"
        for name in python_files()
        if Path(name).name.startswith("test_")
        for function in ast.walk(ast.parse(text_of(name)))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and function.name.startswith("test_")
        and not ast.get_docstring(function)
    ]

    assert silent == []


def test_no_file_knows_somebodys_machine() -> None:
    """What works here must work anywhere."""
    found = {name: MACHINE_PATHS.search(text_of(name)) for name in tracked() if name != "tests/test_architecture.py"}

    assert {name: match.group() for name, match in found.items() if match} == {}


def test_no_file_tells_of_its_own_making() -> None:
    """Data is let alone: a film may be about anything."""
    texts = [name for name in tracked() if Path(name).suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".txt", ""}]

    assert {name: match.group() for name in texts if (match := TOLD_OF_ITSELF.search(text_of(name)))} == {}


def test_changelog_has_its_form() -> None:
    """Keep a Changelog: versions newest first, their sections in order, every entry a sentence for users."""
    versions = re.split(r"^## ", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    assert versions[0].startswith("# Changelog\n")
    assert [version.splitlines()[0] for version in versions[1:2]] == ["[Unreleased]"]

    for version in versions[1:]:
        title, _, rest = version.partition("\n")
        assert re.fullmatch(r"\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", title)
        sections = re.findall(r"^### (.*)$", rest, re.MULTILINE)
        assert sections == [name for name in SECTIONS if name in sections], title
        entries = re.findall(r"^- (.+(?:\n  .+)*)", rest, re.MULTILINE)
        assert all(entry[0].isupper() or entry[0] in "`[" for entry in entries), title
        assert all(entry.endswith(".") for entry in entries), title
