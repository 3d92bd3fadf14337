"""Documents like one of them, over shards: parsed, asked as a search by the document's vectors, and shown.

Only the node that holds a document can be asked what is similar to it; so its vectors are fetched, and all nodes are
searched with them, each vector once, up to one hit more than is wanted: the document itself. What always holds: it is
never among the hits; a document without a vector is like none. Who calls it: the similar route. It must not know:
nodes, HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from query.body import read_count, read_flag, read_string, read_strings, show, unknown_field, wrong_type
from query.hybrid import unstripped
from query.identity import identity_of
from query.merge import MergedAnswer, total_of
from query.rewrite import shown_attributes
from query.rules import IndexRules
from query.search import Field, Hybrid, SearchRequest, read_threshold
from query.strip import strip_hit, view_of
from query.validate import check_filter, check_vector
from schemas.document_ids import parse_id
from schemas.errors import InvalidDocumentError, InvalidSearchError

VECTORS_MAX = 16
"""Vectors of one document that are searched with: each is a search over all nodes."""

_TEXT_RULES = ("words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness")


@dataclass(frozen=True, slots=True)
class SimilarRequest:
    """What similar documents are wanted, as its user wrote it.

    Attributes:
        id: of the document they are to be like, as text.
        embedder: whose vectors are compared.
        search: filter, window and what is shown of the hits.
    """

    id: str
    embedder: str
    search: SearchRequest


def parse_similar(body: object) -> SimilarRequest:
    """Return what a POST body asks for.

    Raises:
        InvalidSearchError: a field is unknown, missing, or has a wrong type or value.
    """
    if not isinstance(body, dict):
        raise wrong_type(body, "bad_request", "", "an object")
    found: dict[str, Any] = {}
    for name, value in body.items():
        field = FIELDS.get(name)
        if field is None:
            raise unknown_field(name, FIELDS)
        if value is not None or not field.nullable:
            found[field.name] = field.read(value, field.code, f".{name}")
    return assembled_similar(found, "field")


def assembled_similar(found: dict[str, Any], kind: str) -> SimilarRequest:
    """Return the request out of the fields found; ``kind`` is what a missing one is called.

    Raises:
        InvalidSearchError: the document's id or the embedder is missing.
    """
    for name in ("id", "embedder"):
        if name not in found:
            raise InvalidSearchError("bad_request", f"Missing {kind} `{name}`")
    unsupported = ("showPerformanceDetails",) if found.pop("performance", False) else ()
    identity, embedder = found.pop("id"), found.pop("embedder")
    return SimilarRequest(identity, embedder, SearchRequest(**found, unsupported=unsupported))


def similar_search(wanted: SimilarRequest, vector: Sequence[float] | None, rules: IndexRules) -> SearchRequest:
    """Return the search that finds them: one hit more than is wanted; only their number where there is no vector."""
    search = wanted.search
    if vector is None:
        return SearchRequest(filter=search.filter, limit=0)
    shown = replace(search, attributes_to_retrieve=shown_attributes(search, rules))
    return replace(
        unstripped(shown, rules.primary_key),
        offset=0,
        # No search has more; and the sum may be a number that no body can hold.
        limit=min(search.offset + search.limit + 1, rules.hits_max),
        hybrid=Hybrid(wanted.embedder, 1.0),
        vector=tuple(vector),
    )


def check_similar(wanted: SimilarRequest, rules: IndexRules) -> None:
    """Refuse what the user's settings do not allow.

    Raises:
        InvalidSearchError: with Meilisearch's code and message.
    """
    check_vector(wanted.embedder, None, rules, "invalid_similar_embedder")
    code = "invalid_similar_filter"
    check_filter(wanted.search.filter, rules, code=code)
    try:
        parse_id(wanted.id)
    except InvalidDocumentError:
        raise _bad_id(wanted.id) from None


def ranks_otherwise(rules: IndexRules) -> bool:
    """Return whether a rule of the user's stands before similarity: then searches do not find the most similar."""
    first = next((rule for rule in rules.ranking_rules if rule in _TEXT_RULES or ":" in rule), "")
    return first not in _TEXT_RULES


