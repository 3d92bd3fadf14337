"""Why copies are not read."""

from dataclasses import replace

import pytest
from hypothesis import given

from schemas.ids import NodeId, ShardId
from schemas.progress import Progress
from streams.cursor import NO_ATTEMPT
from streams.unread import unread_copies
from tests.streams.test_readable import BOUND, INDEX, NODES, any_cluster, at, make_cluster, make_view, readable


def unread(*seen: Progress) -> dict[NodeId, str]:
    """Return why nodes are not read."""
    return dict(unread_copies(make_cluster(), make_view(*seen), INDEX, ShardId(0), lag_records_max=BOUND))


@given(any_cluster)
def test_every_copy_is_either_read_or_has_a_reason(seen: tuple[Progress, ...]) -> None:
    """Never both, never neither."""
    assert sorted((*readable(*seen), *unread(*seen))) == list(NODES)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ((), "no worker has told of it yet"),
        ((replace(at("n2", 0), attempt=NO_ATTEMPT),), "its node has not begun it yet"),
        ((at("n2", 7, caught_up=False),), "it has not caught up yet: it stands at 7 of"),
        ((at("n2", 900, away=True),), "its worker does not reach the node: it stands at 900 of"),
        ((at("n2", 499),), "it is 101 records behind the best copy: it stands at 499 of"),
    ],
)
def test_reason_says_what_keeps_a_copy_from_being_read(seen: tuple[Progress, ...], reason: str) -> None:
    """Beside one that is whole."""
    found = unread(at("n1", 600), *seen)

    assert NodeId("n1") not in found
    assert found[NodeId("n2")].startswith(reason)
