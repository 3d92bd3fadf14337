"""Everything miroir can raise, as one tree.

::

    MiroirError                      retriable = False, a class attribute; ↻ marks those that override it with True
    ├─ InvalidInputError             the caller's fault
    │  ├─ InvalidDocumentError       a document that can never be indexed; carries a reason code
    │  ├─ InvalidSearchError         a search body or parameter
    │  ├─ InvalidTokenError          a read-your-writes token
    │  ├─ InvalidRequestError        an operator's request the controller refuses
    │  └─ ConfigurationError         a setting: its key and the reason
    ├─ NotFoundError                 index, task, document
    ├─ LogError                      the log refused or is not what it should be
    │  ├─ LogUnavailableError ↻      no broker answers
    │  │  ├─ NoBrokerError ↻         none of the brokers that were named can be connected to
    │  │  ├─ NoTopicError ↻          brokers answer, and know no such topic or partition (yet, or any more)
    │  │  └─ NoLeaderError ↻         brokers answer, and none leads these partitions just now
    │  ├─ MissedRecordsError         a position the log no longer, or not yet, holds: a loud stop, never a skip
    │  ├─ AnotherLogError            a topic that was deleted and made anew: its positions mean other records now
    │  ├─ FencedError                another writer of the cluster topic took over
    │  └─ RecordTooLargeError        the broker does not take it
    ├─ NodeError (node, action)
    │  ├─ NodeUnreachableError ↻     refused or cut connection
    │  │  └─ NodeGarbledError ↻      an answer cut short, no JSON, or none of a Meilisearch
    │  ├─ NodeTimeoutError ↻         no answer in time: neither success nor failure, the task list decides
    │  ├─ NodeBusyError ↻            it says that it is overloaded
    │  │  └─ NodeFullError ↻         as many requests of ours are under way at it as may be; it was not asked
    │  ├─ NodeRejectedError          an answer that is no success: status and Meilisearch error code
    │  ├─ NodeForgotError            403 to a key made on it: it has lost its disk
    │  └─ NodeTaskFailedError        a task that did not succeed
    └─ ClusterError (epoch)
       ├─ NoReplicaError             no readable copy of these shards
       └─ ReplicaBehindError ↻       wanted position, cursor found

What always holds: data is kept in attributes, text is made in the constructor, and foreign exceptions are translated
at the border (``raise … from``) by one table a client. HTTP status codes live in ``query/http/errors.py`` only.
"""

from collections.abc import Sequence


class MiroirError(Exception):
    """Anything miroir raises on purpose."""

    retriable = False
    """Whether the same call may succeed later without any change by the caller."""


class InvalidInputError(MiroirError):
    """What the caller gave can never be right."""


class InvalidDocumentError(InvalidInputError):
    """A document, or its key, that no node may be sent.

    Attributes:
        reason: a stable code such as ``invalid_id``; the dead letter carries it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidSearchError(InvalidInputError):
    """A search body or parameter; ``code`` is Meilisearch's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidTokenError(InvalidInputError):
    """A read-your-writes token that is not ``index:partition@offset[,…]``."""

    def __init__(self, token: str) -> None:
        super().__init__(f"token {token!r}: expected index:partition@offset[,…]")
        self.token = token


class InvalidRequestError(InvalidInputError):
    """A request the controller refuses; ``code`` is stable, the text says what was expected."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ConfigurationError(InvalidInputError):
    """A setting that is missing or not what it should be."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"setting {key}: {reason}")
        self.key = key
        self.reason = reason


class NotFoundError(MiroirError):
    """Something named does not exist.

    Attributes:
        kind: ``index``, ``task``, ``document``, ``node`` …
        name: its name as the caller gave it.
    """

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} not found")
        self.kind = kind
        self.name = name


class LogError(MiroirError):
    """The log refused, or is not what it should be."""


class LogUnavailableError(LogError):
    """No broker answers."""

    retriable = True


class NoBrokerError(LogUnavailableError):
    """None of the brokers that were named can be connected to: away, or they do not let this client in.

    Attributes:
        servers: ``host:port[,host:port…]``.
    """

    def __init__(self, servers: str) -> None:
        super().__init__(f"Kafka {servers} does not answer")
        self.servers = servers


class NoTopicError(LogUnavailableError):
    """Topics that do not exist, or lack a partition: just made, or deleted.

    Attributes:
        topics: their names.
    """

    def __init__(self, message: str, topics: frozenset[str]) -> None:
        super().__init__(message)
        self.topics = topics


