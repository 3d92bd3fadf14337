"""``miroir node maintenance`` on a running stack: what it says before a node goes, and once it is back."""

from tests.miroir.local_stack import LocalStack, run_miroir


def test_maintenance_on_and_off_tell_what_comes_next(local_stack: LocalStack) -> None:
    """Shards that nobody else has are named; off waits until every copy can be read."""
    local_stack.run("index", "create", "rests", "--primary-key", "id", "--shards", "3", "--replication", "1")
    # Not all is well with an index that was made just now.
    status = run_miroir("status", "--json", directory=local_stack.directory).json
    (index,) = [each for each in status["indexes"] if each["uid"] == "rests"]
    node = index["shards"][0]["replicas"][0]["node"]

    told = local_stack.run("node", "maintenance", node, "on", "--json").json
    said = " ".join(local_stack.run("node", "maintenance", node).err.split())
    back = local_stack.run("node", "maintenance", node, "off", "--json").json

    assert (told["node"], told["state"]) == (node, "maintenance")
    assert 0 in next(each["shards"] for each in told["alone"] if each["uid"] == "rests")
    assert told["next"][0] == f"stop {node}"
    assert f"while {node} is away, searches of rests miss shards 0" in said
    assert f"next 3. `miroir node maintenance {node} off`" in said
    assert (back["state"], back["alone"], back["readable"]) == ("active", [], back["copies"])
    local_stack.run("index", "delete", "rests", "--yes")
