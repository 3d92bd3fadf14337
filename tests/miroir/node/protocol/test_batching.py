"""Which tasks run together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miroir.node.protocol.batching import PAYLOAD_BYTES_MAX, TASKS_MAX, Waiting, decide_batch

KINDS = (
    "replace",
    "update",
    "delete_ids",
    "delete_filter",
    "clear",
    "settings",
    "create_index",
    "delete_index",
    "swap",
)


def waiting(*kinds: str, index: str = "a", size: int = 1) -> list[Waiting]:
    """Return tasks of one index by kind."""
    creates = {"replace", "update"}
    return [Waiting(uid, index, kind, kind in creates, None, size) for uid, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        (("replace", "update", "delete_ids", "replace"), 4),
        (("replace", "delete_filter"), 1),
        (("delete_ids", "delete_filter", "delete_ids"), 3),
        (("delete_filter", "replace"), 1),
        (("replace", "clear", "delete_ids", "replace"), 3),
        (("replace", "delete_index", "replace"), 2),
        (("settings", "settings", "replace"), 2),
        (("replace", "settings"), 1),
        (("create_index", "create_index"), 1),
        (("swap", "replace"), 1),
        ((), 0),
    ],
)
def test_batch_takes_what_goes_together(kinds: tuple[str, ...], count: int) -> None:
    """The table of the module, case by case."""
    assert decide_batch(waiting(*kinds)) == tuple(range(count))


def test_batch_leaps_over_other_indexes_but_not_over_a_swap() -> None:
    """Tasks of other indexes are left for later; a swap may rename the index, so nothing behind it is taken."""
    a, b = waiting("replace")[0], waiting("replace", index="b")[0]

    leaped = decide_batch([a, b._replace(uid=1), a._replace(uid=2)])
    stopped = decide_batch(
        [a, Waiting(1, None, "swap", creates=False, primary_key=None, payload_bytes=0), a._replace(uid=2)]
    )

    assert leaped == (0, 2)
    assert stopped == (0,)


def test_batch_is_bounded_in_tasks_and_bytes() -> None:
    """Neither many nor large payloads make a batch without end."""
    assert len(decide_batch(waiting(*["replace"] * (TASKS_MAX + 5)))) == TASKS_MAX
    assert len(decide_batch(waiting("replace", "replace", "replace", size=PAYLOAD_BYTES_MAX // 2))) == 2


def test_batch_stops_at_another_primary_key_or_right_to_create() -> None:
    """Payloads that would bring the index to life differently do not share a batch."""
    first, second = waiting("replace", "replace")

    assert decide_batch([first, second._replace(creates=False)]) == (0,)
    assert decide_batch([first, second._replace(primary_key="other")]) == (0,)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("ab")), min_size=1, max_size=12))
def test_batch_is_a_run_of_the_oldest_tasks_index(tasks: list[tuple[str, str]]) -> None:
    """A batch starts with the oldest task, has one index, and leaves out none of that index before its last."""
    queue = [
        Waiting(uid, None if kind == "swap" else index, kind, kind in {"replace", "update"}, None, 1)
        for uid, (kind, index) in enumerate(tasks)
    ]

    batch = decide_batch(queue)

    own = [task.uid for task in queue if task.index_uid == queue[0].index_uid]
    assert batch[0] == 0
    assert list(batch) == own[: len(batch)]
