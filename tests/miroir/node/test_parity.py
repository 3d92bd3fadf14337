"""The node's searches against what a real node answered to the same ones: the floors of ``docs/embedded-node.md``."""

from pathlib import Path

import pytest

from bench.figures import quantile
from bench.parity import measure_index
from bench.parity_fixtures import FIXTURES, read_searches
from tests.miroir.node.process import NodeProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recordings at {FIXTURES}"),
]

FLOORS = {"no_text_equal": 1.0, "text_page": 0.9, "text_set": 0.95, "totals": 0.99, "facets": 0.99}
"""Shares that must hold for every recorded index; ``docs/embedded-node.md`` says what differs and why."""


@pytest.mark.parametrize("name", ["movies", "movies_tuned", "cities", "wordnet"])
def test_recorded_searches_get_the_recorded_answers(name: str, tmp_path: Path) -> None:
    """Pages, totals and facets of every recorded index reach their floors."""
    path = FIXTURES / f"{name}.json.gz"
    with NodeProcess(tmp_path) as node:
        found = measure_index(node, read_searches(path), path)

    shares = found.shares.of()
    missed = {kind: share for kind, floor in FLOORS.items() if (share := shares[kind]) is not None and share < floor}
    assert not missed, "\n".join((str(missed), *found.differing))


def test_films_are_searched_while_an_index_is_loaded(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The p99 of searches during a load is at most three times that of the same searches before it."""
    if not request.config.getoption("--long"):
        pytest.skip("compares times: only with --long")
    path = FIXTURES / "movies.json.gz"
    with NodeProcess(tmp_path) as node:
        found = measure_index(node, read_searches(path), path, loading=True)

    assert quantile(found.loading_s, 0.99) <= 3 * quantile(found.quiet_s, 0.99)


def test_whole_dictionary_keeps_to_its_times(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """117,791 entries load in 120 s and 800 MB, are searched in 40 and 250 ms, are back in 3 s."""
    if not request.config.getoption("--long"):
        pytest.skip("loads the whole dictionary: only with --long")
    path = FIXTURES / "wordnet.json.gz"
    with NodeProcess(tmp_path) as node:
        found = measure_index(node, read_searches(path, whole=True), path)
        memory_mb = node.memory_mb()
        node.kill()
        started_s = node.start()
        assert node.call("POST", f"/indexes/{found.name}/search", {"limit": 0}).body["estimatedTotalHits"] == 117_791

    assert found.load_s <= 120
    assert (memory_mb or 0) <= 800
    assert quantile(found.search_s, 0.5) <= 0.040
    assert quantile(found.search_s, 0.99) <= 0.250
    assert started_s <= 3
