"""``miroir verify``: every replica against the log, document by document."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from agents.shard_sample import Sample
from miroir.commands.terminal import DIRECTORY, FAILED, Directory, Json, err, out, print_json, progress_bar, settings_of
from miroir.comparison import Comparison
from miroir.sample import parse_sample
from miroir.verify import TIMEOUT_S, Verifier, VerifyReport
from miroir.verify_faults import fault_lines
from schemas.ids import IndexUid, NodeId

TIMEOUT_MAX_S = 24 * 3600.0
"""How long a replica may be waited for at most: as long as a rebuild."""


def verify(
    *,
    node: Annotated[str | None, typer.Option("--node", help="Only the replicas on this node.")] = None,
    index: Annotated[str | None, typer.Option("--index", help="Only this index.")] = None,
    timeout_s: Annotated[
        float,
        # The upper bound refuses a number that is none, which would never be over.
        typer.Option("--timeout", min=0.0, max=TIMEOUT_MAX_S, help="Seconds a replica may take to catch up."),
    ] = TIMEOUT_S,
    sample: Annotated[
        str | None,
        typer.Option("--sample", help="Only some documents of every shard: a number (100) or a share (0.01 or 1%)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another one samples other documents.")] = 0,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Compare every replica with the log, document by document; exit code 1 where anything differs."""
    try:
        sampled = None if sample is None else parse_sample(sample, seed=seed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sample") from None
    report = asyncio.run(
        _verify(
            directory,
            index=None if index is None else IndexUid(index),
            node=None if node is None else NodeId(node),
            timeout_s=timeout_s,
            sample=sampled,
        )
    )
    if as_json:
        print_json(to_wire(report))
    else:
        _print(report, is_sample=sampled is not None)
    if not report.verified:
        raise typer.Exit(FAILED)


def to_wire(report: VerifyReport) -> dict[str, Any]:  # JSON
    """Return the report as JSON shows it."""
    return {
        "verified": report.verified,
        "documents": report.documents,
        "replicas": [
            {
                "index": each.index,
                "shard": each.shard,
                "node": each.node,
                "equal": each.equal,
                "documents": each.comparison.documents,
                "missing": each.comparison.missing.count,
                "extra": each.comparison.extra.count,
                "different": each.comparison.different.count,
                "examples": _examples(each.comparison),
                "error": each.error,
            }
            for each in report.replicas
        ],
        "strays": [
            {"index": each.index, "node": each.node, "documents": each.documents, "error": each.error}
            for each in report.strays
        ],
    }


async def _verify(
    directory: Path, *, index: IndexUid | None, node: NodeId | None, timeout_s: float, sample: Sample | None
) -> VerifyReport:
    with progress_bar() as progress:
        task = progress.add_task("folding the cluster", total=None)

        def report(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what)

        async with Verifier(settings_of(directory), report=report, timeout_s=timeout_s, sample=sample) as verifier:
            return await verifier.run(index=index, node=node)


def _print(report: VerifyReport, *, is_sample: bool) -> None:
    table = Table("index", "node", "shards", "documents", "missing", "extra", "different", "errors")
    for index, node in sorted({(each.index, each.node) for each in report.replicas}):
        mine = [each for each in report.replicas if (each.index, each.node) == (index, node)]
        counts = (
            len(mine),
            sum(each.comparison.documents for each in mine),
            sum(each.comparison.missing.count for each in mine),
            sum(each.comparison.extra.count for each in mine),
            sum(each.comparison.different.count for each in mine),
            sum(bool(each.error) for each in mine),
        )
        table.add_row(index, node, *map(str, counts))
    out.print(table)
    for line in fault_lines(report):
        err.print(line, markup=False, soft_wrap=True)
    if not report.replicas:
        err.print("there is nothing to compare: no index has a replica")
    what = "what was looked at of every replica" if is_sample else "every replica"
    out.print(f"[green]verified[/]: {what} equals the log" if report.verified else "[red]not verified[/]")


def _examples(found: Comparison) -> dict[str, list[str]]:
    kinds = {"missing": found.missing, "extra": found.extra, "different": found.different}
    return {kind: list(ids.examples) for kind, ids in kinds.items() if ids.count}
