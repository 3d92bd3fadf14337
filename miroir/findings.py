"""What ``miroir doctor`` looks for in settings, topics, indexes and nodes, and what it says.

What always holds: every finding names a subject and what was found, and one that is not well what to do about it; no
secret stands in any. Who calls it: ``miroir/doctor.py``, which gathers what is looked at. It must not know: a network.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agents.reconcile import (
    Adopt,
    ApplySettings,
    CreateKey,
    CreateNodeIndex,
    DeleteKey,
    DeleteNodeIndex,
    Forget,
    NodeSight,
    SetNodePrimaryKey,
    Step,
    plan_node,
)
from schemas.config import Settings
from schemas.events import IndexRecord, IndexState, NodeRecord, NodeState
from schemas.ids import parse_node_index_uid
from streams.log import TopicFound, TopicSpec
from streams.topics import INDEX_TOPIC_PREFIXES, OWN_PREFIX, docs_topic, own_topics, topic_faults
from streams.topology import Topology

KEY_BYTES_MIN = 16
"""Meilisearch's own bound for a master key in production."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARNING = "warning"
    """Works, but somebody should know."""
    FAULT = "fault"
    """Does not work, or will lose something."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        subject: ``setting master_key``, ``kafka``, ``topic miroir.cluster``, ``node n1``, ``index movies`` …
        found: what was found.
        cure: what to do; "" where all is well.
    """

    level: Level
    subject: str
    found: str
    cure: str = ""


def examine_settings(settings: Settings) -> tuple[Finding, ...]:
    """Return what can be said of the settings alone; one finding where all is well."""
    found = (*_keys(settings), *_kafka_security(settings), *_kafka_promises(settings))
    return found or (Finding(Level.OK, "settings", "nothing to say"),)


def examine_topic(spec: TopicSpec, found: TopicFound | None, settings: Settings) -> tuple[Finding, ...]:
    """Return what can be said of a topic; one finding where all is well."""
    subject = f"topic {spec.name}"
    if found is None:
        return (_missing_topic(spec, subject, settings),)
    faults = [Finding(Level.FAULT, subject, *_split(fault)) for fault in topic_faults(spec, found)]
    findings = (*faults, *_permissions(subject, found, settings), *_durability(subject, found, settings))
    return findings or (Finding(Level.OK, subject, _described(found)),)


def examine_coordination(settings: Settings, *, may_join: bool, may_transact: bool) -> tuple[Finding, ...]:
    """Return what can be said of this user's permissions beyond topics; nothing where it has them."""
    findings = []
    if not may_join:
        subject, found = f"group {settings.kafka_group}", "this user may not join it: workers would read nothing"
        findings.append(Finding(Level.FAULT, subject, found, f"grant READ on the group {settings.kafka_group}"))
    if settings.kafka_transactions and not may_transact:
        name = settings.kafka_transactional_id
        found = "this user may not write as it: no request would be answered"
        cure = f"grant WRITE and DESCRIBE on the transactional id {name}"
        findings.append(Finding(Level.FAULT, f"transactional id {name}", found, cure))
    return tuple(findings)


def wanted_topics(topology: Topology) -> tuple[TopicSpec, ...]:
    """Return every topic that this cluster needs now."""
    indexes = (docs_topic(index.topic, index.shards) for _, index in sorted(topology.indexes.items()))
    return (*own_topics(), *indexes)


def examine_strays(topology: Topology, names: Iterable[str]) -> tuple[Finding, ...]:
    """Return the topics named as an index's own that belong to none.

    A creation that was cut off leaves one: the topic is made before the index is written.

    Args:
        topology: the cluster.
        names: all topics that are named as ours are.
    """
    known = {index.topic for index in topology.indexes.values()} | {retired.topic for retired in topology.retired()}
    found = "no index names it: left by a creation that was cut off or by a reseed, or another cluster uses this Kafka"
    cure = "see what it holds; if nothing, delete it: kafka-topics.sh --delete --topic {}"
    return tuple(
        Finding(Level.WARNING, f"topic {name}", found, cure.format(name)) for name in names if name not in known
    )


def examine_cluster(topology: Topology) -> tuple[Finding, ...]:
    """Return what the log says of nodes and indexes, whatever the nodes say."""
    active = [node for node in topology.nodes.values() if node.state is NodeState.ACTIVE]
    findings = [finding for _, index in sorted(topology.indexes.items()) for finding in _index(index, len(active))]
    if not topology.nodes:
        findings.append(Finding(Level.WARNING, "cluster", "no node", "add one: `miroir node add ID URL`"))
    for retired in topology.retired():
        found = f"deleted, but not yet gone everywhere (incarnation {retired.incarnation})"
        cure = "bring back the nodes that cannot be reached: their copy is deleted then"
        findings.append(Finding(Level.WARNING, f"index {retired.uid}", found, cure))
    return tuple(findings)


