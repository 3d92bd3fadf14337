"""``docs/producers.md``: what it shows for Python's clients, run as it stands."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from miroir.settings_source import load_settings
from tests.integration.waiting import until
from tests.miroir.local_stack import LocalStack, run_miroir

PAGE = Path(__file__).resolve().parents[3] / "docs" / "producers.md"
ADDRESS = "127.0.0.1:9092"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_page_snippets_produce_what_they_say(local_stack: LocalStack) -> None:
    """Both partitioners, a delete, an id that is a text: every document is found, none is set aside."""
    broker = load_settings({}, local_stack.directory).kafka_config("test").bootstrap_servers
    local_stack.run("index", "create", "books", "--primary-key", "id", "--shards", "3")
    local_stack.run("index", "create", "books-crc32", "--primary-key", "id", "--shards", "3", "--partitioner", "crc32")

    for snippet in SNIPPETS:
        assert ADDRESS in snippet
        subprocess.run([sys.executable, "-c", snippet.replace(ADDRESS, broker)], check=True, timeout=60)

    async def is_there() -> bool:
        return (_titles(local_stack, "books"), _titles(local_stack, "books-crc32")) == (
            {"Dune", "Kim"},
            {"Dune", "Emma"},
        )

    asyncio.run(until(is_there, "the page's documents"))
    for index in ("books", "books-crc32"):
        assert local_stack.run("dead", "list", "--index", index, "--json").json["results"] == []
        assert local_stack.run("verify", "--index", index, "--json").json["verified"] is True


def _titles(stack: LocalStack, index: str) -> set[str]:
    """Return what a search finds; nothing before the new index's copies are there."""
    ran = run_miroir("search", index, "--json", directory=stack.directory)
    return {hit["title"] for hit in ran.json["hits"]} if ran.code == 0 else set()
