"""A user's search, parsed.

What always holds: a ``SearchRequest`` has the types Meilisearch 1.50 asks for, whether it came as a POST body or as GET
parameters (``query/parameters.py``); what is wrong with it is said with Meilisearch's own code and words. Parameters
that miroir cannot honour yet are named in ``unsupported``, never dropped in silence. Who calls it: the search routes.
It knows no settings (``query/validate.py`` checks against them) and no nodes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from query.body import (
    read_choice,
    read_count,
    read_flag,
    read_number,
    read_numbers,
    read_object,
    read_string,
    read_strings,
    unknown_field,
    wrong_type,
)
from query.locales import LOCALES
from schemas.errors import InvalidSearchError
from schemas.near_names import expected_one_of

LIMIT_DEFAULT = 20
CROP_LENGTH_DEFAULT_WORDS = 10

MATCHING_STRATEGIES = ("last", "all", "frequency")

UNSUPPORTED_FIELDS = ("media", "personalize", "useNetwork")
"""Known to Meilisearch and not to us yet; ``showPerformanceDetails`` joins them when it is true."""


class Window(NamedTuple):
    """Which hits of the whole list are wanted."""

    offset: int
    limit: int


class Hybrid(NamedTuple):
    """Where vectors come from, and how much similarity counts beside words."""

    embedder: str
    ratio: float = 0.5


class SearchKind(Enum):
    """What a search compares documents by."""

    WORDS = "words"
    SIMILARITY = "similarity"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search as its user wrote it; None is "not given" wherever Meilisearch tells the two apart."""

    q: str | None = None
    offset: int = 0
    limit: int = LIMIT_DEFAULT
    page: int | None = None
    hits_per_page: int | None = None
    attributes_to_retrieve: tuple[str, ...] | None = None
    attributes_to_crop: tuple[str, ...] | None = None
    crop_length: int = CROP_LENGTH_DEFAULT_WORDS
    crop_marker: str = "…"
    attributes_to_highlight: tuple[str, ...] | None = None
    highlight_pre_tag: str = "<em>"
    highlight_post_tag: str = "</em>"
    show_matches_position: bool = False
    filter: object = None
    sort: tuple[str, ...] | None = None
    distinct: str | None = None
    facets: tuple[str, ...] | None = None
    matching_strategy: str = "last"
    attributes_to_search_on: tuple[str, ...] | None = None
    ranking_score_threshold: float | None = None
    locales: tuple[str, ...] | None = None
    show_ranking_score: bool = False
    show_ranking_score_details: bool = False
    hybrid: Hybrid | None = None
    vector: tuple[float, ...] | None = None
    retrieve_vectors: bool = False
    unsupported: tuple[str, ...] = ()

    @property
    def kind(self) -> SearchKind:
        """What documents are compared by: a ratio of 0, or neither text nor vector, leaves the embedder out."""
        if self.hybrid is None or not self.hybrid.ratio:
            return SearchKind.WORDS
        wordless = not (self.q or "").strip()
        if wordless and self.vector is None:
            return SearchKind.WORDS
        return SearchKind.SIMILARITY if wordless or self.hybrid.ratio == 1.0 else SearchKind.BOTH

    @property
    def is_paged(self) -> bool:
        """Whether the answer has pages and exact totals instead of an offset and an estimate."""
        return self.page is not None or self.hits_per_page is not None

    def page_number(self) -> int:
        """Return the page asked for; 0 is a page without hits."""
        return 1 if self.page is None else self.page

    def page_size(self) -> int:
        """Return the number of hits on a page."""
        return LIMIT_DEFAULT if self.hits_per_page is None else self.hits_per_page

    def window(self, hits_max: int) -> Window:
        """Return the wanted hits, cut at ``pagination.maxTotalHits`` as Meilisearch cuts them."""
        offset, limit = self.offset, self.limit
        if self.is_paged:
            page, limit = self.page_number(), self.page_size()
            offset, limit = ((page - 1) * limit, limit) if page else (0, 0)
        if offset + limit <= hits_max:  # nearly always, and asked several times a search
            return Window(offset, limit)
        offset = min(offset, hits_max)
        return Window(offset, min(limit, hits_max - offset))


Reader = Callable[[object, str, str], object]


class Field(NamedTuple):
    """How one field of a body is read."""

    name: str
    """The dataclass's field."""
    code: str
    """Meilisearch's error code."""
    read: Reader
    nullable: bool = True


