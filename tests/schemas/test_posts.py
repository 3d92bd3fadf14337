"""What posts say of themselves: read back as built; anything else is nobody's."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import Attempt, Incarnation, Position, ShardId
from schemas.posts import (
    Checkpoint,
    CheckpointCursor,
    Drop,
    PositionRange,
    Post,
    PostMetadata,
    build_metadata,
    parse_metadata,
)
from tests.strategies import json_objects, post_metadata

ONE = ShardId(1)


@given(post_metadata)
def test_metadata_is_read_back_as_it_was_built(metadata: PostMetadata) -> None:
    """Parse of build is identity, for every kind."""
    assert parse_metadata(build_metadata(metadata)) == metadata


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        (
            Post(Incarnation(7), "w-1", 0, 2, {ONE: PositionRange(Position(3), Position(9))}),
            '{"miroir":1,"i":7,"post":"w-1","k":0,"n":2,"r":{"1":[3,9]}}',
        ),
        (
            Post(Incarnation(7), "w-1", 0, 1, {ONE: PositionRange(Position(3), Position(9))}, {ONE: 1700}),
            '{"miroir":1,"i":7,"post":"w-1","k":0,"n":1,"r":{"1":[3,9]},"t":{"1":1700}}',
        ),
        (Drop(Incarnation(7), {ONE: Attempt(4)}), '{"miroir":1,"i":7,"drop":{"1":4}}'),
        (Drop(Incarnation(7), {ONE: Attempt(4)}, at_ms=1700), '{"miroir":1,"i":7,"drop":{"1":4},"t":1700}'),
        (Drop(Incarnation(7), {ONE: Attempt(4)}, is_whole=True), '{"miroir":1,"i":7,"drop":{"1":4},"all":true}'),
        (
            Checkpoint(Incarnation(7), 99, {ONE: CheckpointCursor(Position(9), Attempt(4), 1700)}),
            '{"miroir":1,"i":7,"upto":99,"c":{"1":[9,4,1700]}}',
        ),
    ],
    ids=["post", "post with a time", "drop", "drop with a time", "drop of all", "checkpoint"],
)
def test_text_is_the_one_that_is_documented(metadata: PostMetadata, text: str) -> None:
    """Nodes keep these texts for years: a changed form needs a new version number."""
    assert build_metadata(metadata) == text
    assert parse_metadata(text) == metadata


def post_text(**changes: object) -> str:
    """Return a good post's text with some fields replaced; None takes one out."""
    wire = {"miroir": 1, "i": 7, "post": "p", "k": 0, "n": 1, "r": {"1": [3, 9]}} | changes
    return orjson.dumps({name: value for name, value in wire.items() if value is not None}).decode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("load of monday", id="a user's own"),
        pytest.param('"miroir"', id="a JSON string"),
        pytest.param('["miroir"]', id="an array"),
        pytest.param('{"miroir":', id="cut short"),
        pytest.param('{"miroir": 1}', id="nothing else"),
        pytest.param(post_text(miroir=2), id="a later version"),
        pytest.param(post_text(miroir=True), id="a boolean for the version"),
        pytest.param(post_text(i="7"), id="incarnation as text"),
        pytest.param(post_text(i=None), id="no incarnation"),
        pytest.param(post_text(post=3), id="post id no text"),
        pytest.param(post_text(k=1), id="part beyond the parts"),
        pytest.param(post_text(k=-1), id="part below zero"),
        pytest.param(post_text(k=True, n=2), id="part a boolean"),
        pytest.param(post_text(r={}), id="no ranges"),
        pytest.param(post_text(r=[[1, 2]]), id="ranges no object"),
        pytest.param(post_text(r={"1": [9, 3]}), id="range backwards"),
        pytest.param(post_text(r={"1": [-1, 3]}), id="range below zero"),
        pytest.param(post_text(r={"1": [3]}), id="half a range"),
        pytest.param(post_text(r={"1": [3, 4, 5]}), id="range of three"),
        pytest.param(post_text(t=[1]), id="times no object"),
        pytest.param(post_text(t={"1": -1}), id="time below zero"),
        pytest.param(post_text(t={"1": "5"}), id="time as text"),
        pytest.param(post_text(r={"1": [3, 4.5]}), id="position a fraction"),
        pytest.param(post_text(r={"1": "34"}), id="range as text"),
        pytest.param(post_text(r={"one": [3, 9]}), id="shard no number"),
        pytest.param(post_text(r={" 1": [3, 9]}), id="shard with a blank"),
        pytest.param(post_text(r={"1_0": [3, 9]}), id="shard with a separator"),
        pytest.param(post_text(r={"-1": [3, 9]}), id="shard below zero"),
        pytest.param(post_text(post=None, r=None, drop={"1": "4"}), id="attempt as text"),
        pytest.param(post_text(post=None, r=None, upto=9, c={"1": 4}), id="cursor without attempt"),
    ],
)
def test_text_of_another_form_is_nobodys(text: str | None) -> None:
    """The fold takes such a task for one that never was, which only lowers what is believed."""
    assert parse_metadata(text) is None


@given(st.text() | json_objects.map(lambda value: orjson.dumps({"miroir": 1, **value}).decode()))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """A node's task list is outside input; whatever is read as ours can be built again."""
    found = parse_metadata(text)

    assert found is None or parse_metadata(build_metadata(found)) == found
