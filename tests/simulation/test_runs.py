"""What a run excuses is held against a ceiling."""

from dataclasses import replace

import pytest

from tests.simulation.coverage import sum_up
from tests.simulation.run import Result
from tests.simulation.runs import require_excuses_are_rare

RUN = Result(1, searches=95, incomplete=5, judged=1000, stale=5)


def test_few_excuses_are_taken() -> None:
    """As many as there are of these are nothing that stands out; where more breaks, there are more."""
    require_excuses_are_rare(sum_up([RUN]).to_json())
    require_excuses_are_rare(sum_up([replace(RUN, stale=15)]).to_json(), "losses")


@pytest.mark.parametrize(
    "run",
    [replace(RUN, stale=30), replace(RUN, searches=80, incomplete=20), replace(RUN, judged=0, stale=1)],
    ids=["copies", "searches", "nothing judged"],
)
def test_too_many_excuses_are_found(run: Result) -> None:
    """Be it of copies that were judged, or of searches."""
    with pytest.raises(AssertionError):
        require_excuses_are_rare(sum_up([run]).to_json())
