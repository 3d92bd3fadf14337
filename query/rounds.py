"""The rounds of questions that one search takes: what to ask next, or the answer.

===========  ==========================================================================================================
round        asks the nodes for
===========  ==========================================================================================================
``HEADS``    the head of their lists, whole, as long as most likely holds their part of the window
             (``query/likely_head.py``), or up to its end; of the one node that holds everything: the answer
``KEYS``     the same head, ids and what hits are ranked by only: the window lies deep (``query/deep_pages.py``)
``WINDOWS``  their part of a deep window, whole, of those that have one; ids are checked against the keys
``LONGER``   a longer head: it ended within the window, or ``distinct`` dropped so many hits that it may be wrong
``PLAIN``    a longer head, duplicates and all: a hit that is a duplicate of another node's hid others on its own
``COUNTS``   how often a few facet values occur where they are not listed (``query/facet_counts.py``)
``VALUES``   the values of ``distinct``, for the total that pages have (``query/distinct_totals.py``)
===========  ==========================================================================================================

What always holds: a plain function of what was asked and answered; at most ``ROUNDS_MAX`` rounds; a round whose answers
do not fit the ones before (another replica answered) falls back to whole heads. Who calls it: the search path, after
each round. It must not know: how nodes are asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from query.deep_pages import WindowPlan, cut_page, is_deep, key_body, key_lists, plan_windows
from query.distinct_totals import is_total_countable, total_of_values, values_body
from query.facet_counts import added_counts, counts_body, is_countable
from query.likely_head import likely_length
from query.merge import (
    MergedAnswer,
    MergedHits,
    facets_of,
    merge_answers,
    merge_page,
    pass_through,
    with_facets,
    with_total,
)
from query.rewrite import head_length, rewrite, with_shards
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchKind, SearchRequest, Window

LONGER_FACTOR = 4
"""A head that was too short is asked for again so many times longer: duplicates seldom fill three quarters of it."""

LONGER_MAX = 3
"""Longer heads in one search: 20 hits become 80, 320, and then all that ``maxTotalHits`` lets a node give."""

PLAIN_HITS_MIN = 200
"""Hits of a head with all its duplicates: most searches end within them, and more cost more than they mend."""

ROUNDS_MAX = 8
"""Keys, longer ones, windows that do not fit, heads up to the window's end; or heads, longer ones, one with all
duplicates; and counts or values."""

Answers = Sequence[tuple[Part, Any]]


class Purpose(Enum):
    """What a round is for."""

    HEADS = "heads"
    KEYS = "keys"
    WINDOWS = "windows"
    LONGER = "longer"
    PLAIN = "plain"
    COUNTS = "counts"
    VALUES = "values"


_BEGINNINGS = frozenset((Purpose.HEADS, Purpose.KEYS))
"""Rounds that ask for every shard anew."""

_ASKED_ALIKE = frozenset((Purpose.HEADS, Purpose.KEYS, Purpose.LONGER, Purpose.PLAIN))
"""Rounds whose parts are asked the same but for the shards."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One round's question.

    Attributes:
        purpose: what it is for.
        parts: whom to ask; None is whomever the route names.
        length: most hits of a head; None is up to the window's end.
        windows: of each part that is asked, with purpose ``WINDOWS``.
        plan: what the keys said, with purpose ``WINDOWS``.
        values: of each facet those to count, with purpose ``COUNTS``.
        kind: which of the searches that one by words and similarity is made of (``query/hybrid.py``).
    """

    purpose: Purpose
    parts: tuple[Part, ...] | None = None
    length: int | None = None
    windows: Mapping[Part, Window] = field(default_factory=dict)
    plan: WindowPlan | None = None
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind: SearchKind | None = None

    @property
    def is_followed(self) -> bool:
        """Whether another round follows, nearly always: of hits after keys, of similarity after words."""
        return self.purpose is Purpose.KEYS or self.kind is SearchKind.WORDS

    def is_instead_of(self, before: "Ask") -> bool:
        """Return whether shards are asked anew, and what was asked of them ``before`` is of no use any more."""
        return self.purpose in _BEGINNINGS and before.kind in {self.kind, SearchKind.BOTH}


@dataclass(frozen=True, slots=True)
class Round:
    """A question and what was answered: one answer a part, parts disjoint, in the order of the parts."""

    ask: Ask
    answers: tuple[tuple[Part, Any], ...]


@dataclass(frozen=True, slots=True)
class SearchCase:
    """What is the same in all rounds of a search."""

    search: SearchRequest
    rules: IndexRules
    shards: int
    """How many shards the index has."""


def decide_round(case: SearchCase, route: Sequence[Part], rounds: Sequence[Round]) -> Ask | MergedAnswer:
    """Return what to ask next, or the answer (without time and id).

    Args:
        case: the search.
        route: whom the first round asks.
        rounds: what was asked and answered so far.
    """
    if rounds and rounds[-1].ask.purpose is Purpose.COUNTS:
        return _with_counts(case, route, rounds)
    if rounds and rounds[-1].ask.purpose is Purpose.VALUES:
        return _with_total(case, route, rounds)
    step = _decide_hits(case, route, rounds)
    if isinstance(step, Ask):
        return step
    if is_countable(case.search, case.rules, step.doubtful):
        return Ask(Purpose.COUNTS, tuple(part for part, _ in _counted(rounds)), values=step.doubtful)
    if step.inexact_total:
        answers = _counted(rounds)
        if is_total_countable(case.search, case.rules, [answer for _, answer in answers]):
            return Ask(Purpose.VALUES, tuple(part for part, _ in answers))
    return step


def _decide_hits(case: SearchCase, route: Sequence[Part], rounds: Sequence[Round]) -> Ask | MergedAnswer:
    """Return what to ask next, or the answer as far as its facets are known without counting again."""
    if not rounds:
        length = likely_length(case.search, case.rules, route)
        deep = is_deep(case.search, case.rules, parts=len(route), length=length)
        asked = length if length < head_length(case.search, case.rules) else None
        return Ask(Purpose.KEYS if deep else Purpose.HEADS, length=asked)
    last = rounds[-1]
    match last.ask.purpose:
        case Purpose.KEYS:
            return _after_keys(case, last)
        case Purpose.WINDOWS:
            page = _page(case, keys=rounds[-2], windows=last)
            return Ask(Purpose.HEADS, _answering(rounds)) if page is None else page
        case Purpose.HEADS | Purpose.LONGER:
            return _after_heads(case, rounds)
        case Purpose.PLAIN:
            length = last.ask.length or 0
            answers = [answer for _, answer in last.answers]
            merged = merge_answers(case.search, answers, rules=case.rules, asked=length)
            # More duplicates than were asked for: then the page that nodes made is the better one.
            return _merge_heads(case, rounds[:-1]) if merged.short else merged
        case Purpose.COUNTS | Purpose.VALUES:
            raise AssertionError("counts and values are the last round")


def body_of(case: SearchCase, ask: Ask, part: Part) -> dict[str, Any]:
    """Return the body of the search that a part's node is asked; also for a part that came up by failing over."""
    if len(part.shards) == case.shards:
        return rewrite(case.search, rules=case.rules, shards=None).body
    if ask.purpose is Purpose.KEYS:
        return key_body(case.search, case.rules, part.shards, length=ask.length)
    if ask.purpose is Purpose.COUNTS:
        return counts_body(case.search, case.rules, part.shards, ask.values)
    if ask.purpose is Purpose.VALUES:
        return values_body(case.search, case.rules, part.shards)
    # A part that nobody planned has no window: its answer will not fit, and whole heads are asked for.
    window = ask.windows.get(part) if ask.purpose is Purpose.WINDOWS else None
    plain = ask.purpose is Purpose.PLAIN
    return rewrite(
        case.search, rules=case.rules, shards=part.shards, length=ask.length, window=window, plain=plain
    ).body


