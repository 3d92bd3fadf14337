"""A local stack for the whole run."""

from collections.abc import Iterator

import pytest

from tests.miroir.local_stack import LocalStack, run_miroir
from tests.miroir.stack_guard import guarded


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on a local stack."""
    for item in items:
        if "local_stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """One stack of embedded parts; each test uses an index of its own."""
    directory = tmp_path_factory.mktemp("stack")
    with guarded(directory):
        ran = run_miroir("up", "--port", "0", directory=directory)
        try:
            assert ran.code == 0, ran
            yield LocalStack(directory)
        finally:
            ran = run_miroir("down", directory=directory)
    assert ran.code == 0, ran