def examine_node(topology: Topology, node: NodeRecord, sight: NodeSight) -> tuple[Finding, ...]:
    """Return what the controller would have to do to the node, and what it cannot."""
    subject = f"node {node.id}"
    # The cluster's name stands on the key that the node's record names; a node that joins has none yet.
    cluster = next((key.cluster for key in sight.keys if key.uid == node.worker_key), "")
    plan = plan_node(topology, node, sight, cluster)
    if plan.fault:
        return (Finding(Level.FAULT, subject, *_split(plan.fault, ":")),)
    findings = [
        Finding(Level.WARNING, subject, _said(step), "a running worker's controller does it: is one running?")
        for step in plan.steps
        if not isinstance(step, DeleteKey)
    ]
    findings += _strangers(topology, subject, sight)
    placed = len(topology.replicas_on(node.id))
    well = f"{node.url}: Meilisearch {sight.version}, {node.state}, {placed} replicas, keys and settings as they should"
    return tuple(findings) or (Finding(Level.OK, subject, well),)


def _keys(settings: Settings) -> Iterator[Finding]:
    master = "" if settings.master_key is None else settings.master_key.get_secret_value()
    node = settings.node_master_key.get_secret_value()
    exposed = settings.http_host not in _LOOPBACK
    if not master:
        level = Level.FAULT if exposed else Level.WARNING
        found = f"not set: everybody who reaches {settings.http_host} may do everything"
        yield Finding(level, "setting master_key", found, _key_cure("MIROIR_MASTER_KEY"))
    elif len(master.encode()) < KEY_BYTES_MIN:
        yield _short_key("master_key", len(master.encode()))
    if not node:
        yield Finding(Level.FAULT, "setting node_master_key", "not set", "set it to the nodes' master key")
    elif len(node.encode()) < KEY_BYTES_MIN:
        yield _short_key("node_master_key", len(node.encode()))
    elif node == master:
        cure = "give the nodes a key of their own: who has the one of the API may then not bypass it"
        yield Finding(Level.WARNING, "setting node_master_key", "the same as master_key", cure)


def _short_key(name: str, size: int) -> Finding:
    found = f"{size} bytes, at least {KEY_BYTES_MIN} expected"
    return Finding(Level.FAULT, f"setting {name}", found, _key_cure(f"MIROIR_{name.upper()}"))


def _key_cure(variable: str) -> str:
    return f"set {variable} to a random text, for example of `openssl rand -hex 24`"


def _kafka_security(settings: Settings) -> Iterator[Finding]:
    sasl = settings.kafka_security_protocol.startswith("SASL")
    if settings.kafka_sasl_username is not None and not sasl:
        found = f"a user is given, but {settings.kafka_security_protocol} sends none"
        yield Finding(Level.WARNING, "setting kafka_sasl_username", found, "set kafka_security_protocol to SASL_SSL")
    if settings.kafka_security_protocol == "SASL_PLAINTEXT" and settings.kafka_sasl_mechanism == "PLAIN":
        found = "the password goes over the network readably"
        yield Finding(Level.WARNING, "setting kafka_security_protocol", found, "use SASL_SSL, or a SCRAM mechanism")
    if settings.kafka_security_protocol.endswith("SSL") and not settings.kafka_ssl_check_hostname:
        found = "off: anybody with a certificate of the same authority may pose as a broker"
        yield Finding(Level.WARNING, "setting kafka_ssl_check_hostname", found, "leave it on")


def _kafka_promises(settings: Settings) -> Iterator[Finding]:
    if not settings.kafka_idempotence:
        found = "off: a retry may append a record twice or out of order"
        yield Finding(Level.WARNING, "setting kafka_idempotence", found, "leave it on, except for the embedded broker")
    if not settings.kafka_transactions:
        found = "off: a controller that was stalled is not shut out by its successor"
        yield Finding(Level.WARNING, "setting kafka_transactions", found, "leave it on, except for the embedded broker")
    if settings.kafka_replication_factor == 1:
        found = "1: a broker that is lost takes the log with it"
        yield Finding(Level.WARNING, "setting kafka_replication_factor", found, "3 on a cluster of three brokers")


def _missing_topic(spec: TopicSpec, subject: str, settings: Settings) -> Finding:
    ours = any(spec.name == own.name for own in own_topics())
    if ours and settings.kafka_create_topics:
        return Finding(Level.WARNING, subject, "is not there yet", "a worker makes it when it starts")
    return Finding(Level.FAULT, subject, "is not there", "`miroir topics plan` prints the command that makes it")