def make_bodies(case: SearchCase) -> Callable[[Ask, Part], dict[str, Any]]:
    """Return ``body_of`` of one search that makes once a round what its parts are asked alike: all but the filter."""
    newest: Ask | None = None
    alike: dict[str, Any] = {}

    def body(ask: Ask, part: Part) -> dict[str, Any]:
        nonlocal newest, alike
        if len(part.shards) == case.shards or ask.purpose not in _ASKED_ALIKE:
            return body_of(case, ask, part)
        if newest is not ask:
            newest, alike = ask, body_of(case, ask, Part(part.node, ()))
        return alike | {"filter": with_shards(case.search.filter, part.shards)}

    return body


def _after_keys(case: SearchCase, last: Round) -> Ask | MergedAnswer:
    lists = key_lists(case.search, case.rules, last.answers, length=last.ask.length)
    plan = plan_windows(case.search, case.rules, lists)
    if plan is None:
        return Ask(Purpose.HEADS if all(keys.is_whole for keys in lists) else Purpose.KEYS, _answering([last]))
    parts = (part for part, _ in last.answers)
    windows = {part: window for part, window in zip(parts, plan.windows, strict=True) if window.limit}
    if not windows:
        # The list ends before the page: keys say so, and how long it is.
        return merge_page(case.search, MergedHits((), ()), [answer for _, answer in last.answers], rules=case.rules)
    return Ask(Purpose.WINDOWS, tuple(windows), windows=windows, plan=plan)


def _page(case: SearchCase, *, keys: Round, windows: Round) -> MergedAnswer | None:
    """Return the answer of a deep page, or None where windows and keys do not fit."""
    found = dict(windows.answers)
    if found.keys() != windows.ask.windows.keys():
        return None
    assert windows.ask.plan is not None, "windows are planned"
    hits = [found[part]["hits"] if part in found else () for part, _ in keys.answers]
    page = cut_page(case.search, case.rules, windows.ask.plan, hits)
    if page is None:
        return None
    return merge_page(case.search, page, [answer for _, answer in keys.answers], rules=case.rules)


