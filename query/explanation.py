"""How a search was carried out, as JSON: who was asked for what and why, how long it took, what is exact.

What always holds: nothing of it changes an answer; it names nodes and shards, so it is for operators; of nodes' errors,
told in their own words, it shows no trace of the marker. Who calls it: the explain route and the log of slow searches.
It must not know: HTTP, clocks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from query.merge import MergedAnswer
from query.rewrite import distinct_attribute
from query.rounds import SearchCase
from query.routing import Part, Readable
from query.strip import strip_report
from schemas.ids import NodeId, ShardId


class QuestionTrace(NamedTuple):
    """One question to one node.

    Attributes:
        part: the node and the shards it was asked for.
        why: ``route`` for whom the cover names; ``failed`` and ``late`` for whom was asked instead of such a node.
        outcome: ``answered``; ``dropped`` where another answer came first or time ran out; else the error.
        took_s: None where nothing came.
    """

    part: Part
    why: str
    outcome: str
    took_s: float | None


class RoundTrace(NamedTuple):
    """One round of questions.

    Attributes:
        purpose: of the round (``query.rounds.Purpose``).
        questions: in the order in which they were asked.
        answers: what counted.
        missing: shards without an answer.
        took_s: from the first question to the last answer that counted.
    """

    purpose: str
    questions: Sequence[QuestionTrace]
    answers: Sequence[tuple[Part, Any]]
    missing: Sequence[ShardId]
    took_s: float


class SearchTrace(NamedTuple):
    """A whole search.

    Attributes:
        epoch: of the view it was carried out with.
        readable: who could be asked for each shard.
        away: nodes that are left alone, with the reason.
        rounds: in order.
        decided_s: time spent deciding and merging.
        took_s: in all.
        unread: the copies of each shard that could not be asked, with the reason; empty where nobody looked.
    """

    epoch: int
    readable: Readable
    away: Mapping[NodeId, str]
    rounds: Sequence[RoundTrace]
    decided_s: float
    took_s: float
    unread: Sequence[Mapping[NodeId, str]] = ()


def build_explanation(case: SearchCase, merged: MergedAnswer, trace: SearchTrace) -> dict[str, Any]:
    """Return the explanation of a search."""
    inexact = _inexact(case, merged, trace.rounds[-1].missing if trace.rounds else ())
    if any(_ran_out_of_time(answer) for each in trace.rounds for _, answer in each.answers):
        inexact.append("hits: searchCutoffMs was over before a node had ranked all of its own")
    return {**build_trace(case.rules.index, trace), "inexact": inexact}


def build_trace(index: str, trace: SearchTrace) -> dict[str, Any]:
    """Return how one index was asked, whatever it was asked for."""
    answered = {shard: part.node for each in trace.rounds for part, _ in each.answers for shard in part.shards}
    return {
        "indexUid": index,
        "epoch": trace.epoch,
        "tookMs": _ms(trace.took_s),
        "mergeMs": _ms(trace.decided_s),
        "replicas": [
            {"shard": shard, "readable": list(nodes), **_unread(trace, shard), "asked": answered.get(ShardId(shard))}
            for shard, nodes in enumerate(trace.readable)
        ],
        "away": {node: strip_report(reason) for node, reason in trace.away.items()},
        "rounds": [_round(each) for each in trace.rounds],
        "missing": list(trace.rounds[-1].missing if trace.rounds else ()),
    }


def _unread(trace: SearchTrace, shard: int) -> dict[str, Any]:
    return {"unread": dict(trace.unread[shard])} if trace.unread else {}


def _round(trace: RoundTrace) -> dict[str, Any]:
    sizes = {part: _size(answer) for part, answer in trace.answers}
    questions = [
        {
            "node": asked.part.node,
            "shards": list(asked.part.shards),
            "why": asked.why,
            "outcome": strip_report(asked.outcome),
            "tookMs": None if asked.took_s is None else _ms(asked.took_s),
            **(sizes.get(asked.part, {}) if asked.outcome == "answered" else {}),
        }
        for asked in trace.questions
    ]
    return {
        "purpose": trace.purpose,
        "tookMs": _ms(trace.took_s),
        "questions": questions,
        "hedges": sum(asked.why == "late" for asked in trace.questions),
    }


def _size(answer: Any) -> dict[str, int | bool]:
    """Return how many hits a node gave, in how many bytes of compact JSON, and whether it ran out of time."""
    hits = answer.get("hits", ()) if isinstance(answer, dict) else ()
    degraded = {"degraded": True} if _ran_out_of_time(answer) else {}
    return {"hits": len(hits), "bytes": len(orjson.dumps(answer)), **degraded}


def _ran_out_of_time(answer: Any) -> bool:
    """Return whether the node met its ``searchCutoffMs`` while it ranked.

    Meilisearch keeps that to itself (``degraded`` in ``crates/meilisearch/src/search/mod.rs`` is not sent). But what it
    had no time for stands last, and says at which rule it was left: so the last hit's details tell.
    """
    hits = answer.get("hits", ()) if isinstance(answer, dict) else ()
    return any("skipped" in hit.get("_rankingScoreDetails", {}) for hit in hits[-1:])


def _inexact(case: SearchCase, merged: MergedAnswer, missing: Sequence[ShardId]) -> list[str]:
    """Return what may differ from the answer of one node with all documents, and of what it depends."""
    search = case.search
    merges = len(merged.body["hits"]) > 0 or bool(merged.inexact_facets)
    found = [f"facet {name}" for name in merged.inexact_facets]
    if missing:
        found.append("shards are missing")
    if (merged.short and distinct_attribute(search, case.rules) is not None) or merged.orphaned:
        found.append("hits: distinct over lists of values")
    if merged.inexact_total:
        found.append("total: distinct counts values that several nodes have more than once")
    elif distinct_attribute(search, case.rules) is not None and not search.is_paged:
        found.append("total: distinct counts the duplicates met so far")
    if search.ranking_score_threshold is not None:
        found.append("total: a threshold counts what was looked at")
    if search.matching_strategy == "frequency" and merges:
        found.append("hits: matchingStrategy frequency follows each node's own documents")
    return found


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
