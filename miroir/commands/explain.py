"""``miroir explain``: how one search is carried out, from the terminal."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from miroir.commands.search_options import LIMIT, Filter, Index, Limit, Offset, Query, Sort, ask_index, search_body
from miroir.commands.terminal import DIRECTORY, Directory, Json, Url, err, out, print_json


def explain(
    *,
    index: Index,
    query: Query = "",
    filter_: Filter = None,
    sort: Sort = None,
    limit: Limit = LIMIT,
    offset: Offset = 0,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Tell whom a search asks, why, how long it takes, and what of it is exact."""
    body = search_body(query, filter_, sort, limit=limit, offset=offset)
    answer = ask_index(directory, url, index, "explain", body)
    if as_json:
        print_json(answer)
        return
    out.print(question_table(answer))
    for each in answer["replicas"]:
        for name, reason in each["unread"].items():
            err.print(f"not read: shard {each['shard']} on {escape(name)}: {escape(str(reason))}")
    if answer["missing"]:
        err.print(f"[bold]no copy answered[/bold] of the shards {', '.join(map(str, answer['missing']))}")
    for name, reason in answer["away"].items():
        err.print(f"left alone: {escape(name)}: {escape(str(reason))}")
    for reason in answer["inexact"]:
        err.print(f"not exact: {escape(reason)}")
    err.print(f"{answer['tookMs']} ms, of which {answer['mergeMs']} ms merging, at epoch {answer['epoch']}")


def question_table(answer: dict[str, Any]) -> Table:
    """Return a line for every question that the search took."""
    table = Table("round", "node", "shards", "why", "outcome", "ms", "hits", "bytes")
    for each in answer["rounds"]:
        for asked in each["questions"]:
            shards = ",".join(map(str, asked["shards"]))
            figures = (asked.get(name) for name in ("tookMs", "hits", "bytes"))
            shown = ("" if figure is None else str(figure) for figure in figures)
            table.add_row(each["purpose"], asked["node"], shards, asked["why"], escape(asked["outcome"]), *shown)
    return table
