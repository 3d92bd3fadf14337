"""Which nodes the scenarios run on."""

import os

import pytest


@pytest.fixture(scope="session", params=[pytest.param("embedded"), pytest.param("real", marks=pytest.mark.meilisearch)])
def node_binary(request: pytest.FixtureRequest) -> str | None:
    """The program of the nodes: None for the embedded one; skips where there is no real one."""
    if request.param == "embedded":
        return None
    binary = os.environ.get("MEILISEARCH_BIN")
    if not binary:
        pytest.skip("MEILISEARCH_BIN names no binary")
    return binary
