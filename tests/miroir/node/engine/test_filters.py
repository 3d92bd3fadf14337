"""Filters as the embedded node refuses them."""

import pytest

from miroir.node.engine.filters import parse_filter
from miroir.node.protocol.errors import ApiError


def test_contains_needs_a_feature_that_is_off() -> None:
    """The operator is known, and refused with its place."""
    with pytest.raises(ApiError) as refusal:
        parse_filter("a = 1 AND b CONTAINS c")

    assert refusal.value.code == "feature_not_enabled"
    assert refusal.value.message.endswith("\n13:21 a = 1 AND b CONTAINS c")


def test_fault_keeps_the_callers_code() -> None:
    """Deletions and searches name their own codes."""
    with pytest.raises(ApiError) as refusal:
        parse_filter("a =", "invalid_document_filter")

    assert refusal.value.code == "invalid_document_filter"
