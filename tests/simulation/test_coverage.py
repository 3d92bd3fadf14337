"""What was covered is summed up, shown, and held against a floor."""

from collections import Counter

from tests.simulation.coverage import build_table, find_uncovered, sum_up
from tests.simulation.run import Result

ONE = Result(
    1,
    Counter({"node killed": 5, "log away": 1}),
    Counter({"drain_node of active: accepted": 2}),
    changes=2,
    searches=7,
    documents=5,
)
TWO = Result(
    2, Counter({"node killed": 3}), Counter({"drain_node of active: refused": 1}), searches=1, incomplete=2, documents=9
)


def test_sum_up_knows_the_poorest_seed() -> None:
    """Counts are added; of faults and granted changes the fewest of one seed are kept."""
    total = sum_up([ONE, TWO])

    assert (total.seeds, total.searches, total.incomplete) == (2, 8, 2)
    assert total.faults == {"node killed": 8, "log away": 1}
    assert (total.faults_min, total.changes_min) == (3, 0)
    assert (total.documents_min, total.searches_min) == (5, 3)


def test_sum_up_keeps_the_digest_of_every_seed() -> None:
    """By seed, so that one that ran among others can be held against itself alone."""
    assert sum_up([Result(1, digest="a"), Result(2, digest="b")]).digests == {1: "a", 2: "b"}


def test_table_has_a_line_for_every_request_in_a_state() -> None:
    """Accepted and refused stand in one line, faults in their own."""
    lines = [line.split() for line in build_table(sum_up([ONE, TWO]))]

    assert ["drain_node", "of", "active", "2", "1"] in lines
    assert ["node", "killed", "8"] in lines


def test_find_uncovered_names_what_lies_below_the_floor() -> None:
    """What was seen too seldom, or never, is named with how often it was."""
    assert find_uncovered({"a": 3, "b": 1}, {"a": 3, "b": 2, "c": 1}) == {"b": 1, "c": 0}
