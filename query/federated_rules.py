"""Whether the hits of federated queries can be compared: what each ranks by, in order.

Hits of different queries stand in one list, so their scores, sort values and distances are compared place by place
(``query/weighted_scores.py``); where one ranks by words what the other sorts by a field, nothing could be said, and
Meilisearch refuses. It first brings each query's rules into one form: rules that rank by words and stand together are
one, what comes twice counts once, and what does nothing goes.

What always holds: the same pairs are refused as by Meilisearch, in its words. Who calls it: the multi-search route,
before any node is asked. It must not know: hits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import NamedTuple

from query.multi_search import Query
from query.rules import IndexRules
from query.search import SearchKind, SearchRequest
from schemas.errors import InvalidSearchError

_CODE = "invalid_multi_search_query_ranking_rules"
_RELEVANCY = "relevancy"
_RANKING = frozenset(("words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness"))


class _Rule(NamedTuple):
    """What hits are ranked by at one place.

    Attributes:
        kind: as Meilisearch calls it; equal kinds can be compared.
        name: what it is told as.
        place: of it, or of the first and last that are one, among the rules in their common form.
        sort: its place in the query's sort, where it comes from there.
    """

    kind: str
    name: str
    place: tuple[int, int]
    sort: int | None = None


@dataclass(slots=True)
class _Form:
    """The rules of one query as they are compared.

    Attributes:
        rules: the names that are left, ``sort`` among them.
        sort: the criteria that are left of the query's.
        notes: what was changed on the way.
        sorted_at: where each sorted attribute was first met, and as what.
    """

    rules: list[str] = field(default_factory=list)
    sort: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sorted_at: dict[str, tuple[str, str]] = field(default_factory=dict)

    def note_twice(self, at: str, before: tuple[str, str]) -> None:
        """Note that a rule goes because an earlier one, told by its name and its place, stands for it."""
        name, place = before
        self.notes.append(f"Removed duplicate rule `{name}` at position {at} as it already appears at position {place}")


class _Side(NamedTuple):
    """A query, its rules in their common form, and what of it is compared."""

    query: Query
    form: _Form
    rules: Sequence[_Rule]


def check_federated_rules(queries: Sequence[tuple[Query, IndexRules]]) -> None:
    """Refuse queries whose hits cannot be compared; each is held against that of most rules before it.

    Args:
        queries: with the rules of their indexes; those of one index behind each other, indexes in the order of their
            names.

    Raises:
        InvalidSearchError: with Meilisearch's code and message.
    """
    longest: _Side | None = None
    for query, rules in queries:
        form = _form_of(query.search, rules)
        side = _Side(query, form, _rules_of(form))
        if longest is not None:
            _compare(longest, side)
        if longest is None or len(longest.rules) <= len(side.rules):
            longest = side


def _compare(before: _Side, now: _Side) -> None:
    for left, right in zip(before.rules, now.rules, strict=False):
        if left.kind != right.kind:
            raise InvalidSearchError(
                _CODE, f"Inside `.queries[{now.query.position}]`: {_message(before, left, now, right)}"
            )


def _message(before: _Side, left: _Rule, now: _Side, right: _Rule) -> str:
    lines = [
        f"The results of queries #{before.query.position} and #{now.query.position} are incompatible: ",
        f"  1. {_told(before.query, left)}",
        f"  2. {_told(now.query, right)}",
        f"  - {_reason(left.kind, right.kind)}",
    ]
    for query, form, _ in (before, now):
        if form.notes:
            lines.append(
                f"  - note: The ranking rules of query #{query.position} were modified during canonicalization:"
            )
            lines += starmap(_noted, enumerate(form.notes, 1))
    return "\n".join([*lines, ""])


def _noted(number: int, note: str) -> str:
    # One blank less, as Meilisearch has it.
    indent = "   " if note.startswith("Removed rule `sort`") else "    "
    return f"{indent}{number}. {note}"


def _told(query: Query, rule: _Rule) -> str:
    first, last = rule.place
    span = f"{first}" if first == last else f"{first}..={last}"
    within = f".sort[{rule.sort}]" if rule.sort is not None else ""
    where = f"`queries[{query.position}]{within}`, `{query.index}.rankingRules[{span}]`"
    return f"{where}: {rule.kind} rule(s) {rule.name}"


def _reason(left: str, right: str) -> str:
    kinds = {left, right}
    if any("geo" in kind for kind in kinds):
        if all("geo" in kind for kind in kinds):
            return "cannot compare two geosort rules in opposite directions"
        return f"cannot compare a {'relevancy' if _RELEVANCY in kinds else 'sort'} rule with a geosort rule"
    if _RELEVANCY in kinds:
        return "cannot compare a relevancy rule with a sort rule"
    return "cannot compare two sort rules in opposite directions"


def _rules_of(form: _Form) -> list[_Rule]:
    """Return what is compared: rules by words with nothing between them are one."""
    rules: list[_Rule] = []
    for rule in _single_rules(form):
        if rules and rule.kind == rules[-1].kind == _RELEVANCY:
            first, last = rules.pop().place[0], rule.place[1]
            rules.append(_Rule(_RELEVANCY, ", ".join(form.rules[first : last + 1]), (first, last)))
        else:
            rules.append(rule)
    return rules


def _single_rules(form: _Form) -> Iterator[_Rule]:
    for place, name in enumerate(form.rules):
        if name != "sort":
            yield _Rule(_RELEVANCY if name in _RANKING else _kind(name), name, (place, place))
            continue
        for number, criterion in enumerate(form.sort):
            shown = "default" if _is_geo(criterion) else f"on field `{criterion.rpartition(':')[0]}`"
            yield _Rule(_kind(criterion), shown, (place, place), number)


def _kind(criterion: str) -> str:
    direction = "ascending" if criterion.endswith(":asc") else "descending"
    return f"{direction} geo sort" if _is_geo(criterion) else f"{direction} sort"


def _is_geo(criterion: str) -> bool:
    return criterion.startswith("_geoPoint(")


def _form_of(search: SearchRequest, rules: IndexRules) -> _Form:
    """Return the rules of a query in the form in which they are compared."""
    form = _Form()
    met: dict[str, int | None] = {}
    for place, name in enumerate(rules.ranking_rules):
        at = _at(place)
        if name == "sort":
            _take_sort(form, search, place, met)
        elif name not in _RANKING:
            _take_sorting(form, name, at)
        elif search.kind is SearchKind.SIMILARITY:
            if not _take_similar(form, name, place, met):
                break
        elif (search.q or "").strip():
            _take_ranking(form, name, place, met, matches_all=search.matching_strategy == "all")
        else:
            reason = 'the query is a placeholder search (`q`: "")'
            form.notes.append(f"Removed relevancy rule `{name}` at position {at} because {reason}")
    return form


def _at(place: int | None) -> str:
    return f"#{place} in ranking rules"


def _take_similar(form: _Form, name: str, place: int, met: dict[str, int | None]) -> bool:
    """Take in a rule by words of a search by similarity, for which the first one stands; return whether to go on."""
    first = met.setdefault("vector", place)
    if first == place:
        form.rules.append(name)
        return True
    reason, inserted = (
        "because the query is a vector search and `vector` was",
        f"inserted at position {_at(first)}",
    )
    what = f"relevancy rule `{name}` at position {_at(place)}"
    form.notes.append(
        f"Truncated {what} and later rules {reason} {inserted}"
        if form.sorted_at
        else f"Removed {what} {reason} already {inserted}"
    )
    return not form.sorted_at


def _take_ranking(form: _Form, name: str, place: int, met: dict[str, int | None], *, matches_all: bool) -> None:
    """Take in a rule by words: ``words`` stands before all others, unless every word must match anyway."""
    at = _at(place)
    if name == "words":
        if matches_all:
            form.notes.append(f"Removed rule `words` at position {at} because `query.matchingWords` is set to `all`")
            return
        before = met.get("words")
        if before is not None:
            form.note_twice(at, (name, _at(before)))
            return
        if "words" in met:
            form.notes.append(f"Removed rule `words` at position {at} because it was previously prepended")
    else:
        if not matches_all and "words" not in met:
            form.notes.append(f"Prepended rule `words` before first relevancy rule `{name}` at position {at}")
            form.rules.append("words")
            met["words"] = None
        if name in met:
            form.note_twice(at, (name, _at(met[name])))
            return
    met[name] = place
    form.rules.append(name)


def _take_sorting(form: _Form, name: str, at: str) -> None:
    """Take in a rule that sorts by an attribute, in whichever direction it was met first."""
    attribute = name.rpartition(":")[0]
    if attribute in form.sorted_at:
        form.note_twice(at, form.sorted_at[attribute])
        return
    form.sorted_at[attribute] = (name, at)
    form.rules.append(name)


def _take_sort(form: _Form, search: SearchRequest, place: int, met: dict[str, int | None]) -> None:
    """Take in the query's own sort where the rules have a place for it."""
    at = _at(place)
    if "sort" in met:
        form.note_twice(at, ("sort", _at(met["sort"])))
        return
    if search.sort is None:
        form.notes.append(f"Removed rule `sort` at position {at} because `query.sort` is empty")
        return
    met["sort"] = place
    form.rules.append("sort")
    geo: tuple[str, str] | None = None
    for number, criterion in enumerate(search.sort):
        attribute, _, direction = criterion.rpartition(":")
        before = geo if _is_geo(criterion) else form.sorted_at.get(attribute)
        here = f"#{number} in `query.sort` (as `sort` is {at})"
        if before is not None:
            form.note_twice(here, before)
            continue
        form.sort.append(criterion)
        if _is_geo(criterion):
            geo = (f"_geo(..):{direction}", here)
        else:
            form.sorted_at[attribute] = (criterion, here)
