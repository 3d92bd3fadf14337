"""Pages of hits: what is searched for, what a node answers of what it holds, and what the merged page must then be.

What always holds: the page is held against the documents that the asked nodes held when they answered, whatever has
changed in between; the order of a search is total, so that there is one right page. A page is asked for in the
product's own rounds, so nodes may die, and other copies answer, between two rounds of one search.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from query.merge import MergedAnswer
from query.nodes.rounds import Reading
from query.rounds import Ask, Purpose, Round, SearchCase, body_of, decide_round
from query.routing import Part
from query.rules import rules_of
from query.search import parse_search
from schemas.events import IndexRecord
from schemas.ids import ShardId, node_index_uid
from streams.marker import MARKER_FIELD, marker_of, shard_of
from tests.simulation.truth import BrokenInvariantError

DEEP_HITS = 990
"""A window that ends here takes two rounds over any number of nodes, however few documents there are."""

RESIDUES = 5
"""Values of the attribute that pages are made distinct by, and that is counted."""

SETTINGS = {"sortableAttributes": ["v"], "filterableAttributes": ["residue"]}

Held = Mapping[ShardId, Mapping[str, Mapping[str, Any]]]
"""Documents by shard and id."""


def draw_request(rng: random.Random) -> dict[str, Any]:
    """Return a search's body: in some order, a page near or deep, of all documents or of distinct ones."""
    ends = DEEP_HITS if rng.random() < 0.5 else rng.randrange(1, 20)
    body: dict[str, Any] = {}
    if rng.random() < 0.2:
        body |= {"page": rng.randrange(1, 4), "hitsPerPage": max(1, ends // 3)}
    else:
        offset = rng.randrange(min(ends, 20))
        body |= {"offset": offset, "limit": ends - offset}
    if rng.random() < 0.7:
        body["sort"] = [rng.choice(("v:asc", "v:desc"))]
    if rng.random() < 0.4:
        body["distinct"] = "residue"
    elif rng.random() < 0.5:
        body["facets"] = ["residue"]
    return body


def document_of(key: str, version: int) -> dict[str, Any]:
    """Return a document that pages can be made of: no two have the same version."""
    return {"id": key, "v": version, "residue": version % RESIDUES}


@dataclass(frozen=True, slots=True)
class _Given:
    """An answer of a node, and what the node held when it gave it."""

    answer: Mapping[str, Any]
    held: Held


@dataclass(slots=True)
class Page:
    """One page under way.

    Args:
        index: where.
        request: see ``draw_request``.

    Attributes:
        rounds: what was asked and answered so far.
    """

    index: IndexRecord
    request: Mapping[str, Any]
    rounds: Sequence[Round] = ()
    _given: list[_Given] = field(default_factory=list)

    def reading(self, choice: int) -> Reading[MergedAnswer]:
        """Return what nodes are asked, as the query service asks it."""
        rules = rules_of(self.index.uid, "id", SETTINGS)
        case = SearchCase(parse_search(dict(self.request)), rules, self.index.shards)

        def decide(route: Sequence[Part], rounds: Sequence[Round]) -> Ask | MergedAnswer:
            self.rounds = rounds
            return decide_round(case, route, rounds)

        uid = node_index_uid(self.index.uid, self.index.incarnation)
        return Reading(f"/indexes/{uid}/search", choice, decide, lambda ask, part: body_of(case, ask, part))

    def asked_shards(self, body: Mapping[str, Any]) -> tuple[ShardId, ...]:
        """Return the shards that a node's body asks for: of no filter, all."""
        if "filter" not in body:
            return tuple(map(ShardId, range(self.index.shards)))
        letters = orjson.dumps(body["filter"]).decode()
        return tuple(shard for letter in letters if (shard := shard_of(letter)) is not None)

    def answer(self, body: Mapping[str, Any], held: Held) -> Mapping[str, Any]:
        """Return what a node that holds this answers, as a Meilisearch does."""
        found = _ordered(
            [
                {**document, MARKER_FIELD: marker_of(shard)}
                for shard, documents in held.items()
                for document in documents.values()
            ],
            body,
        )
        if body.get("distinct"):
            found = _distinct(found)
        answer: dict[str, Any] = {"hits": [_hit(each, body) for each in _window(found, body)], "processingTimeMs": 0}
        if "page" in body:
            pages = -(-len(found) // body["hitsPerPage"]) if body["hitsPerPage"] else 0
            answer |= {name: body[name] for name in ("page", "hitsPerPage")}
            answer |= {"totalHits": len(found), "totalPages": pages}
        else:
            answer |= {"offset": body["offset"], "limit": body["limit"], "estimatedTotalHits": len(found)}
        if body.get("facets"):
            counts = Counter(str(each["residue"]) for each in found)
            answer |= {"facetDistribution": {"residue": dict(sorted(counts.items()))}, "facetStats": {}}
        # As from a node, nothing of it is the same object as what is held.
        answer = orjson.loads(orjson.dumps(answer))
        self._given.append(_Given(answer, held))
        return answer

    def require_right(self, merged: MergedAnswer) -> None:
        """Raise where the merged page, of which no shard is missing, is not the page of what the nodes held.

        Raises:
            BrokenInvariantError: it is not.
        """
        ranked: dict[ShardId, Mapping[str, Mapping[str, Any]]] = {}
        shown: dict[ShardId, Mapping[str, Mapping[str, Any]]] = {}
        for each in self.rounds:
            if each.ask.purpose in {Purpose.HEADS, Purpose.KEYS}:
                ranked, shown = {}, {}
            held: dict[ShardId, Mapping[str, Mapping[str, Any]]] = {}
            for part, answer in each.answers:
                own = self._held(answer)
                self._require("shards", tuple(own), part.shards)
                held |= own
            if each.ask.purpose is not Purpose.VALUES:
                shown |= held
            if each.ask.purpose not in {Purpose.VALUES, Purpose.WINDOWS}:
                ranked |= held
        everything = [document for documents in ranked.values() for document in documents.values()]
        expected = _ordered(everything, self.request)
        if "distinct" in self.request:
            expected = _distinct(expected)
        newest = {key: document for documents in shown.values() for key, document in documents.items()}
        # Where the window was asked for last, its hits are as they were by then, in the order of before.
        hits = [newest[each["id"]] for each in _window(expected, self.request) if each["id"] in newest]
        body = merged.body
        self._require("hits", body["hits"], hits)
        if "distinct" not in self.request:
            total = body["totalHits" if "page" in self.request else "estimatedTotalHits"]
            self._require("total", total, len(everything))
        if "facets" in self.request:
            counts = {"residue": Counter(str(each["residue"]) for each in everything)}
            self._require("counts", body["facetDistribution"], counts)

    def _held(self, answer: object) -> Held:
        return next(given.held for given in self._given if given.answer is answer)

    def _require(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            purposes = ", ".join(each.ask.purpose.value for each in self.rounds)
            asked = f"{self.request} of {self.index.uid}, in rounds of {purposes}"
            raise BrokenInvariantError("page", f"{what} of {asked}: {found}; expected {expected}")


def _ordered(documents: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return documents as the search sorts them: by version, else by id."""
    sort = body.get("sort")
    if not sort:
        return sorted(documents, key=lambda document: str(document["id"]))
    return sorted(documents, key=lambda document: int(document["v"]), reverse=sort[0] == "v:desc")


def _distinct(documents: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    first: dict[int, Mapping[str, Any]] = {}
    for document in documents:
        first.setdefault(document["residue"], document)
    return list(first.values())


def _window(documents: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "page" in body:
        offset, limit = (body["page"] - 1) * body["hitsPerPage"], body["hitsPerPage"]
    else:
        offset, limit = body["offset"], body["limit"]
    return list(islice(documents, offset, offset + limit))


def _hit(document: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    wanted = body["attributesToRetrieve"]
    hit = {name: value for name, value in document.items() if "*" in wanted or name in wanted}
    if body["showRankingScore"]:
        hit["_rankingScore"] = 1.0
    if body["showRankingScoreDetails"]:
        sort = body.get("sort") or ()
        hit["_rankingScoreDetails"] = {rule: {"order": 0, "value": float(document["v"])} for rule in sort}
    return hit
