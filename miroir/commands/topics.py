"""``miroir topics``: what a Kafka must have, for those who may not let miroir make it."""

import asyncio
import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from miroir.cluster_view import ClusterView
from miroir.commands.terminal import DIRECTORY, Directory, Json, print_json, settings_of
from schemas.config import Settings
from schemas.errors import LogError
from schemas.ids import Incarnation, parse_index_uid
from schemas.requests import SHARDS_DEFAULT
from streams.log import TopicSpec
from streams.topics import docs_topic, docs_topic_name, own_topics

app = typer.Typer(help="Topics: what is needed.", no_args_is_help=True)


@app.command("plan")
def plan(
    *,
    index: Annotated[list[str] | None, typer.Option("--index", help="An index that is to be made; repeatable.")] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="A topic that an index is to be made on; repeatable.")
    ] = None,
    shards: Annotated[int, typer.Option("--shards", min=1, help="Of those indexes and topics.")] = SHARDS_DEFAULT,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Print every topic that is needed, as commands for Kafka's own tool; nothing is made."""
    settings = settings_of(directory)
    names = [docs_topic_name(parse_index_uid(uid), Incarnation(0), taken=False) for uid in index or ()]
    planned = [docs_topic(name, shards) for name in (*names, *(topic or ()))]
    # What is there comes before what is planned under its name.
    specs = _distinct([*own_topics(), *asyncio.run(_existing(settings)), *planned])
    if as_json:
        print_json([{"name": each.name, "partitions": each.partitions, "configs": each.configs} for each in specs])
        return
    for spec in specs:
        typer.echo(_command(spec, settings))


async def _existing(settings: Settings) -> Sequence[TopicSpec]:
    """Return the topics of the indexes that there are; none where Kafka is away or holds no cluster."""
    try:
        async with ClusterView(settings.kafka_config("miroir-topics")) as view:
            await view.refresh()
            return [docs_topic(each.topic, each.shards) for each in view.topology.indexes.values()]
    except LogError:
        return ()


def _distinct(specs: Sequence[TopicSpec]) -> Sequence[TopicSpec]:
    """Return the first of each name."""
    first: dict[str, TopicSpec] = {}
    for spec in specs:
        first.setdefault(spec.name, spec)
    return tuple(first.values())


def _command(spec: TopicSpec, settings: Settings) -> str:
    parts = ["kafka-topics.sh", "--bootstrap-server", settings.kafka, "--create", "--if-not-exists"]
    parts += ["--topic", spec.name, "--partitions", str(spec.partitions)]
    parts += ["--replication-factor", str(settings.kafka_replication_factor)]
    for key, value in spec.configs.items():
        parts += ["--config", f"{key}={value}"]
    return shlex.join(parts)
