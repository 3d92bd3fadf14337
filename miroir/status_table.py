"""The cluster's status as tables: what one looks at first.

What always holds: a pure function of what the query service answers and of the local processes. Who calls it: ``miroir
status``, ``miroir node list``. It must not know: where the status comes from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from miroir.processes import ProcessId

MISSING = "—"


class ShardSummary(NamedTuple):
    """What the shards of an index come to.

    Attributes:
        readable: shards of which a copy may be read.
        copies: copies that may be read.
        placed: copies that are placed.
        lag_records: of the copy that is furthest behind; None where one was never seen.
        lag_ms: of the copy that is longest behind; None where one was never seen.
    """

    readable: int
    copies: int
    placed: int
    lag_records: int | None
    lag_ms: int | None


def summarise(shards: Sequence[Mapping[str, Any]]) -> ShardSummary:  # as the query service has them
    """Return what the shards come to."""
    replicas = [replica for shard in shards for replica in shard["replicas"]]
    return ShardSummary(
        readable=sum(bool(shard["readable"]) for shard in shards),
        copies=sum(len(shard["readable"]) for shard in shards),
        placed=len(replicas),
        lag_records=_largest(replica["lag_records"] for replica in replicas),
        lag_ms=_largest(replica["lag_ms"] for replica in replicas),
    )


def faults(status: Mapping[str, Any]) -> Sequence[str]:  # as the query service has it
    """Return what is wrong, each a sentence; empty where all is well."""
    found = [*_log_faults(status["log"])]
    for node in status["nodes"]:
        if not node["answers"]:
            found.append(f"node {node['id']} does not answer")
        elif node["state"] != "active":
            found.append(f"node {node['id']} is {node['state']}")
    for index in status["indexes"]:
        summary = summarise(index["shards"])
        if index["state"] != "active":
            found.append(f"index {index['uid']} is {index['state']}: {index['reason']}")
        elif index["reason"]:
            found.append(f"index {index['uid']}: {index['reason']}")
        if index["primary_key"] is None:
            # Nothing is applied before it is known: there is nothing that a copy could lack.
            continue
        if summary.readable < len(index["shards"]):
            found.append(
                f"index {index['uid']}: {len(index['shards']) - summary.readable} shards have no readable copy"
            )
        if summary.copies < summary.placed:
            found.append(f"index {index['uid']}: {summary.placed - summary.copies} copies are not readable (yet)")
        found += _differing(index)
    return found


def _log_faults(log: Mapping[str, Any]) -> Iterator[str]:
    if stopped := log["stopped"]:
        cure = "upgrade it if the record is a newer version's, and start it again"
        yield f"the query service has stopped reading the log, and takes no writes: {stopped}; {cure}"
    elif not log["connected"]:
        yield "Kafka is away: searches go on, nothing is written"


def _differing(index: Mapping[str, Any]) -> Iterator[str]:
    for shard in index["shards"]:
        for replica in shard["replicas"]:
            if replica.get("differing"):
                place = f"index {index['uid']} shard {shard['shard']} on {replica['node']}"
                cure = f"`miroir node rebuild {replica['node']}` makes it anew"
                yield f"{place}: {replica['differing']} sampled documents are not what the log says: {cure}"


def nodes_table(status: Mapping[str, Any]) -> Table:  # as the query service has it
    """Return the nodes."""
    table = Table("node", "state", "answers", "replicas", "weight", "zone")
    table.add_column("url", overflow="fold")
    for node in status["nodes"]:
        answers = Text("yes", "green") if node["answers"] else Text("no", "red")
        state = Text(node["state"], "" if node["state"] == "active" else "yellow")
        weight = f"{node['weight']:g}"
        table.add_row(node["id"], state, answers, str(node["replicas"]), weight, node["zone"] or MISSING, node["url"])
    return table


def status_tables(
    status: Mapping[str, Any],
    processes: Sequence[ProcessId],
    *,
    shards: bool,
    kafka: str = "",
    troubles: Sequence[str] = (),
) -> RenderableType:
    """Return everything as one thing to print.

    Args:
        status: as the query service has it.
        processes: of the local stack that live; may be empty.
        shards: whether to show each shard.
        kafka: where the local stack's log is to be found; may be empty.
        troubles: of the local stack's processes, each a sentence.
    """
    parts: list[RenderableType] = [nodes_table(status), _indexes_table(status)]
    if shards:
        parts += [_shards_table(index) for index in status["indexes"]]
    letters = status["dead_letters"]
    parts.append(Text(f"epoch {status['epoch']} · dead letters {letters}{' (miroir dead list)' if letters else ''}"))
    for topic, records in status["log"].get("skipped", {}).items():
        parts.append(Text(f"{records} records of {topic} cannot be read: the query service's log names them", "yellow"))
    if kafka:
        parts.append(Text(f"log {kafka}"))
    if processes:
        parts.append(Text("local processes: " + ", ".join(f"{each.name} {each.pid}" for each in processes)))
    wrong = [*troubles, *faults(status)]
    parts += [Text(f"! {fault}", "red") for fault in wrong] or [Text("all is well", "green")]
    return Group(*parts)


def _indexes_table(status: Mapping[str, Any]) -> Table:
    table = Table("index", "state", "shards", "copies readable", "lag (records)", "lag (seconds)")
    table.add_column("topic", overflow="fold")
    for index in status["indexes"]:
        found = summarise(index["shards"])
        shards = f"{found.readable}/{len(index['shards'])}"
        copies = f"{found.copies}/{found.placed}"
        lag_s = MISSING if found.lag_ms is None else f"{found.lag_ms / 1000:.1f}"
        lag = MISSING if found.lag_records is None else f"{found.lag_records:,}"
        state = Text(index["state"], "" if index["state"] == "active" else "red")
        table.add_row(index["uid"], state, shards, copies, lag, lag_s, index["topic"])
    return table


def _shards_table(index: Mapping[str, Any]) -> Table:
    table = Table("shard", "node", "readable", "cursor", "end", "lag", "attempt", title=f"index {index['uid']}")
    for shard in index["shards"]:
        for replica in shard["replicas"]:
            readable = Text("yes", "green") if replica["readable"] else Text("no", "yellow")
            numbers = [_shown(replica[name]) for name in ("cursor", "end", "lag_records", "attempt")]
            table.add_row(str(shard["shard"]), replica["node"], readable, *numbers)
    return table


def _shown(value: int | None) -> str:
    return MISSING if value is None else str(value)


def _largest(values: Iterator[int | None]) -> int | None:
    """Return the largest; None where one of them is None, or there are none."""
    found = list(values)
    known = [value for value in found if value is not None]
    return max(known) if known and len(known) == len(found) else None