def _permissions(subject: str, found: TopicFound, settings: Settings) -> Iterator[Finding]:
    if found.operations is None:
        return
    if lacking := [each for each in ("read", "write") if each not in found.operations]:
        cure = f"grant {' and '.join(lacking).upper()} on it; for all of ours, on topics that begin with `{OWN_PREFIX}`"
        yield Finding(Level.FAULT, subject, f"this user may not {' or '.join(lacking)} it", cure)
    if not settings.kafka_create_topics or not found.name.startswith(OWN_PREFIX):
        return
    if "create" not in found.operations:
        text = "this user may not make topics like it, though kafka_create_topics is on"
        cure = f"grant CREATE on topics that begin with `{OWN_PREFIX}`, or make them beforehand and set it off"
        yield Finding(Level.FAULT, subject, text, cure)
    if "delete" not in found.operations and found.name.startswith(INDEX_TOPIC_PREFIXES):
        cure = f"grant DELETE on topics that begin with `{OWN_PREFIX}`, or delete it by hand"
        yield Finding(Level.WARNING, subject, "this user may not delete it: it stays when its index goes", cure)


def _durability(subject: str, found: TopicFound, settings: Settings) -> Iterator[Finding]:
    if found.replication < settings.kafka_replication_factor:
        wanted = settings.kafka_replication_factor
        text = f"{found.replication} copies, {wanted} asked for"
        cure = "add brokers and reassign its partitions, or set kafka_replication_factor to what you have"
        yield Finding(Level.WARNING, subject, text, cure)
    in_sync = found.configs.get("min.insync.replicas", "")
    if in_sync.isdigit() and found.replication > 1:
        if int(in_sync) < 2:  # noqa: PLR2004 - two is what "more than one broker has it" means
            text = "min.insync.replicas=1: a record counts as written when a single broker has it"
            yield Finding(Level.WARNING, subject, text, _alter(found.name, "min.insync.replicas=2"))
        elif int(in_sync) >= found.replication:
            text = f"min.insync.replicas={in_sync} of {found.replication}: one broker away stops all writes"
            wanted_config = f"min.insync.replicas={found.replication - 1}"
            yield Finding(Level.WARNING, subject, text, _alter(found.name, wanted_config))
    if found.configs.get("unclean.leader.election.enable") == "true":
        text = "unclean.leader.election.enable=true: acknowledged records may be lost, and positions used twice"
        yield Finding(Level.FAULT, subject, text, _alter(found.name, "unclean.leader.election.enable=false"))


def _alter(topic: str, config: str) -> str:
    return f"kafka-configs --alter --topic {topic} --add-config {config}"


def _described(found: TopicFound) -> str:
    policy = found.configs.get("cleanup.policy")
    text = f"{found.partitions} partitions, {found.replication} copies"
    return f"{text}, cleanup.policy={policy}" if policy else f"{text}; the broker does not tell its configuration"


def _index(index: IndexRecord, active: int) -> Iterator[Finding]:
    subject = f"index {index.uid}"
    if index.state is IndexState.PAUSED:
        cure = f"when that is dealt with: `miroir index resume {index.uid}`"
        yield Finding(Level.FAULT, subject, f"paused: {index.reason}", cure)
    elif index.reason:
        yield Finding(Level.FAULT, subject, *_split(index.reason))
    if index.primary_key is None:
        cure = "it is inferred from the first documents sent over HTTP; for a producer to Kafka, name it"
        yield Finding(Level.WARNING, subject, "no primary key yet: nothing is applied", cure)
    if active < index.replication:
        found = f"{index.replication} copies asked for, {active} nodes active"
        yield Finding(Level.WARNING, subject, found, "bring back nodes, or add some")


def _said(step: Step) -> str:
    match step:
        case Adopt(reason=reason):
            return f"is to be taken in: {reason}"
        case CreateKey(role=role):
            return f"has no {role} key"
        case DeleteKey(uid=uid):
            return f"has a key of the past, {uid}"
        case CreateNodeIndex(uid=uid):
            return f"has no index {uid}"
        case SetNodePrimaryKey(uid=uid, primary_key=primary_key):
            return f"index {uid} has not the primary key `{primary_key}`"
        case ApplySettings(uid=uid, version=version):
            return f"index {uid} has not the settings of version {version}"
        case DeleteNodeIndex(uid=uid):
            return f"still has the deleted index {uid}"
        case Forget():
            return "is to be forgotten"


def _strangers(topology: Topology, subject: str, sight: NodeSight) -> Iterator[Finding]:
    """Yield the indexes named like ours that the cluster does not know: an old disk's, or somebody else's."""
    known: Mapping[str, int] = {index.uid: index.incarnation for index in topology.indexes.values()}
    retired = {(each.uid, each.incarnation) for each in topology.retired()}
    for uid in sorted(sight.indexes):
        named = parse_node_index_uid(uid)
        if named is None or known.get(named[0]) == named[1] or named in retired:
            continue
        cure = "nobody reads it; delete it on the node if it is an old one of miroir's"
        yield Finding(Level.WARNING, subject, f"has an index {uid} that this cluster does not know", cure)


def _split(fault: str, separator: str = ";") -> Sequence[str]:
    """Return what was found and the cure of a sentence that holds both."""
    found, _, cure = fault.partition(separator)
    return (found.strip(), cure.strip())
