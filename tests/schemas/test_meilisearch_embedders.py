"""Embedders whose vectors the user provides; the words are a real Meilisearch 1.50's."""

from typing import Any

import pytest

from schemas.errors import InvalidRequestError
from schemas.meilisearch_embedders import merge_embedders, node_embedders, read_embedders, shown_embedders

CODE = "invalid_settings_embedders"
E = {"source": "userProvided", "dimensions": 3}

REFUSED = [
    (5, CODE, "Invalid value type at `.embedders`: expected an object, but found a positive integer: `5`"),
    ({"e": 5}, CODE, "Invalid value type at `.embedders.e`: expected an object, but found a positive integer: `5`"),
    (
        {"e": {"source": "bad"}},
        CODE,
        "Unknown value `bad` at `.embedders.e.source`: expected one of `openAi`, `huggingFace`, `ollama`, `userProv",
    ),
    ({"e": {"source": "openAi"}}, "miroir_not_supported", "`.embedders.e`: source `openAi` is not supported by"),
    ({"e": {**E, "model": "x"}}, CODE, "`.embedders.e`: Field `model` unavailable for source `userProvided`."),
    ({"e": {**E, "foo": 1}}, CODE, "Unknown field `foo` inside `.embedders.e`: expected one of `source`, `model`"),
    ({"e": {"dimensions": 0}}, CODE, "`.embedders.e.dimensions`: `dimensions` cannot be zero"),
    (
        {"e": {"dimensions": "x"}},
        CODE,
        'Invalid value type at `.embedders.e.dimensions`: expected a positive integer, but found a string: `"x"`',
    ),
    (
        {"e": {"distribution": {"mean": 2, "sigma": 0.2}}},
        CODE,
        "Invalid value at `.embedders.e.distribution`: the distribution mean must be in the range [0, 1], got 2",
    ),
    ({"e": {"distribution": {"mean": 1}}}, CODE, "Missing field `sigma` inside `.embedders.e.distribution`"),
    (
        {"e": {"distribution": {"mean": "a", "sigma": 1}}},
        CODE,
        "Invalid value type at `.embedders.e.distribution.mean`",
    ),
    ({"e": {"distribution": {"mean": 1, "sigma": 0}}}, CODE, "Invalid value at `.embedders.e.distribution`: the"),
]


@pytest.mark.parametrize(("value", "code", "words"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_embedders_that_cannot_be_are_refused(value: object, code: str, words: str) -> None:
    """Each in the words of a node, but for sources that are not built."""
    with pytest.raises(InvalidRequestError) as caught:
        read_embedders(value, CODE, ".embedders")

    assert (caught.value.code, str(caught.value)[: len(words)]) == (code, words)


def test_changes_are_laid_over_field_by_field() -> None:
    """A field that is not sent stays; null takes a distribution away."""
    before = merge_embedders({}, {"e": {**E, "binaryQuantized": True, "distribution": {"mean": 0.5, "sigma": 0.1}}})

    after = merge_embedders(before, {"e": {"dimensions": 4, "distribution": None}, "a": E})

    assert after == {"a": E, "e": {**E, "dimensions": 4, "binaryQuantized": True}}
    assert merge_embedders(after, {"e": {"dimensions": 4, "distribution": None}, "a": E}) == after


@pytest.mark.parametrize("change", [{"e": None}, None], ids=["one by name", "all"])
def test_embedder_that_goes_is_remembered_by_name_for_nodes(change: dict[str, Any] | None) -> None:
    """A node would keep it otherwise, and refuse documents without its vectors; its user does not see it any more."""
    after = merge_embedders(merge_embedders({}, {"e": E}), change)

    assert shown_embedders(after) == {}
    assert node_embedders(after) == {"e": None}


def test_nodes_are_told_that_there_is_no_distribution() -> None:
    """A node that had one from earlier settings lets go of it."""
    assert node_embedders({"e": E}) == {"e": {**E, "distribution": None}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"n": {"source": "userProvided"}}, CODE),
        ({"n": {"dimensions": 3}}, "miroir_not_supported"),
        ({"e": {"binaryQuantized": False}}, CODE),
    ],
    ids=["no dimensions", "no source", "unquantized"],
)
def test_merge_refuses_what_lacks_something_or_cannot_go_back(change: dict[str, Any], code: str) -> None:
    """A new embedder needs its source and dimensions; quantization cannot be undone."""
    with pytest.raises(InvalidRequestError) as caught:
        merge_embedders({"e": {**E, "binaryQuantized": True}}, change)

    assert caught.value.code == code
