"""What moves as a table: a bar, a rate and the time left for every copy that is made.

What always holds: a pure function of what the query service answers. Who calls it: ``miroir rebalance`` and the
commands that wait for moves. It must not know: where an answer comes from.
"""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

ROWS_MAX = 40
"""Copies shown one by one; of more the rest is a number."""

BAR_WIDTH = 24
"""Columns of a bar."""


def moves_table(moves: Mapping[str, Any]) -> RenderableType:  # as the query service has them
    """Return everything as one thing to print."""
    parts: list[RenderableType] = []
    if moves["building"]:
        parts.append(_building(moves))
    away = [f"{node} is {found['state']}" for node, found in moves["nodes"].items() if found["state"] != "active"]
    counts = [f"{len(moves[name])} {words}" for name, words in _COUNTS if moves[name]]
    parts.append(Text("everything is where it is wanted", "green") if moves["done"] else Text(" · ".join(counts)))
    if away:
        parts.append(Text(", ".join(away), "yellow"))
    return Group(*parts)


_COUNTS = (
    ("building", "copies are made"),
    ("waiting", "wait for their turn"),
    ("surplus", "leave once others are whole"),
    ("leaving", "are being dropped"),
)


def _building(moves: Mapping[str, Any]) -> Table:
    table = Table("index", "shard", "onto", "progress", "position", "left", "a second", "time left")
    for copy in moves["building"][:ROWS_MAX]:
        cursor, end = copy["cursor"] or 0, copy["end"]
        # Without a total a bar is drawn full.
        bar = ProgressBar(total=end or 1, completed=cursor if end else 0, width=BAR_WIDTH)
        position = f"{cursor:,} of {end:,}" if end is not None else "not begun"
        shown = (_number(copy.get("left")), _number(copy.get("per_second") or None), _duration(copy.get("eta_s")))
        table.add_row(copy["index"], str(copy["shard"]), copy["node"], bar, position, *shown)
    more = len(moves["building"]) - ROWS_MAX
    if more > 0:
        table.caption = f"and {more} more"
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
