"""Facet counts and statistics of several nodes, as one.

What always holds: values that Meilisearch takes for equal (``Drama`` and ``drama``) are counted together; the cut to
``maxValuesPerFacet`` comes after the merge; the result says whether it is exact. It is where no node itself cut a
facet, and where the cuts are proven not to matter:

========  ==================================================================================================
by name   every node's list holds its first values, so all is known up to the earliest end of a cut list
by count  what a cut list leaves out occurs there at most as often as its rarest value; a value that could still be
          among the first is ``doubtful``: it may be counted (``query/facet_counts.py``) and given as ``refined``
========  ==================================================================================================

Who calls it: the merge of answers, and facet search. It knows neither hits nor HTTP.
"""

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from query.rules import IndexRules

Counts = Mapping[str, int]
Distribution = Mapping[str, Counts]
Stats = Mapping[str, Mapping[str, float]]

NUMBERS_AS_TEXT_CANDIDATES_MAX = 3000
"""Up to so many candidates Meilisearch lists numbers as texts (1, 100, 2); beyond, by value."""

FACET_FORM_BYTES_MAX = 468
"""Meilisearch tells longer values apart by so many bytes only."""


@dataclass(frozen=True, slots=True)
class MergedFacets:
    """The facets of one answer.

    Attributes:
        distribution: counts by value by facet.
        stats: smallest and largest number by facet.
        inexact: facets that a node had cut where the cut could matter.
        doubtful: of them those that would be exact if these values were counted on the nodes that do not list them.
    """

    distribution: dict[str, dict[str, int]]
    stats: dict[str, dict[str, float]]
    inexact: tuple[str, ...]
    doubtful: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class _Listed(NamedTuple):
    """One node's list of one facet: what it counted, the forms of all values known of it, and whether it was cut."""

    counts: Counts
    forms: Collection[str]
    cut: bool


class _Value(NamedTuple):
    text: str
    documents: int
    form: str
    number: float | None


def facet_form(text: str) -> str:
    """Return the form by which Meilisearch compares facet values: accents stay, case and outer blanks go."""
    form = text.strip().lower() if text.isascii() else unicodedata.normalize("NFKD", text.strip()).lower()
    if len(form) * 4 <= FACET_FORM_BYTES_MAX:
        return form
    return form.encode("utf-8", "replace")[:FACET_FORM_BYTES_MAX].decode("utf-8", "ignore")


def merge_facets(
    distributions: Sequence[Distribution],
    stats: Sequence[Stats],
    *,
    rules: IndexRules,
    candidates: int,
    refined: Sequence[Distribution] = (),
) -> MergedFacets:
    """Return the facets that one node with all documents would have answered.

    Args:
        distributions: ``facetDistribution`` of each node.
        stats: ``facetStats`` of each node.
        rules: the user's order and cut, and the nodes' own cut.
        candidates: how many documents match in all.
        refined: counts that nodes were asked for besides, zeros included; one of each node, or none at all.

    Returns:
        Facets in alphabetical order, the values of each in Meilisearch's order.
    """
    merged_stats = merge_stats(stats)
    distribution: dict[str, dict[str, int]] = {}
    inexact: list[str] = []
    doubtful: dict[str, tuple[str, ...]] = {}
    for name in sorted({name for counts in distributions for name in counts}):
        parts = [counts[name] for counts in distributions if name in counts]
        pairs = zip(refined, distributions, strict=bool(refined))
        more = [counts.get(name, {}) for counts, own in pairs if name in own]
        values = _values([*parts, *more], numeric=merged_stats.get(name))
        by_count = rules.facet_order(name) == "count"
        kept = _cut(values, rules.facet_values_max, by_count=by_count, candidates=candidates)
        distribution[name] = {value.text: value.documents for value in kept}
        if not any(len(part) >= rules.facet_values_node for part in parts):
            continue
        listed = [
            _Listed(
                part,
                {facet_form(text) for text in (*part, *(more[number] if more else ()))},
                cut=len(part) >= rules.facet_values_node,
            )
            for number, part in enumerate(parts)
        ]
        proof = _prove(kept, values, listed, rules.facet_values_max, by_count=by_count, candidates=candidates)
        if proof != ():
            inexact.append(name)
            if proof is not None:
                doubtful[name] = proof
    return MergedFacets(distribution, merged_stats, tuple(inexact), doubtful)


