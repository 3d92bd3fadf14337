"""What became of the addition of a node: it joins, another share, or nothing.

What always holds: nothing is said to have changed that was so before. Who calls it: ``miroir node add``. It must not
know: a terminal, a network.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from miroir.maintenance import Status
from miroir.rebalance import Moves
from schemas.requests import AddNode


def told_of_addition(before: Status, after: Moves, request: AddNode) -> str:
    """Return what became of an addition that was accepted, in a sentence.

    Args:
        before: the cluster before it was asked for.
        after: since.
        request: the addition.
    """
    node = request.id
    known = next((each for each in before["nodes"] if each["id"] == node and each["state"] != "removed"), None)
    state = after["nodes"].get(node, {}).get("state", "joining")
    if known is None:
        joins = f"{node} joins; `miroir node list` shows when it is active"
        return joins if state == "joining" else f"{node} has joined"
    changes = ", ".join(_changes(known, request)) or "nothing has changed"
    return f"{node} is in the cluster already, {state}: {changes}"


def _changes(known: Mapping[str, Any], request: AddNode) -> Iterator[str]:
    if request.weight is not None and request.weight != known["weight"]:
        yield f"its weight is {request.weight:g}, it was {known['weight']:g}"
    if request.zone is not None and request.zone != known["zone"]:
        yield f"its zone is {request.zone!r}, it was {known['zone']!r}"
    if request.group is not None and request.group != known["group"]:
        yield f"its group is {request.group}, it was {known['group']}"
