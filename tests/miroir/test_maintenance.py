"""What a node's absence means."""

from typing import Any

from miroir.maintenance import Alone, Standing, alone_on, standing_of, steps_after_off, steps_after_on


def shard(number: int, readable: list[str], copies: list[str]) -> dict[str, Any]:
    """Return a shard as the status tells it."""
    replicas = [{"node": node, "readable": node in readable} for node in copies]
    return {"shard": number, "readable": readable, "replicas": replicas}


STATUS = {
    "indexes": [
        {
            "uid": "books",
            "primary_key": "id",
            "shards": [shard(0, ["a", "b"], ["a", "b"]), shard(1, ["a"], ["a", "b"])],
        },
        {
            "uid": "films",
            "primary_key": "id",
            "shards": [shard(0, ["b"], ["a", "b"]), shard(1, ["b"], ["b"]), shard(2, [], ["a"])],
        },
        # Of no account: nothing is applied to it yet, so none of its copies is read.
        {"uid": "unkeyed", "primary_key": None, "shards": [shard(0, [], ["a", "c"])]},
    ]
}


def test_alone_are_shards_without_another_readable_copy() -> None:
    """A copy that cannot be read helps nobody, and a shard that is not on the node does not miss it."""
    assert alone_on(STATUS, "a") == [Alone("books", [1]), Alone("films", [2])]
    assert alone_on(STATUS, "b") == [Alone("films", [0, 1])]
    assert alone_on(STATUS, "c") == []


def test_standing_counts_copies_that_can_be_read() -> None:
    """A node without copies is whole."""
    assert standing_of(STATUS, "a") == Standing(4, 2)
    assert not standing_of(STATUS, "a").is_whole
    assert standing_of(STATUS, "c").is_whole


def test_steps_name_the_commands_that_follow() -> None:
    """An operator need not look them up."""
    assert "miroir node maintenance node-1 off" in steps_after_on("node-1")[-1]
    assert "miroir node maintenance NODE on" in steps_after_off()[0]
