"""Whether a node may join: looked at before the request is decided, so that the answer itself says why not.

What always holds: a node is refused for what it is, never for what it holds beyond keys. Who calls it: the controller's
shell asks the node and then this; the decisions on requests. It must not know: HTTP.
"""

from collections.abc import Sequence
from typing import NamedTuple

from agents.node_admin import KEY_FAULTS, NodeKey
from schemas.errors import NodeError, NodeRejectedError

VERSION_MIN = (1, 26)
"""The first with ``customMetadata``, where the cursor lives."""


class Newcomer(NamedTuple):
    """A node that asks to join, as it was seen.

    Attributes:
        code: why it cannot join; empty where nothing is wrong with it.
        message: the same in words, with the cure.
        keys: uids of its keys that this cluster has made.
    """

    code: str = ""
    message: str = ""
    keys: frozenset[str] = frozenset()


WELCOME = Newcomer()
"""Nothing is wrong with it, or it is nobody new."""


def judge_newcomer(version: str, keys: Sequence[NodeKey], cluster: str) -> Newcomer:
    """Return whether a node that answers may join.

    Args:
        version: Meilisearch's, such as ``1.50.0``.
        keys: all of them.
        cluster: this cluster's name, as its keys carry it.
    """
    if fault := version_fault(version):
        return Newcomer("node_too_old", fault)
    if fault := foreign_fault(keys, cluster):
        return Newcomer("node_of_another_cluster", fault)
    return Newcomer(keys=frozenset(key.uid for key in keys if key.cluster == cluster))


def explain_silence(error: NodeError) -> Newcomer:
    """Return why a node that did not answer as it should cannot join."""
    if not isinstance(error, NodeRejectedError):
        return Newcomer(
            "node_unreachable", f"{error}; start it, or correct the url: controller and workers must reach it"
        )
    if error.code in KEY_FAULTS:
        return Newcomer("node_key_wrong", f"{error}; node_master_key must be the master key that it was started with")
    cure = "correct the url, which must be a node's, not a query service's"
    return Newcomer("not_a_meilisearch", f"{error}; it answers not as a Meilisearch node does: {cure}")


def version_fault(version: str) -> str:
    """Return why this version cannot be used, with the cure; empty where it can."""
    parts = version.split("-", maxsplit=1)[0].split(".")
    try:
        if tuple(int(part) for part in parts[:2]) >= VERSION_MIN:
            return ""
    except ValueError:
        pass
    wanted = ".".join(map(str, VERSION_MIN))
    return f"Meilisearch {version} is too old: {wanted} or newer is needed; upgrade the node"


def foreign_fault(keys: Sequence[NodeKey], cluster: str) -> str:
    """Return which other clusters the node belongs to, with the cure; empty where to none."""
    foreign = sorted({key.cluster for key in keys if key.cluster not in ("", cluster)})
    if not foreign:
        return ""
    return (
        f"belongs to another miroir cluster ({', '.join(foreign)}): give the node an empty data directory,"
        " or delete that cluster's keys on it"
    )
