"""Fixtures of the node's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.miroir.node.process import NodeProcess


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A running node with an empty disk."""
    with NodeProcess(tmp_path / "node") as process:
        yield process