def parse_search(body: object) -> SearchRequest:
    """Return the search of a POST body.

    Args:
        body: what the JSON text parsed to; fields are judged in its order, and the first wrong one is reported.

    Raises:
        InvalidSearchError: a field is unknown or has a wrong type or value.
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
    return assembled_search(found)


def assembled_search(found: dict[str, Any]) -> SearchRequest:
    """Return the request out of the fields found, with what we cannot do yet set apart by name."""
    apart = {name: found.pop(name) for name in (*UNSUPPORTED_FIELDS, "showPerformanceDetails") if name in found}
    if "hybrid" not in found and ("vector" in found or "media" in apart):
        message = "Invalid request: missing `hybrid` parameter when `vector` or `media` are present."
        raise InvalidSearchError("missing_search_hybrid", message)
    unsupported = tuple(name for name, value in apart.items() if value is not False)
    return SearchRequest(**found, unsupported=unsupported)


def _read_anything(value: object, _code: str, _place: str) -> object:
    return value


def _read_strategy(value: object, code: str, place: str) -> str:
    return read_choice(value, code, place, MATCHING_STRATEGIES)


def _read_locales(value: object, code: str, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong_type(value, code, place, "an array")
    return tuple(read_choice(item, code, f"{place}[{number}]", LOCALES) for number, item in enumerate(value))


def read_threshold(value: object, code: str, place: str) -> float:
    """Return the value of a field that is a score."""
    threshold = read_number(value, code, place)
    if 0.0 <= threshold <= 1.0:
        return threshold
    raise InvalidSearchError(code, f"Invalid value at `{place}`: {THRESHOLD_RANGE}")


def _read_hybrid(value: object, code: str, place: str) -> Hybrid:
    hybrid = read_object(value, code, place)
    for name in hybrid:
        if name not in _HYBRID_FIELDS:
            message = f"Unknown field `{name}` inside `{place}`: {expected_one_of(name, _HYBRID_FIELDS)}"
            raise InvalidSearchError(code, message)
    if "embedder" not in hybrid:
        raise InvalidSearchError(code, f"Missing field `embedder` inside `{place}`")
    embedder = read_string(hybrid["embedder"], "invalid_search_embedder", f"{place}.embedder")
    if "semanticRatio" not in hybrid:
        return Hybrid(embedder)
    ratio_place = f"{place}.semanticRatio"
    ratio = read_number(hybrid["semanticRatio"], "invalid_search_semantic_ratio", ratio_place)
    if not 0.0 <= ratio <= 1.0:
        message = f"Invalid value at `{ratio_place}`: {RATIO_RANGE}"
        raise InvalidSearchError("invalid_search_semantic_ratio", message)
    return Hybrid(embedder, ratio)


THRESHOLD_RANGE = "the value of `rankingScoreThreshold` is invalid, expected a float between `0.0` and `1.0`."
RATIO_RANGE = "the value of `semanticRatio` is invalid, expected a float between `0.0` and `1.0`."
_HYBRID_FIELDS = ("semanticRatio", "embedder")

FIELDS: Mapping[str, Field] = {
    "q": Field("q", "invalid_search_q", read_string),
    "offset": Field("offset", "invalid_search_offset", read_count, nullable=False),
    "limit": Field("limit", "invalid_search_limit", read_count, nullable=False),
    "page": Field("page", "invalid_search_page", read_count),
    "hitsPerPage": Field("hits_per_page", "invalid_search_hits_per_page", read_count),
    "attributesToRetrieve": Field("attributes_to_retrieve", "invalid_search_attributes_to_retrieve", read_strings),
    "attributesToCrop": Field("attributes_to_crop", "invalid_search_attributes_to_crop", read_strings),
    "cropLength": Field("crop_length", "invalid_search_crop_length", read_count, nullable=False),
    "cropMarker": Field("crop_marker", "invalid_search_crop_marker", read_string, nullable=False),
    "attributesToHighlight": Field("attributes_to_highlight", "invalid_search_attributes_to_highlight", read_strings),
    "highlightPreTag": Field("highlight_pre_tag", "invalid_search_highlight_pre_tag", read_string, nullable=False),
    "highlightPostTag": Field("highlight_post_tag", "invalid_search_highlight_post_tag", read_string, nullable=False),
    "showMatchesPosition": Field(
        "show_matches_position", "invalid_search_show_matches_position", read_flag, nullable=False
    ),
    "filter": Field("filter", "invalid_search_filter", _read_anything),
    "sort": Field("sort", "invalid_search_sort", read_strings),
    "distinct": Field("distinct", "invalid_search_distinct", read_string),
    "facets": Field("facets", "invalid_search_facets", read_strings),
    "matchingStrategy": Field("matching_strategy", "invalid_search_matching_strategy", _read_strategy, nullable=False),
    "attributesToSearchOn": Field("attributes_to_search_on", "invalid_search_attributes_to_search_on", read_strings),
    "rankingScoreThreshold": Field("ranking_score_threshold", "invalid_search_ranking_score_threshold", read_threshold),
    "locales": Field("locales", "invalid_search_locales", _read_locales),
    "hybrid": Field("hybrid", "invalid_search_hybrid_query", _read_hybrid),
    "vector": Field("vector", "invalid_search_vector", read_numbers),
    "retrieveVectors": Field("retrieve_vectors", "invalid_search_retrieve_vectors", read_flag, nullable=False),
    "media": Field("media", "invalid_search_media", _read_anything),
    "personalize": Field("personalize", "invalid_search_personalize", read_object),
    "useNetwork": Field("useNetwork", "invalid_search_use_network", read_flag),
    "showRankingScore": Field("show_ranking_score", "invalid_search_show_ranking_score", read_flag, nullable=False),
    "showRankingScoreDetails": Field(
        "show_ranking_score_details", "invalid_search_show_ranking_score_details", read_flag, nullable=False
    ),
    "showPerformanceDetails": Field(
        "showPerformanceDetails", "invalid_search_show_performance_details", read_flag, nullable=False
    ),
}
"""Every field of a search body, in the order in which Meilisearch's message lists them."""