def merge_stats(stats: Sequence[Stats]) -> dict[str, dict[str, float]]:
    """Return smallest and largest number of each facet, facets in alphabetical order."""
    merged: dict[str, dict[str, float]] = {}
    for name in sorted({name for part in stats for name in part}):
        parts = [part[name] for part in stats if name in part]
        merged[name] = {"min": min(part["min"] for part in parts), "max": max(part["max"] for part in parts)}
    return merged


def _values(parts: Sequence[Counts], *, numeric: Mapping[str, float] | None) -> list[_Value]:
    """Return the values of one facet with their sums, each shown as the node with the most of it writes it."""
    sums: dict[str, int] = {}
    shown: dict[str, tuple[int, str]] = {}
    for part in parts:
        for text, count in part.items():
            form = facet_form(text)
            sums[form] = sums.get(form, 0) + count
            # Which spelling a single node shows depends on its oldest document; the commonest is the best guess.
            shown[form] = max(shown.get(form, (0, "")), (count, text))
    return [_Value(shown[form][1], count, form, _number(form, numeric)) for form, count in sums.items() if count]


def _number(form: str, numeric: Mapping[str, float] | None) -> float | None:
    """Return the number a value is, judged by its text: answers name numbers and texts alike."""
    if numeric is None or not form.isascii() or not (form[-1:].isdigit()):
        return None
    try:
        number = float(form)
    except ValueError:
        return None
    return number if numeric["min"] <= number <= numeric["max"] else None


def _cut(values: Sequence[_Value], values_max: int, *, by_count: bool, candidates: int) -> list[_Value]:
    """Return the values in order, cut as Meilisearch cuts them: numbers first, then texts."""
    numbers = [value for value in values if value.number is not None]
    texts = [value for value in values if value.number is None]
    if by_count:
        numbers.sort(key=lambda value: (value.documents, value.number), reverse=True)
        texts.sort(key=lambda value: (value.documents, value.form), reverse=True)
        if len(numbers) >= values_max > 0 and texts:
            # A fault of the engine that users see: once numbers fill the list, texts are added without limit.
            return numbers[:values_max] + texts
    else:
        numbers.sort(key=_number_order(candidates))
        texts.sort(key=lambda value: value.form)
    return (numbers + texts)[:values_max]


def _number_order(candidates: int) -> Callable[[_Value], Any]:
    if candidates > NUMBERS_AS_TEXT_CANDIDATES_MAX:
        return lambda value: value.number
    return lambda value: value.text


def _prove(
    kept: Sequence[_Value],
    values: Sequence[_Value],
    listed: Sequence[_Listed],
    values_max: int,
    *,
    by_count: bool,
    candidates: int,
) -> tuple[str, ...] | None:
    """Return nothing where values and counts are proven right, the values to count for a proof, or None: no proof.

    A list that is not full could hold values that all nodes left out; numbers and texts in one facet are listed one
    after the other, each in an order of its own: no proof is tried.
    """
    kinds = {value.number is None for value in values}
    if len(kept) < values_max or len(kinds) > 1:
        return None
    if by_count:
        return _prove_by_count(kept, values, [part for part in listed if part.cut])
    # Numbers are listed by value where more than 3,000 documents match, on a node as in all.
    by_value = kinds == {False} and candidates > NUMBERS_AS_TEXT_CANDIDATES_MAX
    if by_value and not all(_is_rising(part.counts) for part in listed if part.cut):
        return None
    place = _by_value if by_value else _by_form
    ends = [max(place(value) for value in values if value.form in part.forms) for part in listed if part.cut]
    return () if all(place(value) <= min(ends) for value in kept) else None


def _by_value(value: _Value) -> tuple[float, str]:
    return (value.number or 0.0, "")


def _by_form(value: _Value) -> tuple[float, str]:
    return (0.0, value.form)


def _is_rising(counts: Counts) -> bool:
    numbers = list(map(float, counts))
    return all(left <= right for left, right in pairwise(numbers))


def _prove_by_count(kept: Sequence[_Value], values: Sequence[_Value], cut: Sequence[_Listed]) -> tuple[str, ...] | None:
    least = min(value.documents for value in kept)
    rarest = [min(part.counts.values()) for part in cut]
    if sum(rarest) >= least:
        # A value that nobody listed may be among the first.
        return None
    kept_forms = {value.form for value in kept}
    doubtful = []
    for value in values:
        hidden = sum(most for part, most in zip(cut, rarest, strict=True) if value.form not in part.forms)
        if hidden and (value.form in kept_forms or value.documents + hidden >= least):
            doubtful.append(value.text)
    return tuple(doubtful)
