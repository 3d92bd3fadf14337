"""How one hit ranks against another: its score details as a key that Python compares.

Meilisearch ranks rule by rule, and its total score folds in maxima that come from a node's own dictionary; so hits of
different nodes are compared by what each rule found, in the order of the rules:

=====================  ==================================================================
rule                   better is
=====================  ==================================================================
``words``              more ``matchingWords``
``typo``               fewer ``typoCount`` (its maximum differs between nodes, the count does not)
``field:asc|desc``     by ``value``: numbers before strings, no value last in both directions
``_geoPoint(..):..``   by ``distance``; no distance last in both directions
``vectorSort``         higher ``similarity``; a document without a vector last
``skipped``            worst: the node ran out of time there
any other              higher ``score``
=====================  ==================================================================

What always holds: a smaller key is a better hit; keys of hits of one search are comparable, also while nodes rank by
different rules since a change of them is on its way, and equal keys are a tie that no one outside the nodes can break.
Who calls it: the merge, once a hit at most, and the merge's benchmark.
"""

from collections.abc import Mapping
from typing import Any, Final

RankingKey = tuple[Any, ...]
"""Of each rule its kind, then numbers or bytes: behind equal kinds keys hold the same types."""

_WORDS, _TYPO, _SCORE, _ASC, _DESC, _NEAR, _FAR, _SIMILAR, _SKIPPED = range(9)
"""What is skipped is worse than anything else."""

_NUMBER, _TEXT, _NOTHING = range(3)
"""How the kinds of sort values stand to each other, in both directions."""

_INVERTED: Final = bytes(255 - byte for byte in range(256))

_KNOWN = {"words": _WORDS, "typo": _TYPO, "skipped": _SKIPPED, "vectorSort": _SIMILAR}

Plan = tuple[tuple[str, int], ...]


class RankingKeys:
    """Makes the keys of one search's hits.

    All hits of a search have the same rules in the same order, so these are looked up once and then only checked.
    """

    __slots__ = ("_plan",)

    def __init__(self) -> None:
        self._plan: Plan = ()

    def key_of(self, details: Mapping[str, Any]) -> RankingKey:
        """Return the key of a hit's ``_rankingScoreDetails``; cost: under 2 µs for the usual six rules."""
        if len(details) != len(self._plan):
            self._plan = _plan(details)
        try:
            return _key(details, self._plan)
        except KeyError:
            self._plan = _plan(details)
            return _key(details, self._plan)


def _plan(details: Mapping[str, Any]) -> Plan:
    names = sorted(details, key=lambda name: details[name]["order"])
    return tuple((name, _kind(name)) for name in names)


def _kind(name: str) -> int:
    known = _KNOWN.get(name)
    if known is not None:
        return known
    ascending = name.endswith(":asc")
    if not ascending and not name.endswith(":desc"):
        return _SCORE
    if name.startswith("_geoPoint("):
        return _NEAR if ascending else _FAR
    return _ASC if ascending else _DESC


def _key(details: Mapping[str, Any], plan: Plan) -> RankingKey:
    parts: list[Any] = []
    for name, kind in plan:
        detail = details[name]
        parts.append(kind)
        if kind == _SCORE:
            parts.append(-detail["score"])
        elif kind == _TYPO:
            parts.append(detail["typoCount"])
        elif kind == _WORDS:
            parts.append(-detail["matchingWords"])
        elif kind == _SKIPPED:
            continue
        elif kind == _SIMILAR:
            parts += _distance_part(detail["similarity"], farthest_first=True)
        elif kind in {_ASC, _DESC}:
            parts += _sort_part(detail["value"], descending=kind == _DESC)
        else:
            parts += _distance_part(detail["distance"], farthest_first=kind == _FAR)
    return tuple(parts)


def _sort_part(value: object, *, descending: bool) -> tuple[int, object]:
    if isinstance(value, str):
        # Bytes of UTF-8 compare as code points do. Inverted and closed by the largest byte they compare the other way
        # round, prefixes included ("ab" before "a").
        encoded = value.encode("utf-8", "surrogatepass")
        return _TEXT, encoded.translate(_INVERTED) + b"\xff" if descending else encoded
    if isinstance(value, (int, float)):
        return _NUMBER, -value if descending else value
    return _NOTHING, 0


def _distance_part(distance: float | None, *, farthest_first: bool) -> tuple[int, float]:
    if distance is None:
        return _NOTHING, 0
    return _NUMBER, -distance if farthest_first else distance
