"""``miroir search`` on a running stack."""

import json
from pathlib import Path

import pytest

from tests.miroir.local_stack import LocalStack

BOOKS = [
    {"id": 1, "title": "Dune", "year": 1965},
    {"id": 2, "title": "Dune [Messiah]", "year": 1969},
    {"id": 3, "title": "Emma", "year": 1815},
]


@pytest.fixture(scope="module")
def books(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An index of three books."""
    file: Path = tmp_path_factory.mktemp("books") / "books.ndjson"
    file.write_text("\n".join(json.dumps(book) for book in BOOKS))
    local_stack.run("index", "create", "searched", "--primary-key", "id", "--shards", "2")
    local_stack.run("produce", str(file), "--index", "searched", "--wait")
    return "searched"


def test_search_shows_hits_as_a_table(local_stack: LocalStack, books: str) -> None:
    """A column a field, brackets as they are; how many there are goes to the other stream."""
    ran = local_stack.run("search", books, "dune")

    assert "Dune [Messiah]" in ran.out
    assert "Emma" not in ran.out
    assert "2 of about 2 hits" in ran.err


def test_search_json_is_the_services_answer(local_stack: LocalStack, books: str) -> None:
    """Windows are passed on, and scripts get what a client gets."""
    answer = local_stack.run("search", books, "--limit", "1", "--offset", "1", "--json").json

    assert (len(answer["hits"]), answer["offset"], answer["limit"]) == (1, 1, 1)


def test_search_that_is_refused_says_why(local_stack: LocalStack, books: str) -> None:
    """A filter by what is not filterable, and an index that is not there, end with exit code 1."""
    assert "not filterable" in local_stack.run("search", books, "--filter", "year > 1900", code=1).err
    assert "index_not_found" in local_stack.run("search", "nobody", "dune", code=1).err
