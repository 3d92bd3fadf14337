"""What a user did not ask for, or must not see, taken out of answers.

Nodes show every attribute, the marker among them, and the merge asks for ids and score details of its own. What always
holds: after stripping, a hit shows the attributes asked for as far as they are displayed, and nothing in hits, facets
or messages shows the marker. Who calls it: the merge of answers, pass-through, the routes that return documents or
errors of nodes, and the explanation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from query.rewrite import cropped_attribute, displayed_attributes, shown_attributes, shows_vectors
from query.rules import IndexRules, covers
from query.search import SearchRequest
from streams.marker import MARKER_FIELD, strip_plane_15

ANSWER_FIELDS = frozenset(
    (
        "_formatted",
        "_matchesPosition",
        "_rankingScore",
        "_rankingScoreDetails",
        "_geoDistance",
        "_vectors",
        "_federation",
    )
)
"""What a node adds to a document in an answer."""

_CONDITION = rf'"?{MARKER_FIELD}"? IN \[[^\]]*\]'
_OWN_CONDITION = re.compile(rf" AND \({_CONDITION}\)|{_CONDITION}")
"""The shards' filter where a node prints the whole filter again, behind the user's or alone."""

_BEHIND_THE_USERS = re.compile(rf"(\d+):(\d+) \((.*)\) AND \({_CONDITION}\)", re.DOTALL)
"""Where the fault stands in such a print, and the print."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

_RULE = re.compile(r"\b(matched|in|before) rule #([1-9]\d*)")
"""Which entry of ``filterableAttributes`` rules an attribute: on nodes ours stands first."""

_INCARNATION = re.compile(r"(?<=[a-zA-Z0-9_-])__(?:0|[1-9][0-9]{0,18})(?![a-zA-Z0-9_-])")
"""What a node's name for an index has behind the user's."""

_LISTED_MARKER = re.compile(rf"`{MARKER_FIELD}`, |, `{MARKER_FIELD}`|\b{MARKER_FIELD}, |, {MARKER_FIELD}\b")


@dataclass(frozen=True, slots=True)
class HitView:
    """What the hits of one search show.

    Attributes:
        shown: attributes of the document; None where all are shown and only the marker goes.
        formatted: attributes of ``_formatted``; None as above.
        displayed: attributes a position or a sort value may be told of; None is all.
        score: whether ``_rankingScore`` is shown.
        details: whether ``_rankingScoreDetails`` are shown.
        vectors: whether ``_vectors`` are shown.
    """

    shown: tuple[str, ...] | None
    formatted: tuple[str, ...] | None
    displayed: tuple[str, ...] | None
    score: bool
    details: bool
    vectors: bool = False


def view_of(search: SearchRequest, rules: IndexRules) -> HitView:
    """Return what the hits of this search show."""
    shown = shown_attributes(search, rules)
    formats = [*(search.attributes_to_highlight or ()), *map(cropped_attribute, search.attributes_to_crop or ())]
    formatted = (*shown, *displayed_attributes(formats, rules))
    return HitView(
        shown=None if "*" in shown else shown,
        formatted=None if "*" in formatted else formatted,
        displayed=None if rules.shows_everything else rules.displayed,
        score=search.show_ranking_score,
        details=search.show_ranking_score_details,
        vectors=shows_vectors(search, rules),
    )


def strip_hit(hit: Mapping[str, Any], view: HitView) -> dict[str, Any]:
    """Return the hit as its user sees it; the given one is left as it is."""
    if view.shown is None:
        stripped = dict(hit)
        stripped.pop(MARKER_FIELD, None)
    else:
        stripped = select(hit, view.shown)
        stripped |= {name: hit[name] for name in ANSWER_FIELDS if name in hit}
    if not view.vectors:
        stripped.pop("_vectors", None)
    if not view.score:
        stripped.pop("_rankingScore", None)
    if not view.details:
        stripped.pop("_rankingScoreDetails", None)
    elif "_rankingScoreDetails" in stripped and view.displayed is not None:
        stripped["_rankingScoreDetails"] = _hidden_details(stripped["_rankingScoreDetails"], view.displayed)
    if "_formatted" in stripped:
        stripped["_formatted"] = strip_document(stripped["_formatted"], view.formatted)
    if "_matchesPosition" in stripped:
        positions = stripped["_matchesPosition"]
        stripped["_matchesPosition"] = {
            name: found
            for name, found in positions.items()
            if name != MARKER_FIELD and (view.displayed is None or covers(view.displayed, name))
        }
    return stripped


def strip_document(document: Mapping[str, Any], shown: Sequence[str] | None) -> dict[str, Any]:
    """Return the document without the marker, cut to the shown attributes; None is all of them."""
    if shown is not None:
        return select(document, shown)
    stripped = dict(document)
    stripped.pop(MARKER_FIELD, None)
    return stripped


def select(document: Mapping[str, Any], attributes: Sequence[str]) -> dict[str, Any]:
    """Return the named attributes of a document, fields in its own order; ``a.b`` is ``b`` within ``a``.

    Objects within arrays are selected one by one; those of which nothing is left go.
    """
    if not any("." in attribute for attribute in attributes):
        wanted = set(attributes)
        return {name: value for name, value in document.items() if name in wanted}
    selected: dict[str, Any] = {}
    for name, value in document.items():
        if name in attributes:
            selected[name] = value
            continue
        inner = [attribute[len(name) + 1 :] for attribute in attributes if attribute.startswith(f"{name}.")]
        part = _select_within(value, inner) if inner else None
        if part is not None:
            selected[name] = part
    return selected


def strip_message(message: str, *, node_index: str, index: str) -> str:
    """Return a node's error message with the user's name of the index and without a trace of the marker."""
    return _without_marker(message.replace(node_index, index))


def strip_report(message: str) -> str:
    """Return the same where it is not known which index of the node the message is about: for operators' eyes.

    What looks like a node's name for an index loses its incarnation, also where a user's own words look like one.
    """
    return _INCARNATION.sub("", _without_marker(message))


def _without_marker(message: str) -> str:
    plain = _BEHIND_THE_USERS.sub(_users_filter, strip_plane_15(message))
    plain = _LISTED_MARKER.sub("", _OWN_CONDITION.sub("", plain))
    plain = _RULE.sub(lambda found: f"{found[1]} rule #{int(found[2]) - 1}", plain)
    return plain.replace(MARKER_FIELD, "")


def _users_filter(found: re.Match[str]) -> str:
    """Return the user's filter and the place in it as a node prints them where ours does not stand behind.

    One expression is in parentheses only there; several, of a list, are in any case.
    """
    start, end, inner = int(found[1]), int(found[2]), found[3]
    depth = 0
    for letter in _QUOTED.sub("", inner):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return f"{start}:{end} ({inner})"
    return f"{start - 1}:{end - 1} {inner}"


def _select_within(value: object, attributes: Sequence[str]) -> object:
    if isinstance(value, dict):
        return select(value, attributes) or None
    if isinstance(value, list):
        parts = [part for part in (_select_within(item, attributes) for item in value) if part is not None]
        return parts or None
    return None


def _hidden_details(details: Mapping[str, Any], displayed: Sequence[str]) -> dict[str, Any]:
    """Return the details with the values of sort rules over hidden attributes hidden, as a single node hides them."""
    shown: dict[str, Any] = {}
    for name, detail in details.items():
        if "value" not in detail or "distance" in detail or name.rpartition(":")[0] in displayed:
            shown[name] = detail
        else:
            shown[f"<hidden-rule-{detail['order']}>"] = {"order": detail["order"], "value": "<hidden>"}
    return shown
