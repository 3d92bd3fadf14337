"""What is logged of records that were passed over."""

import pytest

from schemas.ids import Offset, Partition
from streams.process.skipped import TOLD_MAX, tell_skipped
from streams.skipping import Skipped


def test_each_record_is_named_up_to_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    """Its place and what was found; of a flood the first ones, and how many more there were."""
    skipped = [Skipped("miroir.dead", Partition(0), Offset(40 + n), f"fault {n}") for n in range(TOLD_MAX + 5)]

    tell_skipped(skipped)

    *named, rest = [record.__dict__ for record in caplog.records]
    assert [line["place"] for line in named] == [f"miroir.dead/0/{40 + n}" for n in range(TOLD_MAX)]
    assert (named[3]["reason"], named[3]["levelname"]) == ("fault 3", "ERROR")
    assert (rest["topic"], rest["records"]) == ("miroir.dead", 5)


def test_nothing_is_said_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The usual case: every record can be read."""
    tell_skipped([])

    assert caplog.records == []
