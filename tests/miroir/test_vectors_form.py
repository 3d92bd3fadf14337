"""Vectors of the log and of a node: whatever a node makes of what it was given is the same, and nothing else is."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miroir.vectors_form import Embedders, log_form, node_form, user_embedders

OWN: Embedders = {"own": False}
QUANTIZED: Embedders = {"own": True}
NUMBERS = st.one_of(
    st.floats(-2, 2),
    st.floats(-2, 2, width=32),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**64), 2**64),
    st.sampled_from(
        [0.0, -0.0, 1e-46, 1e-45, 3.4028235677973366e38, 1 + 2**-24, 16777217, 0.1, 1e39, 2**53 + 2**29 + 1]
    ),
)
VECTORS = st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=3)


def written(vectors: list[Any], shape: int) -> dict[str, Any]:
    """Return a document that gives the vectors in one of the ways a node takes."""
    one = vectors[0] if len(vectors) == 1 else vectors
    given = [vectors, one, {"embeddings": vectors, "regenerate": False}, {"embeddings": one, "regenerate": False}][
        shape
    ]
    return {"id": 1, "_vectors": {"own": given if vectors or shape else None, "another": [shape]}}


def answered(vectors: list[Any], ulps: int, *, quantized: bool = False) -> dict[str, Any]:
    """Return the document as a node does that has read each number with an error of so many units in the last place."""

    def single(number: float) -> float | None:
        for _ in range(abs(ulps)):
            number = math.nextafter(number, math.copysign(math.inf, ulps)) if number else number
        try:
            (kept,) = struct.unpack("f", struct.pack("f", number))
        except OverflowError:
            kept = math.copysign(math.inf, number)
        if quantized:
            return float(kept > 0)
        return kept if math.isfinite(kept) else None

    held = {"embeddings": [[single(number) for number in vector] for vector in vectors], "regenerate": False}
    return {"id": 1, "_vectors": {"own": held, "another": {"embeddings": [], "regenerate": False}}}


@given(VECTORS, st.integers(0, 3), st.integers(-2, 2))
def test_what_a_node_makes_of_vectors_is_the_same_or_cannot_be_told(
    vectors: list[list[float]], shape: int, ulps: int
) -> None:
    """In whatever shape, and with whatever error, they were read."""
    for embedders, quantized in ((OWN, False), (QUANTIZED, True)):
        told = log_form(written(vectors, shape), embedders)
        found = node_form(answered(vectors, ulps, quantized=quantized), embedders)
        assert told is None or told == found


@given(VECTORS, st.integers(0, 3), st.sampled_from([OWN, QUANTIZED]))
def test_a_node_that_has_no_such_embedder_yet_gives_back_what_was_given(
    vectors: list[list[float]], shape: int, embedders: Embedders
) -> None:
    """It has not applied the settings yet."""
    told = log_form(written(vectors, shape), embedders)
    assert told is None or told == node_form(written(vectors, shape), embedders)


@given(st.lists(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=3), st.data())
def test_every_other_number_of_32_bits_is_told(vectors: list[list[float]], data: st.DataObject) -> None:
    """The numbers of most models are such, and can always be told."""
    told = log_form(written(vectors, 0), OWN)
    vector = data.draw(st.sampled_from(vectors))
    vector[data.draw(st.integers(0, 2))] += data.draw(st.sampled_from([-0.25, 0.25, 2.0]))

    assert told is not None
    assert told != node_form(answered(vectors, 0), OWN)


@pytest.mark.parametrize(
    ("document", "same"),
    [
        ({"_vectors": {"own": None}}, True),
        ({"_vectors": {"own": []}}, True),
        ({"_vectors": {}}, True),
        ({}, True),
        ({"_vectors": {"own": {"embeddings": None, "regenerate": False}}}, True),
        ({"_vectors": {"own": [0.0, 0.0]}}, False),
    ],
)
def test_no_vectors_are_the_same_however_it_is_said(document: dict[str, Any], *, same: bool) -> None:
    """Null, an empty list, or nothing; a vector of zeros is one."""
    none = {"_vectors": {"own": {"embeddings": [], "regenerate": False}}}
    assert (log_form(document, OWN) == node_form(none, OWN)) == same


def test_order_number_and_embedder_of_vectors_count() -> None:
    """None of these is another."""
    two: Embedders = {"a": False, "b": False}
    documents = [
        {"a": [[1, 2], [3, 4]]},
        {"a": [[3, 4], [1, 2]]},
        {"a": [1, 2, 3, 4]},
        {"b": [[1, 2], [3, 4]]},
        {"a": [[1, 2]], "b": [[3, 4]]},
        {"a": [[1, 2]]},
    ]
    forms = [log_form({"_vectors": each}, two) for each in documents]

    assert None not in forms
    assert len(set(forms)) == len(documents)


def test_of_quantized_vectors_only_what_is_above_nothing_counts() -> None:
    """As many bits as numbers."""
    told = log_form({"_vectors": {"own": [0.3, -2, 0]}}, QUANTIZED)

    assert told == node_form({"_vectors": {"own": {"embeddings": [[1.0, 0.0, 0.0]], "regenerate": False}}}, QUANTIZED)
    assert told != node_form({"_vectors": {"own": {"embeddings": [[1.0, 1.0, 0.0]], "regenerate": False}}}, QUANTIZED)


@pytest.mark.parametrize(
    "given",
    [
        {"embeddings": [[1, 2]], "regenerate": True},
        [1 + 2**-24, 1],
        [1e39, 1],
        [2**53 + 2**29 + 1, 1],
        [1, "2"],
        "a text",
        5,
        {"embeddings": {"a": [1, 2]}, "regenerate": False},
        [10**400, 1],
    ],
    ids=str,
)
def test_what_cannot_be_told_is_not(given: Any) -> None:
    """To be generated again, between two numbers of 32 bits, larger than any, or no numbers."""
    assert log_form({"_vectors": {"own": given}}, OWN) is None


def test_embedders_are_those_whose_vectors_the_user_provides() -> None:
    """Not those that went, nor those that make vectors themselves."""
    settings = {
        "embedders": {
            "q": {"source": "userProvided", "dimensions": 3, "binaryQuantized": True},
            "own": {"source": "userProvided", "dimensions": 3},
            "gone": None,
            "made": {"source": "rest", "url": "http://x"},
        }
    }
    assert user_embedders(settings) == {"own": False, "q": True}
    assert user_embedders({}) == {}
