"""The exception tree: drawn as it is, and every leaf says what it knows."""

import inspect
import re

import pytest

from schemas import errors
from schemas.errors import (
    ConfigurationError,
    InvalidDocumentError,
    InvalidTokenError,
    MiroirError,
    MissedRecordsError,
    NodeError,
    NodeForgotError,
    NodeRejectedError,
    NoReplicaError,
    NotFoundError,
    RecordTooLargeError,
    ReplicaBehindError,
)

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, MiroirError) and kind is not MiroirError
}
DRAWN = re.compile(r"^    ((?:[│ ]  )*)[├└]─ (\w+)(?: ?\(.*?\))?( ↻)?", re.MULTILINE)


def test_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    """Every class is drawn under its base, and marked where the same call may succeed later."""
    drawn = DRAWN.findall(errors.__doc__ or "")
    parents = ["MiroirError"]
    found = {}
    for indent, name, retriable in drawn:
        depth = len(indent) // 3 + 1
        parents[depth:] = [name]
        found[name] = (parents[depth - 1], bool(retriable))

    assert found == {name: (kind.__bases__[0].__name__, kind.retriable) for name, kind in CLASSES.items()}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InvalidDocumentError("invalid_id", "the id is bad"), ["the id is bad"]),
        (InvalidTokenError("films@3"), ["films@3", "index:partition@offset"]),
        (ConfigurationError("kafka", "is bad"), ["setting kafka", "is bad"]),
        (NotFoundError("index", "films"), ["index", "'films'"]),
        (MissedRecordsError(topic="t", partition=3, wanted=9, beginning=10, end=20), ["t/3", "9", "[10, 20]"]),
        (RecordTooLargeError("t", 7), ["t", "7 bytes"]),
        (NodeError("node-1", "post", "gone"), ["node-1", "post", "gone"]),
        (
            NodeRejectedError("node-1", "post", status=404, code="index_not_found", detail="x"),
            ["404", "index_not_found"],
        ),
        (NodeForgotError("node-1", "post", "bad key"), ["node-1", "bad key"]),
        (NoReplicaError("films", [3, 4], epoch=9), ["films", "[3, 4]", "epoch 9"]),
        (ReplicaBehindError("films", 3, wanted=9, cursor=5, epoch=2), ["shard 3", "9", "5", "epoch 2"]),
        (ReplicaBehindError("films", 3, wanted=9, cursor=9, epoch=2, unseen_s=70), ["shard 3", "70 s ago"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_message_names_the_thing_and_what_was_found(error: MiroirError, words: list[str]) -> None:
    """A reader of one log line knows what it is about."""
    assert all(word in str(error) for word in words)
    assert not str(error).endswith(".")