class NoLeaderError(LogUnavailableError):
    """Partitions that no broker leads just now: the brokers that hold them are away, or one is being chosen.

    Attributes:
        partitions: topic and number of each; others that were asked about may well be led.
    """

    def __init__(self, partitions: frozenset[tuple[str, int]], reason: str = "") -> None:
        text = f"no broker leads {', '.join(f'{topic}/{number}' for topic, number in sorted(partitions))}"
        super().__init__(f"{text}: {reason}" if reason else text)
        self.partitions = partitions


class MissedRecordsError(LogError):
    """A position outside what the log holds: trimmed under a replica, or another log under the same name.

    Attributes:
        topic: the topic's name.
        partition: the partition's number.
        wanted: the position asked for.
        beginning: the first position held.
        end: the end of the log, exclusive.
    """

    def __init__(self, *, topic: str, partition: int, wanted: int, beginning: int, end: int) -> None:
        super().__init__(f"{topic}/{partition}: position {wanted} is outside the log [{beginning}, {end}]")
        self.topic = topic
        self.partition = partition
        self.wanted = wanted
        self.beginning = beginning
        self.end = end


class AnotherLogError(LogError):
    """A topic that was deleted and made anew: its positions mean other records now."""

    def __init__(self, topic: str, *, expected: str, found: str) -> None:
        super().__init__(f"topic {topic}: was deleted and made anew, its id is {found}, {expected} was expected")
        self.topic = topic


class FencedError(LogError):
    """Another controller took over: this one must stop writing at once."""


class RecordTooLargeError(LogError):
    """The broker's ``max.message.bytes`` is below the record's size."""

    def __init__(self, topic: str, size_bytes: int) -> None:
        super().__init__(f"{topic}: a record of {size_bytes} bytes is larger than the broker takes")
        self.topic = topic
        self.size_bytes = size_bytes


class NodeError(MiroirError):
    """A node did not do what was asked.

    Attributes:
        node: the node's id.
        action: what was tried, such as ``post documents``.
    """

    def __init__(self, node: str, action: str, detail: str) -> None:
        super().__init__(f"node {node}: {action}: {detail}")
        self.node = node
        self.action = action
        self.detail = detail


class NodeUnreachableError(NodeError):
    """The connection was refused or cut."""

    retriable = True


class NodeGarbledError(NodeUnreachableError):
    """The node began to answer, and what came is cut short, no JSON, or nothing that a Meilisearch says."""


class NodeTimeoutError(NodeError):
    """No answer in time. It may have been done all the same: the node's task list decides."""

    retriable = True


class NodeBusyError(NodeError):
    """It says that it is overloaded: shed load."""

    retriable = True


class NodeFullError(NodeBusyError):
    """As many requests of ours are under way at it as may be; it was not asked: shed load."""


class NodeRejectedError(NodeError):
    """The node answered, and it was no success.

    Attributes:
        status: the HTTP status.
        code: Meilisearch's error code, or an empty string.
    """

    def __init__(self, node: str, action: str, *, status: int, code: str, detail: str) -> None:
        super().__init__(node, action, f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.message = detail


class NodeForgotError(NodeError):
    """The node answers 403 to a key that was made on it: it has lost its disk."""


class NodeTaskFailedError(NodeError):
    """A task was accepted and did not succeed; ``code`` is Meilisearch's error code."""

    def __init__(self, node: str, action: str, *, code: str, detail: str) -> None:
        super().__init__(node, action, f"{code}: {detail}")
        self.code = code


class ClusterError(MiroirError):
    """The cluster, as seen at ``epoch``, cannot do it."""

    def __init__(self, message: str, *, epoch: int) -> None:
        super().__init__(f"{message} (epoch {epoch})")
        self.epoch = epoch


class NoReplicaError(ClusterError):
    """No readable copy of some shards."""

    def __init__(self, index: str, shards: Sequence[int], *, epoch: int) -> None:
        super().__init__(f"index {index!r}: no readable copy of shards {list(shards)}", epoch=epoch)
        self.index = index
        self.shards = tuple(shards)


class ReplicaBehindError(ClusterError):
    """No copy has reached the position that was asked for, or none was looked at for ``unseen_s`` seconds."""

    retriable = True

    def __init__(self, index: str, shard: int, *, wanted: int, cursor: int, epoch: int, unseen_s: int = 0) -> None:
        unseen = f" when it was last looked at, {unseen_s} s ago" if unseen_s else ""
        message = f"index {index!r} shard {shard}: position {wanted} wanted, {cursor} reached{unseen}"
        super().__init__(message, epoch=epoch)
        self.shard = shard
        self.wanted = wanted
        self.cursor = cursor
