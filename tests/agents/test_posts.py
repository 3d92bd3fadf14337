"""A post: last write of each key, in one part or two."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from agents.operations import Operation
from agents.posts import ShardSlice, build_parts
from schemas.ids import Incarnation, Offset, Position, ShardId
from schemas.posts import PositionRange, parse_metadata

WRITES = st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 9)), max_size=12)


def make_slice(writes: list[tuple[str, int | None]]) -> ShardSlice:
    """Return a slice of these writes at offsets 0, 1, …; None deletes."""
    operations = [
        Operation(Offset(at), 0, key, None if value is None else orjson.dumps({"id": key, "v": value}))
        for at, (key, value) in enumerate(writes)
    ]
    return ShardSlice(PositionRange(Position(0), Position(len(writes))), operations)


@given(WRITES)
def test_post_applied_equals_its_writes_applied(writes: list[tuple[str, int | None]]) -> None:
    """Parts in order give what the single writes in order give, from any state before."""
    state = dict.fromkeys("abcd", -1)
    expected = dict(state)
    for key, value in writes:
        if value is None:
            expected.pop(key, None)
        else:
            expected[key] = value

    for part in build_parts("p", Incarnation(1), {ShardId(0): make_slice(writes)}):
        if part.is_delete:
            for key in orjson.loads(part.body):
                state.pop(key, None)
        else:
            state |= {d["id"]: d["v"] for d in map(orjson.loads, part.body.splitlines())}

    assert state == expected


@given(WRITES, WRITES)
def test_every_part_names_all_ranges(left: list[tuple[str, int | None]], right: list[tuple[str, int | None]]) -> None:
    """Number and count of the parts, and the same ranges, stand in each part's metadata."""
    parts = build_parts("p", Incarnation(1), {ShardId(0): make_slice(left), ShardId(4): make_slice(right)})

    assert [part.post.part for part in parts] == list(range(len(parts)))
    assert {part.post.parts for part in parts} == {len(parts)}
    assert all(parse_metadata(part.metadata) == part.post for part in parts)
    assert all(set(part.post.ranges) == {0, 4} for part in parts)


def test_range_without_operations_is_an_empty_delete_batch() -> None:
    """Positions that hold nothing for the node still move its cursor."""
    (part,) = build_parts("p", Incarnation(1), {ShardId(0): make_slice([])})

    assert (part.is_delete, part.body) == (True, b"[]")