def _after_heads(case: SearchCase, rounds: Sequence[Round]) -> Ask | MergedAnswer:
    merged = _merge_heads(case, rounds)
    # Only a search's own ``distinct`` can be left away; the setting is in the nodes.
    hides = merged.orphaned and case.search.distinct is not None and case.rules.distinct is None
    # Where nobody has answered for some, nobody would if asked again: the answer says that it lacks them.
    if not (merged.short or hides) or _has_lost(rounds[-1]):
        return merged
    hits_max, shortest = case.rules.hits_max, head_length(case.search, case.rules)
    if hides:
        return Ask(Purpose.PLAIN, length=min(max(shortest * LONGER_FACTOR, PLAIN_HITS_MIN), hits_max))
    tries = sum(each.ask.purpose is Purpose.LONGER for each in rounds)
    if tries >= LONGER_MAX:
        return merged
    parts = [part for part, _ in _newest(rounds)]
    ended = [parts[number] for number in merged.short]
    # The second time whoever can end too early; there is no third, unless other nodes have answered than were asked.
    early = tuple(part for part in (parts if tries else ended) if _length(part, rounds, shortest) < shortest)
    if early:
        return Ask(Purpose.LONGER, early, length=shortest)
    length = rounds[-1].ask.length or shortest
    if length >= hits_max:
        return merged
    longer = hits_max if tries == LONGER_MAX - 1 else min(length * LONGER_FACTOR, hits_max)
    return Ask(Purpose.LONGER, tuple(ended), length=longer)


def _has_lost(last: Round) -> bool:
    """Return whether some of what a round asked of named parts was not answered, by them or by others."""
    answered = {shard for part, _ in last.answers for shard in part.shards}
    return any(not answered.issuperset(part.shards) for part in last.ask.parts or ())


def _merge_heads(case: SearchCase, rounds: Sequence[Round]) -> MergedAnswer:
    answers = _newest(rounds)
    whole = next((answer for part, answer in answers if len(part.shards) == case.shards), None)
    if whole is not None:
        return pass_through(case.search, whole, rules=case.rules)
    shortest = head_length(case.search, case.rules)
    lengths = [_length(part, rounds, shortest) for part, _ in answers]
    return merge_answers(case.search, [answer for _, answer in answers], rules=case.rules, asked=lengths)


def _counted(rounds: Sequence[Round]) -> Sequence[tuple[Part, Any]]:
    """Return the answers whose facets are in the merged answer."""
    return rounds[-2].answers if rounds[-1].ask.purpose is Purpose.WINDOWS else _newest(rounds)


def _with_counts(case: SearchCase, route: Sequence[Part], rounds: Sequence[Round]) -> MergedAnswer:
    """Return the answer with the facets that the counts make exact; without them where other nodes answered."""
    merged = _decide_hits(case, route, rounds[:-1])
    assert isinstance(merged, MergedAnswer), "counts are asked for last"
    answers = _counted(rounds[:-1])
    counted = dict(rounds[-1].answers)
    if any(part not in counted for part, _ in answers):
        return merged
    values = rounds[-1].ask.values
    refined = [
        added_counts(answer["facetDistribution"], counted[part].get("facetDistribution", {}), values, case.rules)
        for part, answer in answers
    ]
    total = sum(answer.get("totalHits", answer.get("estimatedTotalHits", 0)) for _, answer in answers)
    facets = facets_of([answer for _, answer in answers], rules=case.rules, candidates=total, refined=refined)
    return with_facets(merged, facets)


def _with_total(case: SearchCase, route: Sequence[Part], rounds: Sequence[Round]) -> MergedAnswer:
    """Return the answer with the total that the values make exact; without it where other nodes answered."""
    merged = _decide_hits(case, route, rounds[:-1])
    assert isinstance(merged, MergedAnswer), "values are asked for last"
    answers, valued = _counted(rounds[:-1]), dict(rounds[-1].answers)
    if any(part not in valued for part, _ in answers):
        return merged
    own = [valued[part] for part, _ in answers]
    total = total_of_values(case.search, case.rules, [answer for _, answer in answers], own)
    return merged if total is None else with_total(case.search, merged, total)


def _newest(rounds: Sequence[Round]) -> Answers:
    """Return the newest answer to every shard since all were last asked for, by part."""
    if len(rounds) == 1:
        return rounds[0].answers
    first = max(number for number, each in enumerate(rounds) if each.ask.purpose in _BEGINNINGS)
    found: dict[Part, Any] = {}
    for each in rounds[first:]:
        for part, answer in each.answers:
            for other in [other for other in found if not set(part.shards).isdisjoint(other.shards)]:
                del found[other]
            found[part] = answer
    return sorted(found.items(), key=lambda entry: entry[0])


def _answering(rounds: Sequence[Round]) -> tuple[Part, ...]:
    """Return who answered for each shard last: whoever did not has taken most of the time there was."""
    return tuple(part for part, _ in _newest(rounds))


def _length(part: Part, rounds: Sequence[Round], default: int) -> int:
    """Return how many hits a part was asked for last."""
    for each in reversed(rounds):
        if any(part == asked for asked, _ in each.answers):
            return each.ask.length or default
    return default
