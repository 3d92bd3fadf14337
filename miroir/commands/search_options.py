"""What ``search`` and ``explain`` take: the same question, sent to two routes."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from miroir.commands.terminal import connect

Index = Annotated[str, typer.Argument(help="The index.")]
Query = Annotated[str, typer.Argument(help="The words; empty finds everything.")]
Filter = Annotated[str | None, typer.Option("--filter", help="Meilisearch's filter expression.")]
Sort = Annotated[list[str] | None, typer.Option("--sort", help="attribute:asc or attribute:desc.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="How many hits.")]
Offset = Annotated[int, typer.Option("--offset", min=0, help="After how many hits.")]

LIMIT = 10
"""Hits that fit a terminal."""


def search_body(query: str, filter_: str | None, sort: list[str] | None, *, limit: int, offset: int) -> dict[str, Any]:
    """Return the body of the search."""
    body: dict[str, Any] = {"q": query, "limit": limit, "offset": offset}
    if filter_ is not None:
        body["filter"] = filter_
    if sort:
        body["sort"] = sort
    return body


def ask_index(directory: Path, url: str | None, index: str, route: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return what the index's route answers to the body."""
    return asyncio.run(_ask(directory, url, f"/indexes/{index}/{route}", body))


async def _ask(directory: Path, url: str | None, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with connect(directory, url) as client:
        return await client.call("POST", path, json=body)
