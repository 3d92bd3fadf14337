"""``miroir doctor``: looks at the settings, the Kafka and every node, and says what to do.

What always holds: nothing is changed anywhere; one thing that cannot be looked at does not hide the others. Who calls
it: the command line. It must not know: how findings are shown.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from agents.node_admin import KEY_FAULTS
from agents.nodes.admin import HttpNodeAdmin
from agents.reconcile import NodeSight, indexes_on
from miroir.cluster_view import ClusterView
from miroir.findings import (
    Finding,
    Level,
    examine_cluster,
    examine_coordination,
    examine_node,
    examine_settings,
    examine_strays,
    examine_topic,
    wanted_topics,
)
from schemas.config import Settings
from schemas.errors import InvalidInputError, LogError, LogUnavailableError, NodeError, NodeRejectedError
from schemas.events import NodeRecord
from streams.kafka.admin import KafkaLogAdmin
from streams.node_settings import settings_version_of
from streams.topics import CLUSTER, INDEX_TOPIC_PREFIXES, PROGRESS
from streams.topology import Topology

NODE_S = 5.0
"""How long a node may take to answer one question: somebody waits for the whole answer."""

NODES_AT_ONCE = 16
"""Nodes that are asked at the same time."""


async def examine(settings: Settings) -> list[Finding]:
    """Return what was found, in the order settings, Kafka, cluster, nodes; takes seconds where something is away."""
    findings = [*examine_settings(settings), *_files(settings)]
    admin = KafkaLogAdmin(settings.kafka_config("miroir-doctor"))
    try:
        findings.append(Finding(Level.OK, "kafka", f"{settings.kafka} answers, cluster {await admin.cluster_id()}"))
        findings += await _examine_permissions(settings, admin)
        topology = await _fold(settings, admin)
        findings += await _examine_topics(settings, admin, topology)
    except LogUnavailableError as error:
        return [*findings, _silence_finding(settings, error, await admin.explain_silence())]
    except (LogError, InvalidInputError) as error:
        cure = "check the permissions of this user: describe and read on miroir.*"
        return [*findings, Finding(Level.FAULT, "kafka", str(error), cure)]
    finally:
        await admin.close()
    findings += examine_cluster(topology)
    places = asyncio.Semaphore(NODES_AT_ONCE)

    async def examine_one(node: NodeRecord) -> tuple[Finding, ...]:
        async with places:
            return await _examine_node(settings, topology, node)

    for found in await asyncio.gather(*(examine_one(node) for _, node in sorted(topology.nodes.items()))):
        findings += found
    return findings


def _files(settings: Settings) -> Iterable[Finding]:
    for name in ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile"):
        path = getattr(settings, name)
        if path is not None and not Path(path).is_file():
            yield Finding(Level.FAULT, f"setting {name}", f"no file {path}", "correct the path, or its permissions")


async def _examine_permissions(settings: Settings, admin: KafkaLogAdmin) -> Iterable[Finding]:
    may_join = await admin.may_join(settings.kafka_group)
    may_transact = not settings.kafka_transactions or await admin.may_transact(settings.kafka_transactional_id)
    return examine_coordination(settings, may_join=may_join, may_transact=may_transact)


async def _fold(settings: Settings, admin: KafkaLogAdmin) -> Topology:
    """Return the cluster as it stands in the log; an empty one where its topics are not there yet."""
    if not {CLUSTER, PROGRESS} <= (await admin.describe([CLUSTER, PROGRESS])).keys():
        return Topology()
    async with ClusterView(settings.kafka_config("miroir-doctor")) as view:
        await view.refresh()
        return view.topology


async def _examine_topics(settings: Settings, admin: KafkaLogAdmin, topology: Topology) -> list[Finding]:
    wanted = wanted_topics(topology)
    found = await admin.describe([spec.name for spec in wanted])
    findings = [finding for spec in wanted for finding in examine_topic(spec, found.get(spec.name), settings)]
    return [*findings, *examine_strays(topology, await admin.names(INDEX_TOPIC_PREFIXES))]


def _silence_finding(settings: Settings, error: LogUnavailableError, reason: str) -> Finding:
    cure = "is it running, and reachable from here? Check kafka, kafka_security_protocol, SASL and certificates"
    return Finding(Level.FAULT, "kafka", reason or f"{settings.kafka}: {error}", cure)


async def _examine_node(settings: Settings, topology: Topology, node: NodeRecord) -> tuple[Finding, ...]:
    admin = HttpNodeAdmin(node.id, node.url, settings.node_master_key.get_secret_value(), timeout_s=NODE_S)
    try:
        return examine_node(topology, node, await _look(admin, topology, node))
    except NodeError as error:
        return (_node_finding(node, error),)
    finally:
        await admin.close()


async def _look(admin: HttpNodeAdmin, topology: Topology, node: NodeRecord) -> NodeSight:
    version = await admin.fetch_version()
    keys = await admin.fetch_keys()
    indexes = await admin.fetch_indexes()
    versions = {
        uid: settings_version_of(await admin.fetch_synonyms(uid))
        for uid in indexes_on(topology, node.id)
        if uid in indexes
    }
    return NodeSight(topology.epoch, version, keys, indexes, versions)


def _node_finding(node: NodeRecord, error: NodeError) -> Finding:
    cure = f"is it running, and is {node.url} reachable from here?"
    if isinstance(error, NodeRejectedError) and error.code in KEY_FAULTS:
        cure = "set node_master_key to the master key that the node was started with"
    return Finding(Level.FAULT, f"node {node.id}", f"{node.url}: {error.detail}", cure)
