"""The time of day, and ids made of it."""

import uuid

from query.http.clock import new_uuid7, now_ms


def test_ids_are_uuids_of_version_7_that_rise_with_time() -> None:
    """Well formed as RFC 9562 says, with the millisecond in front, and no two alike."""
    before_ms = now_ms()
    made = [uuid.UUID(new_uuid7()) for _ in range(1000)]
    after_ms = now_ms()

    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert len(set(made)) == len(made)
    stamps = [each.int >> 80 for each in made]
    assert stamps == sorted(stamps)
    assert before_ms <= stamps[0]
    assert stamps[-1] <= after_ms


def test_id_is_written_as_uuids_are() -> None:
    """Lower case, with its hyphens: clients compare texts."""
    text = new_uuid7()

    assert text == str(uuid.UUID(text))
