"""Answers that are none of a Meilisearch: at a node's address may stand a proxy, or another server, for a while.

What always holds: whoever speaks to a node meets errors of nodes only, whatever is answered. Who calls it: the clients
of this folder, around what reads an answer. It must not know: HTTP.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import NodeGarbledError
from schemas.ids import NodeId


@contextmanager
def understood(node: NodeId, action: str) -> Iterator[None]:
    """Read an answer inside of it.

    Raises:
        NodeGarbledError: it has not the form that is read.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise NodeGarbledError(node, action, f"answered, but not as a Meilisearch does: {error!r}") from error


def next_page(start: int, following: object) -> int | None:
    """Return where the next page of a list begins that goes upwards; None where there is none.

    Raises:
        ValueError: it does not go on: read as told, it would never end.
    """
    if following is None:
        return None
    if isinstance(following, int) and following > start:
        return following
    raise ValueError(f"the page behind {start} begins at {following!r}")
