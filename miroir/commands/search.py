"""``miroir search``: one search from the terminal."""

from rich.markup import escape
from rich.table import Table

from miroir.commands.search_options import LIMIT, Filter, Index, Limit, Offset, Query, Sort, ask_index, search_body
from miroir.commands.terminal import DIRECTORY, Directory, Json, Url, err, out, print_json

COLUMNS_MAX = 6
"""Fields shown in the table: more do not fit a terminal."""

CELL_MAX = 60
"""Characters of a value shown in the table."""


def search(
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
    """Search an index."""
    body = search_body(query, filter_, sort, limit=limit, offset=offset)
    answer = ask_index(directory, url, index, "search", body)
    if as_json:
        print_json(answer)
        return
    hits = answer["hits"]
    columns = list(dict.fromkeys(name for hit in hits for name in hit))[:COLUMNS_MAX]
    table = Table(*columns)
    for hit in hits:
        table.add_row(*(_cell(hit.get(name)) for name in columns))
    out.print(table)
    total = answer.get("estimatedTotalHits", answer.get("totalHits"))
    err.print(f"{len(hits)} of about {total} hits in {answer.get('processingTimeMs')} ms")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return escape(text if len(text) <= CELL_MAX else f"{text[: CELL_MAX - 1]}…")