def vectors_of(document: Mapping[str, Any], embedder: str) -> Sequence[Sequence[float]]:
    """Return a document's vectors, as a node shows them."""
    found: Sequence[Sequence[float]] = document.get("_vectors", {}).get(embedder, {}).get("embeddings", ())
    return found


def build_similar(wanted: SimilarRequest, answers: Sequence[MergedAnswer], rules: IndexRules) -> dict[str, Any]:
    """Return the answer's body, without its time, from those to ``similar_search``, one of each vector."""
    search, name = wanted.search, rules.primary_key or ""
    best: dict[Any, Mapping[str, Any]] = {}
    for hit in (hit for answer in answers for hit in answer.body["hits"]):
        identity = identity_of(hit, name)
        similarity = _similarity(hit)
        if similarity is not None and (identity not in best or similarity > (_similarity(best[identity]) or 0.0)):
            best[identity] = hit
    hits = [hit for identity, hit in best.items() if str(identity) != wanted.id]
    if len(answers) > 1:
        hits.sort(key=lambda hit: -(_similarity(hit) or 0.0))
    view = view_of(search, rules)
    return {
        "hits": [strip_hit(hit, view) for hit in hits[search.offset : search.offset + search.limit]],
        "id": wanted.id,
        "processingTimeMs": 0,
        "limit": search.limit,
        "offset": search.offset,
        "estimatedTotalHits": max(total_of(answers[0].body) - (len(hits) < len(best) or not best), 0),
    }


def _similarity(hit: Mapping[str, Any]) -> float | None:
    found: float | None = hit["_rankingScoreDetails"].get("vectorSort", {}).get("similarity")
    return found


def _read_id(value: object, _code: str, _place: str) -> str:
    try:
        return parse_id(value)
    except InvalidDocumentError:
        raise _bad_id(value) from None


def _bad_id(value: object) -> InvalidSearchError:
    message = (
        f"Invalid value at `.id`: Document identifier `{show(value)}` is invalid."
        " A document identifier can be of type integer or string, only composed of alphanumeric characters"
        " (a-z A-Z 0-9), hyphens (-) and underscores (_), and can not be more than 511 bytes."
    )
    return InvalidSearchError("invalid_similar_id", message)


def _read_anything(value: object, _code: str, _place: str) -> object:
    return value


FIELDS: Mapping[str, Field] = {
    "id": Field("id", "invalid_similar_id", _read_id, nullable=False),
    "offset": Field("offset", "invalid_similar_offset", read_count, nullable=False),
    "limit": Field("limit", "invalid_similar_limit", read_count, nullable=False),
    "filter": Field("filter", "invalid_similar_filter", _read_anything),
    "embedder": Field("embedder", "invalid_similar_embedder", read_string, nullable=False),
    "attributesToRetrieve": Field("attributes_to_retrieve", "invalid_similar_attributes_to_retrieve", read_strings),
    "retrieveVectors": Field("retrieve_vectors", "invalid_similar_retrieve_vectors", read_flag, nullable=False),
    "showRankingScore": Field("show_ranking_score", "invalid_similar_show_ranking_score", read_flag, nullable=False),
    "showRankingScoreDetails": Field(
        "show_ranking_score_details", "invalid_similar_show_ranking_score_details", read_flag, nullable=False
    ),
    "showPerformanceDetails": Field(
        "performance", "invalid_similar_show_performance_details", read_flag, nullable=False
    ),
    "rankingScoreThreshold": Field(
        "ranking_score_threshold", "invalid_similar_ranking_score_threshold", read_threshold
    ),
}
"""Every field of a body, in the order in which Meilisearch's message lists them."""
