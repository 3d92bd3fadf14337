"""Facets of several nodes, as one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.facets import facet_form, merge_facets
from query.rules import IndexRules

RULES = IndexRules(index="films", primary_key="id", facet_orders={"*": "alpha", "by_count": "count"})
FEW = 10
MANY = 3001

counts = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(1, 9), max_size=10)


def _merged(*parts: dict[str, int], name: str = "kind", rules: IndexRules = RULES) -> dict[str, int]:
    return merge_facets([{name: part} for part in parts], [], rules=rules, candidates=FEW).distribution[name]


def test_counts_are_summed_by_facet_form() -> None:
    """Values that differ in case or outer blanks only are one; accents tell apart."""
    assert _merged({"Drama": 3, "éclair": 1}, {"drama ": 1, "eclair": 2}) == {"Drama": 4, "eclair": 2, "éclair": 1}


def test_facets_stand_in_alphabetical_order_with_empty_ones() -> None:
    """Every facet a node names is there, also one without values."""
    merged = merge_facets([{"b": {}, "c": {"x": 1}}, {"a": {}, "b": {}}], [], rules=RULES, candidates=FEW)

    assert list(merged.distribution.items()) == [("a", {}), ("b", {}), ("c", {"x": 1})]


def test_statistics_are_the_extremes() -> None:
    """The smallest and the largest number of any node stay."""
    stats = [{"year": {"min": 1990.0, "max": 1999.0}}, {"year": {"min": 1985.0, "max": 1991.0}}, {}]

    assert merge_facets([], stats, rules=RULES, candidates=FEW).stats == {"year": {"min": 1985.0, "max": 1999.0}}


@pytest.mark.parametrize(
    ("candidates", "order"), [(FEW, ["100", "1999", "2", "x"]), (MANY, ["2", "100", "1999", "x"])], ids=["few", "many"]
)
def test_numbers_by_name_sort_as_text_among_few_candidates(candidates: int, order: list[str]) -> None:
    """Numbers come before texts, as texts or by value, as the engine does it."""
    parts = [{"year": {"2": 1, "x": 1}}, {"year": {"1999": 1, "100": 1}}]
    stats = [{"year": {"min": 2.0, "max": 2.0}}, {"year": {"min": 100.0, "max": 1999.0}}]

    merged = merge_facets(parts, stats, rules=RULES, candidates=candidates)

    assert list(merged.distribution["year"]) == order


def test_by_count_larger_key_stands_first_among_equals() -> None:
    """Counts fall; of equal counts the larger text comes first."""
    assert list(_merged({"a": 1, "b": 2}, {"c": 1, "b": 1, "d": 5}, name="by_count")) == ["d", "b", "c", "a"]


def test_cut_comes_after_the_merge() -> None:
    """A value rare on every node but frequent in all stays."""
    rules = replace(RULES, facet_values_max=1)

    assert _merged({"a": 3, "b": 2}, {"c": 3, "b": 2}, name="by_count", rules=rules) == {"b": 4}


@given(st.lists(counts, min_size=1, max_size=4), st.integers(1, 6), st.sampled_from(["kind", "by_count"]))
def test_facet_said_to_be_exact_is_exact(parts: list[dict[str, int]], node_max: int, name: str) -> None:
    """Whatever the nodes cut, a facet not named inexact equals that of uncut lists."""
    rules = replace(RULES, facet_values_max=3, facet_values_node=node_max)
    by_count = name == "by_count"
    cut = [
        dict(sorted(part.items(), key=lambda item: (-item[1] if by_count else 0, item[0]))[:node_max]) for part in parts
    ]

    of_cut = merge_facets([{name: part} for part in cut], [], rules=rules, candidates=FEW)
    of_whole = merge_facets(
        [{name: part} for part in parts], [], rules=replace(rules, facet_values_node=99), candidates=FEW
    )

    assert not of_whole.inexact
    if name not in of_cut.inexact:
        assert list(of_cut.distribution[name].items()) == list(of_whole.distribution[name].items())


def test_cut_node_lists_can_still_be_proven_by_count() -> None:
    """What a node left out is at most as frequent as its rarest listed value: enough to prove a clear winner."""
    rules = replace(RULES, facet_values_max=1, facet_values_node=2)
    parts = [{"by_count": {"a": 9, "b": 1}}, {"by_count": {"a": 9, "c": 1}}]

    assert merge_facets(parts, [], rules=rules, candidates=FEW).inexact == ()


def test_numbers_that_fill_a_list_by_count_let_all_texts_in() -> None:
    """The engine's own fault is kept: once numbers fill the list, texts are added without limit."""
    rules = replace(RULES, facet_values_max=2)
    parts = [{"by_count": {"1": 3, "2": 2, "3": 1, "x": 1, "y": 1}}]
    stats = [{"by_count": {"min": 1.0, "max": 3.0}}]

    merged = merge_facets(parts, stats, rules=rules, candidates=FEW)

    assert list(merged.distribution["by_count"]) == ["1", "2", "y", "x"]


def test_texts_that_only_look_like_numbers_stay_texts() -> None:
    """A value outside the statistics, or spelled as no number, is listed behind the numbers."""
    parts = [{"size": {"5": 1, "9": 1, "1.2.3": 1}}]
    stats = [{"size": {"min": 5.0, "max": 5.0}}]

    assert list(merge_facets(parts, stats, rules=RULES, candidates=FEW).distribution["size"]) == ["5", "1.2.3", "9"]


def test_long_values_are_told_apart_by_their_beginning() -> None:
    """Values equal in their first 468 bytes are one, as in the engine."""
    assert facet_form("é" * 400 + "a") == facet_form("é" * 400 + "b")


@given(st.text())
def test_facet_form_is_stable(text: str) -> None:
    """Case never tells values apart."""
    assert facet_form(f" {text.lower()} ") == facet_form(text.lower())
