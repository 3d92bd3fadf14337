"""A search as asked for: validation of bodies and query strings.

What always holds: a ``SearchRequest`` has values of the right types; whether the index allows them is checked later.
Who calls it: search and multi-search routes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from miroir.node.protocol.errors import ApiError, feature_not_enabled
from miroir.node.protocol.values import SIZE_MAX, check_parameters, parse_digits
from schemas.meilisearch_values import (
    check_fields,
    read_array,
    read_boolean,
    read_count,
    read_object,
    read_one_of,
    read_string,
    read_strings,
    unknown_name,
    wrong_type,
)

LIMIT_DEFAULT = 20
CROP_LENGTH_DEFAULT = 10
STRATEGIES = ("last", "all", "frequency")

FIELDS = (
    "q",
    "offset",
    "limit",
    "page",
    "hitsPerPage",
    "attributesToRetrieve",
    "attributesToCrop",
    "cropLength",
    "cropMarker",
    "attributesToHighlight",
    "highlightPreTag",
    "highlightPostTag",
    "showMatchesPosition",
    "filter",
    "sort",
    "distinct",
    "facets",
    "matchingStrategy",
    "attributesToSearchOn",
    "rankingScoreThreshold",
    "locales",
    "hybrid",
    "vector",
    "retrieveVectors",
    "media",
    "personalize",
    "useNetwork",
    "showRankingScore",
    "showRankingScoreDetails",
    "showPerformanceDetails",
)
"""Fields of a search body, in the order the real node lists them."""

PARAMETERS = tuple(
    own
    for name in FIELDS
    if name != "media"
    for own in {
        "hybrid": ("hybridEmbedder", "hybridSemanticRatio"),
        "personalize": ("personalizeUserContext",),
    }.get(name, (name,))
)
"""Parameters of ``GET …/search``."""

_SHORT = (
    "af ak am ar az be bn bg ca cs da de el en eo et fi fr gu he hi hr hu hy id it jv ja kn ka km ko la"
    " lv lt ml mr mk my ne nl nb or pa fa pl pt ro ru si sk sl sn es sr sv ta te tl th tk tr uk ur uz vi"
    " yi zh zu"
)
_LONG = (
    "afr aka amh ara aze bel ben bul cat ces dan deu ell eng epo est fin fra guj heb hin hrv hun hye ind"
    " ita jav jpn kan kat khm kor lat lav lit mal mar mkd mya nep nld nob ori pan pes pol por ron rus sin"
    " slk slv sna spa srp swe tam tel tgl tha tuk tur ukr urd uzb vie yid zho zul cmn"
)
LOCALES = tuple(f"{_SHORT} {_LONG}".split())
"""Locales a search may name, in the order the real node lists them."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search; None means that the request did not say.

    Attributes:
        page: 1 is the first; set where the request asked for pages.
        retrieve: None for all attributes.
        filter: JSON as sent.
        embedder: named by the request; no index has one.
    """

    q: str | None = None
    offset: int = 0
    limit: int = LIMIT_DEFAULT
    page: int | None = None
    hits_per_page: int | None = None
    retrieve: tuple[str, ...] | None = None
    crop: tuple[str, ...] | None = None
    crop_length: int = CROP_LENGTH_DEFAULT
    crop_marker: str = "…"
    highlight: tuple[str, ...] | None = None
    pre_tag: str = "<em>"
    post_tag: str = "</em>"
    show_positions: bool = False
    filter: Any = None
    sort: tuple[str, ...] = ()
    distinct: str | None = None
    facets: tuple[str, ...] | None = None
    strategy: str = "last"
    search_on: tuple[str, ...] | None = None
    threshold: float | None = None
    show_score: bool = False
    show_details: bool = False
    show_vectors: bool = False
    embedder: str | None = None
    paginates: bool = False

    @property
    def is_paged(self) -> bool:
        """Tell whether the answer has the page form."""
        return self.page is not None or self.hits_per_page is not None


def parse_search(body: Any, fields: tuple[str, ...] = FIELDS) -> SearchRequest:
    """Return the search a body asks for.

    Args:
        body: JSON as sent.
        fields: the names allowed (multi-search allows more).

    Raises:
        ApiError: an unknown field or a value of another type.
    """
    given = read_object(body)
    values: dict[str, Any] = {}
    # Fields are read in the order in which they came: the first fault is the one that is told.
    for name, value in given.items():
        if name not in fields:
            check_fields({name: value}, fields)
        reader = _READERS.get(name)
        if reader is None or (value is None and name not in _NEVER_NULL):
            continue
        attribute, read = reader
        found = read(value, f"invalid_search_{_snake(name)}", f".{name}")
        if attribute:
            values[attribute] = found
    _refuse_features(given)
    pagination = any(given.get(name) is not None for name in ("limit", "offset", "page", "hitsPerPage"))
    return SearchRequest(**values, filter=given.get("filter"), paginates=pagination)


def _refuse_features(given: Mapping[str, Any]) -> None:
    if given.get("hybrid") is None and (given.get("vector") is not None or given.get("media") is not None):
        text = "Invalid request: missing `hybrid` parameter when `vector` or `media` are present."
        raise ApiError("missing_search_hybrid", text)
    if given.get("personalize") is not None:
        raise feature_not_enabled("reranking search results", "personalization", _PERSONALIZATION)
    if given.get("useNetwork"):
        raise feature_not_enabled("passing `useNetwork` in a search query", "network", _NETWORK)


_PERSONALIZATION, _NETWORK = 866, 805
"""Where these features are discussed."""


def parse_search_parameters(query: Mapping[str, str]) -> SearchRequest:
    """Return the search a query string asks for."""
    check_parameters(query, PARAMETERS)
    body = {name: _parameter(name, text) for name, text in query.items() if name not in _LEFT_OUT}
    if "hybridEmbedder" not in query:
        _refuse_without_embedder(query)
    return parse_search(body)


def _parameter(name: str, text: str) -> Any:
    if name in _LISTS:
        return text.split(",")
    if name == "matchingStrategy" and text not in STRATEGIES:
        reason = unknown_name("value", text, STRATEGIES, inside=f" for parameter `{name}`")
        raise ApiError("invalid_search_matching_strategy", reason)
    reader = _PARAMETER_READERS.get(name)
    return text if reader is None else reader(name, text)


_LEFT_OUT = frozenset(("hybridEmbedder", "hybridSemanticRatio", "vector", "personalizeUserContext", "useNetwork"))


def _refuse_without_embedder(query: Mapping[str, str]) -> None:
    for name, code in (("hybridSemanticRatio", "invalid_search_hybrid_query"), ("vector", "missing_search_hybrid")):
        if name in query:
            raise ApiError(code, f"`hybridEmbedder` is mandatory when `{name}` is present")


def _filter(_name: str, text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, list | str) else text


_LISTS = frozenset(
    (
        *("facets", "attributesToRetrieve", "attributesToCrop", "attributesToHighlight", "locales"),
        "attributesToSearchOn",
    )
)
_COUNTS = frozenset(("offset", "limit", "page", "hitsPerPage", "cropLength"))
_FLAGS = frozenset(
    ("showMatchesPosition", "showRankingScore", "showRankingScoreDetails", "retrieveVectors", "showPerformanceDetails")
)


def _count(name: str, text: str) -> int:
    count = parse_digits(text, SIZE_MAX)
    if count is None:
        code = f"invalid_search_{_snake(name)}"
        raise ApiError(code, f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer")
    return count


def _flag(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        reason = f"could not parse `{text}` as a boolean, expected either `true` or `false`"
        raise ApiError(f"invalid_search_{_snake(name)}", f"Invalid value in parameter `{name}`: {reason}")
    return text == "true"


def _float(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        reason = f"the value of `{name}` is invalid, expected a float between `0.0` and `1.0`."
        raise ApiError(f"invalid_search_{_snake(name)}", f"Invalid value in parameter `{name}`: {reason}")
    return share


def _split_sort(_name: str, text: str) -> list[str]:
    pieces: list[str] = []
    for piece in text.split(","):
        # A comma inside _geoPoint(lat,lng) does not part two criteria.
        if pieces and pieces[-1].count("(") > pieces[-1].count(")"):
            pieces[-1] += "," + piece
        else:
            pieces.append(piece)
    return pieces


_PARAMETER_READERS: Mapping[str, Callable[[str, str], Any]] = {
    **dict.fromkeys(_COUNTS, _count),
    **dict.fromkeys(_FLAGS, _flag),
    "sort": _split_sort,
    "filter": _filter,
    "rankingScoreThreshold": _float,
}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _names(value: Any, code: str, path: str) -> tuple[str, ...]:
    return tuple(read_strings(value, code, path))


def _strategy(value: Any, code: str, path: str) -> str:
    return read_one_of(STRATEGIES, value, code, path)


def _share(value: Any, code: str, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(code, path, "a number", value)
    if not 0 <= value <= 1:
        name = path.rpartition(".")[2]
        text = f"the value of `{name}` is invalid, expected a float between `0.0` and `1.0`."
        raise ApiError(code, f"Invalid value at `{path}`: {text}")
    return float(value)


def _hybrid(value: Any, code: str, path: str) -> str:
    code = f"{code}_query"
    given = read_object(value, code, path)
    for name, item in given.items():
        check_fields({name: item}, ("semanticRatio", "embedder"), path, code)
        if name == "semanticRatio":
            _share(item, "invalid_search_semantic_ratio", f"{path}.{name}")
        else:
            read_string(item, "invalid_search_embedder", f"{path}.{name}")
    if "embedder" not in given:
        raise ApiError(code, f"Missing field `embedder` inside `{path}`")
    return str(given["embedder"])


def _vector(value: Any, code: str, path: str) -> None:
    for place, item in enumerate(read_array(value, code, path)):
        if isinstance(item, bool) or not isinstance(item, int | float):
            raise wrong_type(code, f"{path}[{place}]", "a number", item)


def _personalize(value: Any, code: str, path: str) -> None:
    given = read_object(value, code, path)
    for name, item in given.items():
        check_fields({name: item}, ("userContext",), path, code)
        read_string(item, f"{code}_user_context", f"{path}.{name}")
    if not given:
        raise ApiError(code, f"Missing field `userContext` inside `{path}`")


def _locales(value: Any, code: str, path: str) -> tuple[str, ...]:
    names = read_strings(value, code, path)
    for place, name in enumerate(names):
        read_one_of(LOCALES, name, code, f"{path}[{place}]")
    return tuple(names)


_READERS: Mapping[str, tuple[str, Callable[[Any, str, str], Any]]] = {
    "q": ("q", read_string),
    "offset": ("offset", read_count),
    "limit": ("limit", read_count),
    "page": ("page", read_count),
    "hitsPerPage": ("hits_per_page", read_count),
    "attributesToRetrieve": ("retrieve", _names),
    "attributesToCrop": ("crop", _names),
    "cropLength": ("crop_length", read_count),
    "cropMarker": ("crop_marker", read_string),
    "attributesToHighlight": ("highlight", _names),
    "highlightPreTag": ("pre_tag", read_string),
    "highlightPostTag": ("post_tag", read_string),
    "showMatchesPosition": ("show_positions", read_boolean),
    "sort": ("sort", _names),
    "distinct": ("distinct", read_string),
    "facets": ("facets", _names),
    "matchingStrategy": ("strategy", _strategy),
    "attributesToSearchOn": ("search_on", _names),
    "rankingScoreThreshold": ("threshold", _share),
    "locales": ("", _locales),
    "hybrid": ("embedder", _hybrid),
    "vector": ("", _vector),
    "retrieveVectors": ("show_vectors", read_boolean),
    "personalize": ("", _personalize),
    "useNetwork": ("", read_boolean),
    "showPerformanceDetails": ("", read_boolean),
    "showRankingScore": ("show_score", read_boolean),
    "showRankingScoreDetails": ("show_details", read_boolean),
}
_NEVER_NULL = frozenset(
    (
        *("offset", "limit", "cropLength", "cropMarker", "highlightPreTag", "highlightPostTag", "showMatchesPosition"),
        *("matchingStrategy", "retrieveVectors", "showRankingScore", "showRankingScoreDetails"),
        "showPerformanceDetails",
    )
)
"""Fields that a body may leave out, but not give as null."""
