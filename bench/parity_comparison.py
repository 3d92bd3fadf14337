"""Two answers to one search: in what they differ.

Hits compare rule by rule, ties free: a page is right where the list of rule-by-rule keys is the recorded one. Without a
query text the whole answer must be equal. What always holds: nothing is measured here. Who calls it: ``bench.parity``
and the embedded node's tests.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.windows import is_beginning, is_whole

IGNORED = frozenset(("processingTimeMs", "requestUid", "query"))
SCORE_DIGITS = 9
SHOWN = 300
TOTALS = ("estimatedTotalHits", "totalHits", "totalPages")
FACETS = ("facetDistribution", "facetStats")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case; None where there was nothing to compare.

    Attributes:
        reasons: in what the answers differ, also where no share counts it (the form of highlights).
    """

    no_text: bool | None = None
    page: bool | None = None
    same_set: bool | None = None
    totals: bool | None = None
    facets: bool | None = None
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class Shares:
    """How many verdicts were good, by kind."""

    verdicts: list[Verdict] = field(default_factory=list)

    def of(self) -> dict[str, float | None]:
        """Return the shares of 1 by name, None where nothing was compared."""
        kinds = {"no_text_equal": "no_text", "text_page": "page", "text_set": "same_set"}
        kinds |= {"totals": "totals", "facets": "facets"}
        return {name: self._share(kind) for name, kind in kinds.items()}

    def _share(self, kind: str) -> float | None:
        known = [value for verdict in self.verdicts if (value := getattr(verdict, kind)) is not None]
        return sum(known) / len(known) if known else None


def compare_answers(request: Mapping[str, Any], got: Mapping[str, Any], wanted: Mapping[str, Any]) -> Verdict:
    """Return in what an answer differs from the recorded one."""
    got, wanted = _comparable(got), _comparable(wanted)
    text = request.get("q")
    has_text = bool(text.strip()) if isinstance(text, str) else text is not None
    if "hits" in got and "hits" in wanted and has_text:
        return _compare_text(got, wanted)
    reasons = tuple(_differences(got, wanted))
    if has_text:
        return Verdict(page=not reasons, same_set=not reasons, reasons=reasons)
    return Verdict(no_text=not reasons, reasons=reasons)


def _compare_text(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> Verdict:
    page = [_key(hit) for hit in got["hits"]] == [_key(hit) for hit in wanted["hits"]]
    exactly = sorted(map(_identity, got["hits"])) == sorted(map(_identity, wanted["hits"]))
    same_set = exactly or (page and _inner_identities(got, wanted) == _inner_identities(wanted, wanted))
    reasons = [] if page else [f"page {_first_difference(got['hits'], wanted['hits'])}"]
    reasons += [] if same_set or not page else ["other documents of the same rank"]
    different = [name for name in TOTALS if got.get(name) != wanted.get(name)]
    reasons += [f"{name} {got.get(name)} | {wanted.get(name)}" for name in different]
    facets = None
    if "facetDistribution" in wanted:
        # The order of values is part of the answer.
        facets = all(json.dumps(got.get(name)) == json.dumps(wanted.get(name)) for name in FACETS)
        reasons += [] if facets else ["facets " + "; ".join(_facet_differences(got, wanted))]
    if exactly and page:
        reasons += _formatting(got["hits"], wanted["hits"])
    return Verdict(page=page, same_set=same_set, totals=not different, facets=facets, reasons=tuple(reasons))


def _inner_identities(answer: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return which documents an answer has, without those of ties that may go on outside of the wanted window."""
    hits = wanted["hits"]
    cut = ([] if is_beginning(wanted) else hits[:1]) + ([] if is_whole(wanted) else hits[-1:])
    outer = list(map(_key, cut))
    return sorted(_identity(hit) for hit in answer["hits"] if _key(hit) not in outer)


def _facet_differences(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name in FACETS:
        mine, other = got.get(name) or {}, wanted.get(name) or {}
        for facet in sorted(mine.keys() | other.keys()):
            if json.dumps(mine.get(facet)) != json.dumps(other.get(facet)):
                yield f"{facet}: {_short(mine.get(facet))} | {_short(other.get(facet))}"


def _formatting(got: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    if not all("id" in hit for hit in (*got, *wanted)):
        return []
    shown = {hit["id"]: hit for hit in got}
    return [
        f"{name}: {_short(shown[hit['id']].get(name))} | {_short(hit.get(name))}"
        for hit in wanted
        for name in ("_formatted", "_matchesPosition")
        if shown[hit["id"]].get(name) != hit.get(name)
    ]


def _identity(hit: Mapping[str, Any]) -> str:
    named = {key: value for key, value in hit.items() if not key.startswith("_")}
    return json.dumps(hit.get("id", named), sort_keys=True)


def _key(hit: Mapping[str, Any]) -> Any:
    return hit.get("_rankingScoreDetails")


def _comparable(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in answer.items() if name not in IGNORED}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, SCORE_DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value


def _differences(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(got.keys() | wanted.keys()):
        mine, other = got.get(name), wanted.get(name)
        if name == "hits" and isinstance(mine, list) and isinstance(other, list):
            if mine != other:
                yield f"hits {_first_difference(mine, other)}"
        elif json.dumps(mine) != json.dumps(other):
            yield f"{name}: {_short(mine)} | {_short(other)}"


def _first_difference(got: Sequence[Any], wanted: Sequence[Any]) -> str:
    for place, (mine, other) in enumerate(zip(got, wanted, strict=False)):
        if mine != other:
            names = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
            shown = "; ".join(f"{name}: {_short(mine.get(name))} | {_short(other.get(name))}" for name in names)
            return f"#{place} {shown}"
    return f"lengths {len(got)} {len(wanted)}"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:SHOWN]
