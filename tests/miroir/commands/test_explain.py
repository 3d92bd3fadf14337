"""``miroir explain`` on a running stack."""

import json
from pathlib import Path

import pytest

from tests.miroir.local_stack import LocalStack


@pytest.fixture(scope="module")
def explained(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An index of ten documents in four shards."""
    file: Path = tmp_path_factory.mktemp("explained") / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": at, "title": f"book {at}"}) for at in range(10)))
    local_stack.run("index", "create", "explained", "--primary-key", "id", "--shards", "4")
    local_stack.run("produce", str(file), "--index", "explained", "--wait")
    return "explained"


def test_explain_shows_a_line_for_every_question(local_stack: LocalStack, explained: str) -> None:
    """Who was asked for what, and what came of it; times go to the other stream."""
    ran = local_stack.run("explain", explained, "book")

    assert "heads" in ran.out
    assert "answered" in ran.out
    assert "ms merging" in ran.err


def test_explain_json_covers_every_shard(local_stack: LocalStack, explained: str) -> None:
    """Each shard was asked of a node that has a readable copy, and counted once."""
    answer = local_stack.run("explain", explained, "book", "--limit", "3", "--json").json

    assert [replica["shard"] for replica in answer["replicas"]] == [0, 1, 2, 3]
    assert all(replica["asked"] in replica["readable"] for replica in answer["replicas"])
    asked = [shard for each in answer["rounds"][0]["questions"] for shard in each["shards"]]
    assert sorted(asked) == [0, 1, 2, 3]
