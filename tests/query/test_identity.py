"""The id of a hit, also under a primary key with dots."""

import pytest

from query.identity import identities_of, identity_key, identity_of


@pytest.mark.parametrize(
    ("hit", "primary_key", "identity"),
    [
        ({"id": 0}, "id", 0),
        ({"meta": {"id": "x"}}, "meta.id", "x"),
        ({"meta.id": 7}, "meta.id", 7),
        ({"a": {"b": {"id": 1}}}, "a.b.id", 1),
        ({"a.b": {"id": 1}}, "a.b.id", 1),
        ({"meta": {}}, "meta.id", None),
        ({}, "id", None),
    ],
)
def test_identity_is_found_flat_and_within_objects(hit: dict[str, object], primary_key: str, identity: object) -> None:
    """As it is found when the document is written."""
    assert identity_of(hit, primary_key) == identity


@pytest.mark.parametrize("primary_key", ["id", "meta.id"])
def test_identities_of_hits_are_each_ones_own(primary_key: str) -> None:
    """With and without a dot, and where a hit has none."""
    hits: list[dict[str, object]] = [{"id": 3, "meta": {"id": "x"}}, {"meta.id": 7}, {}]

    assert identities_of(hits, primary_key) == [identity_of(hit, primary_key) for hit in hits]


def test_identities_order_numbers_before_texts() -> None:
    """Mixed ids compare."""
    hits: list[dict[str, object]] = [{"a": {"id": "1"}}, {"a": {"id": 10}}, {"a": {"id": 9}}]

    assert sorted(hits, key=lambda hit: identity_key(hit, "a.id")) == [hits[2], hits[1], hits[0]]
