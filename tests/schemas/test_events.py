"""The cluster topic's records: read back as built, each under its own key."""

import orjson
import pytest
from hypothesis import given

from schemas.errors import InvalidInputError
from schemas.events import ClusterValue, FormerRecord, NodeRecord, build_key, build_value, parse_value
from schemas.ids import NodeId
from tests.builders import make_index, make_node, make_replica
from tests.strategies import cluster_values


@given(cluster_values)
def test_value_is_read_back_as_it_was_built(value: ClusterValue) -> None:
    """Parse of build is identity, for every kind of record."""
    assert parse_value(build_key(value), build_value(value)) == value


@given(cluster_values, cluster_values)
def test_different_entities_stand_under_different_keys(one: ClusterValue, other: ClusterValue) -> None:
    """No record of one entity can remove that of another: only what names the same thing shares a key."""
    if build_key(one) == build_key(other):
        assert type(one) is type(other)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (make_node("n1"), "node/n1"),
        (make_index("films"), "index/films"),
        (make_replica("n1", shard=3), "replica/films/7/3/n1"),
    ],
    ids=["node", "index", "replica"],
)
def test_key_is_the_one_that_is_documented(value: ClusterValue, key: str) -> None:
    """The keys are persisted: a changed one would leave the old record standing."""
    assert build_key(value) == key


def test_kind_of_a_later_version_is_none() -> None:
    """A fold passes over what it does not know; whoever needs it is of that version."""
    assert parse_value("quota/films", b"anything") is None


def test_former_record_of_before_positions_were_kept_has_none() -> None:
    """A change that a former version has begun is ended by this one."""
    former = FormerRecord(make_index("films"))
    record = orjson.loads(build_value(former))
    old = {key: record[key] for key in ("index", "answers")}

    assert parse_value(build_key(former), orjson.dumps(old)) == former


def test_value_under_another_key_is_refused() -> None:
    """It would be one entity for whoever reads keys and another for whoever reads values."""
    with pytest.raises(InvalidInputError, match=r"node/n2.*holds the state of 'node/n1'"):
        parse_value("node/n2", build_value(make_node("n1")))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"id": 3}, "id"),
        ({"state": "sleeping"}, "state"),
        ({"weight": "heavy"}, "weight"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_malformed_value_names_kind_and_field(change: dict[str, object], where: str) -> None:
    """A newer writer's record stops the fold loudly."""
    record = orjson.loads(build_value(NodeRecord(NodeId("n1"), "http://n1")))

    with pytest.raises(InvalidInputError, match=f"^NodeRecord: {where}: "):
        parse_value("node/n1", orjson.dumps(record | change))
