"""What is remembered of searches has a bound."""

from miroir.node.engine.reader import RECENT_MAX, Recent


def test_full_memory_of_searches_begins_anew() -> None:
    """One thing more than there is room for makes the others go; to know one better does not."""
    recent = Recent()
    for number in range(RECENT_MAX):
        recent[number] = number

    recent[0] = "again"
    kept = len(recent)
    recent["one more"] = 1

    assert (kept, dict(recent)) == (RECENT_MAX, {"one more": 1})
