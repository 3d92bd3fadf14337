"""Wiring only: the stand that most tests of routes need."""

from collections.abc import AsyncIterator

import pytest

from tests.query.http.stand import Stand


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    """A ready service with three nodes and no index."""
    async with Stand() as ready:
        yield ready
