"""What is said of a node's addition."""

from typing import Any

import pytest

from miroir.joining import told_of_addition
from schemas.ids import NodeId
from schemas.requests import AddNode

NODE = NodeId("node-3")
URL = "http://node-3:7700"
KNOWN = {"id": NODE, "state": "active", "weight": 2.0, "zone": "a", "group": 0}
THERE = "node-3 is in the cluster already, active: "


def told(request: AddNode, known: dict[str, Any] | None, state: str = "active") -> str:
    """Return what is said where a node was known so, or not at all, and has this state since."""
    other = {**KNOWN, "id": "node-1"}
    before = {"nodes": [other, known] if known is not None else [other]}
    return told_of_addition(before, {"nodes": {NODE: {"state": state, "copies": 0, "leaving": 0}}}, request)


@pytest.mark.parametrize("known", [None, {**KNOWN, "state": "removed"}])
def test_new_node_joins_or_has_joined(known: dict[str, Any] | None) -> None:
    """One that is being removed joins anew."""
    assert told(AddNode(NODE, URL), known, "joining") == "node-3 joins; `miroir node list` shows when it is active"
    assert told(AddNode(NODE, URL), known) == "node-3 has joined"


@pytest.mark.parametrize(
    ("request_", "changes"),
    [
        pytest.param(AddNode(NODE, URL), "nothing has changed", id="nothing"),
        pytest.param(AddNode(NODE, URL, 2.0, "a", 0), "nothing has changed", id="what it has"),
        pytest.param(AddNode(NODE, URL, weight=0.5), "its weight is 0.5, it was 2", id="weight"),
        pytest.param(
            AddNode(NODE, URL, zone="", group=1), "its zone is '', it was 'a', its group is 1, it was 0", id="more"
        ),
    ],
)
def test_node_that_is_there_is_told_what_changed(request_: AddNode, changes: str) -> None:
    """What was given and is so already has not changed."""
    assert told(request_, KNOWN) == THERE + changes


def test_node_that_joins_still_is_there_already() -> None:
    """Asked for twice in a row."""
    known = {**KNOWN, "state": "joining"}

    assert (
        told(AddNode(NODE, URL), known, "joining") == "node-3 is in the cluster already, joining: nothing has changed"
    )
