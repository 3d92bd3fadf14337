"""What moves, as a table."""

from typing import Any

import pytest
from rich.console import Console

from miroir.moves_table import BAR_WIDTH, moves_table


def make_copy(
    shard: int = 0, *, cursor: int | None = 50, end: int | None = 100, eta_s: float | None = None
) -> dict[str, Any]:
    """Return a copy that is made, as the query service tells it."""
    place = {"index": "films", "shard": shard, "node": "n1", "attempt": 3, "cursor": cursor, "end": end}
    left = None if cursor is None or end is None else end - cursor
    return {**place, "left": left, "per_second": None if eta_s is None else 1234.5, "eta_s": eta_s}


def make_moves(*building: dict[str, Any], done: bool = False, state: str = "active", **counts: int) -> dict[str, Any]:
    """Return what the query service answers."""
    place = {"index": "films", "shard": 0, "node": "n2"}
    others = {name: [place] * counts.get(name, 0) for name in ("waiting", "surplus", "leaving")}
    nodes = {"n1": {"state": state, "copies": 3, "leaving": 0}}
    return {"done": done, "building": list(building), "nodes": nodes, **others}


def shown(moves: dict[str, Any]) -> str:
    """Return what is printed."""
    console = Console(width=160)
    with console.capture() as capture:
        console.print(moves_table(moves))
    return capture.get()


def test_settled_cluster_says_so() -> None:
    """Nothing else is printed."""
    assert shown(make_moves(done=True)).strip() == "everything is where it is wanted"


def test_copies_show_where_they_stand_and_the_rest_is_counted() -> None:
    """One row each, and how many wait or leave."""
    text = shown(make_moves(make_copy(7), make_copy(8, cursor=None, end=None), waiting=4, leaving=2))

    assert "50 of 100" in text
    assert "not begun" in text
    assert "2 copies are made · 4 wait for their turn · 2 are being dropped" in text


@pytest.mark.parametrize(
    ("cursor", "end", "columns"),
    [(None, None, 0), (3, None, 0), (0, 0, 0), (0, 100, 0), (50, 100, BAR_WIDTH // 2), (100, 100, BAR_WIDTH)],
    ids=["not begun", "end not known", "empty log", "nothing yet", "half", "all"],
)
def test_bar_is_as_long_as_what_was_done(cursor: int | None, end: int | None, columns: int) -> None:
    """A copy that has not begun has an empty one."""
    (row,) = [line for line in shown(make_moves(make_copy(cursor=cursor, end=end))).splitlines() if "films" in line]

    assert row.count("━") == columns


def test_many_copies_are_cut_and_counted() -> None:
    """A terminal has only so many lines."""
    assert "and 60 more" in shown(make_moves(*(make_copy(shard) for shard in range(100))))


def test_node_in_another_state_is_named() -> None:
    """It is why something moves, or does not."""
    assert "n1 is draining" in shown(make_moves(state="draining", surplus=1))


@pytest.mark.parametrize(("eta_s", "text"), [(4.6, "5 s"), (250.0, "4 min 10 s"), (7260.0, "2 h 01 min")])
def test_rate_and_time_left_are_shown(eta_s: float, text: str) -> None:
    """As the query service tells them, in words that a person reads at a glance."""
    row = shown(make_moves(make_copy(cursor=10, eta_s=eta_s)))
    assert "1,234" in row
    assert " 90 " in row
    assert text in row
