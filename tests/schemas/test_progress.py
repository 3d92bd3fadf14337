"""Progress records: read back as built, one key a replica."""

import orjson
import pytest
from hypothesis import given

from schemas.errors import InvalidInputError
from schemas.progress import Progress, build_progress, build_progress_key, parse_progress
from tests.builders import make_progress, make_replica
from tests.strategies import progresses


@given(progresses)
def test_progress_is_read_back_as_it_was_built(progress: Progress) -> None:
    """Parse of build is identity."""
    assert parse_progress(build_progress(progress)) == progress


@given(progresses, progresses)
def test_key_names_one_replica_of_one_incarnation(one: Progress, other: Progress) -> None:
    """Compaction keeps the last record of each replica, and never mixes two."""
    named = [(each.uid, each.incarnation, each.shard, each.node) for each in (one, other)]

    assert (build_progress_key(one) == build_progress_key(other)) == (named[0] == named[1])


def test_key_is_the_one_that_is_documented() -> None:
    """The key is persisted: a changed one would leave the old record standing."""
    assert build_progress_key(make_progress(make_replica("n1", shard=3), 5)) == b"films/7/3/n1"


@pytest.mark.parametrize("field", ["uid", "incarnation", "shard", "node", "attempt", "cursor", "end", "seen_ms"])
def test_progress_without_a_field_names_it(field: str) -> None:
    """A record of another form is never half read."""
    wire = orjson.loads(build_progress(make_progress(make_replica("n1"), 5)))
    del wire[field]

    with pytest.raises(InvalidInputError, match=f"^Progress: {field}: "):
        parse_progress(orjson.dumps(wire))
