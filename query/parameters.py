"""A user's search, read from the parameters of a GET request.

What always holds: the outcome is the same ``SearchRequest`` a POST body gives; every value is text, so the words for
wrong ones differ from those for a body. Who calls it: the GET search route. It knows no URL syntax.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from query.counts import parse_count
from query.locales import LOCALES
from query.search import (
    FIELDS,
    MATCHING_STRATEGIES,
    RATIO_RANGE,
    THRESHOLD_RANGE,
    Field,
    Hybrid,
    Reader,
    SearchRequest,
    assembled_search,
)
from query.similar import FIELDS as SIMILAR_FIELDS
from query.similar import SimilarRequest, assembled_similar
from schemas.errors import InvalidSearchError
from schemas.near_names import expected_one_of


def parse_search_parameters(parameters: Mapping[str, str]) -> SearchRequest:
    """Return the search of a GET request's parameters, already percent-decoded, in their order.

    Raises:
        InvalidSearchError: a parameter is unknown or cannot be parsed.
    """
    found = _read(parameters, _PARAMETERS)
    ratio = found.pop("hybrid_ratio", None)
    if ratio is not None and "hybrid" not in found:
        message = "`hybridEmbedder` is mandatory when `hybridSemanticRatio` is present"
        raise InvalidSearchError("invalid_search_hybrid_query", message)
    if ratio is not None:
        found["hybrid"] = found["hybrid"]._replace(ratio=ratio)
    if "vector" in found and "hybrid" not in found:
        raise InvalidSearchError("missing_search_hybrid", "`hybridEmbedder` is mandatory when `vector` is present")
    return assembled_search(found)


def parse_similar_parameters(parameters: Mapping[str, str]) -> SimilarRequest:
    """Return the similar documents that a GET request asks for.

    Raises:
        InvalidSearchError: a parameter is unknown or missing, or cannot be parsed.
    """
    return assembled_similar(_read(parameters, _SIMILAR_PARAMETERS), "parameter")


def _read(parameters: Mapping[str, str], known: Mapping[str, Field]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in parameters.items():
        parameter = known.get(name)
        if parameter is None:
            message = f"Unknown parameter `{name}`: {expected_one_of(name, tuple(known))}"
            raise InvalidSearchError("bad_request", message)
        found[parameter.name] = parameter.read(text, parameter.code, name)
    return found


def _parse_text(text: object, _code: str, _name: str) -> object:
    return text


def _parse_count(text: object, code: str, name: str) -> int:
    if (count := parse_count(str(text).removeprefix("+"))) is not None:
        return count
    message = f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer"
    raise InvalidSearchError(code, message)


def _parse_flag(text: object, code: str, name: str) -> bool:
    if text in ("true", "false"):
        return text == "true"
    expected = "as a boolean, expected either `true` or `false`"
    raise InvalidSearchError(code, f"Invalid value in parameter `{name}`: could not parse `{text}` {expected}")


def _parse_list(text: object, _code: str, _name: str) -> tuple[str, ...]:
    return tuple(str(text).split(",")) if text else ()


def parse_condition(text: str) -> object:
    """Return a filter given as JSON, else the text as the filter itself."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _parse_filter(text: object, _code: str, _name: str) -> object:
    return parse_condition(str(text))


def parse_sort(text: str) -> tuple[str, ...]:
    """Return the criteria; the comma inside ``_geoPoint(1,2):asc`` is none that separates, and blanks around go."""
    criteria: list[str] = []
    open_point = False
    for part in (piece.strip() for piece in text.strip('"').split(",")):
        if open_point:
            criteria[-1] += f",{part}"
            open_point = not part.endswith(("):asc", "):desc"))
        else:
            criteria.append(part)
            open_point = part.startswith("_geoPoint(")
    return tuple(criteria)


def _parse_sort(text: object, _code: str, _name: str) -> tuple[str, ...]:
    return parse_sort(str(text))


def _parse_strategy(text: object, code: str, name: str) -> str:
    if text in MATCHING_STRATEGIES:
        return str(text)
    message = f"Unknown value `{text}` for parameter `{name}`: {expected_one_of(str(text), MATCHING_STRATEGIES)}"
    raise InvalidSearchError(code, message)


def _parse_threshold(text: object, code: str, name: str) -> float:
    return _parse_ratio(text, code, name, THRESHOLD_RANGE)


def _parse_ratio(text: object, code: str, name: str, expected: str) -> float:
    try:
        ratio = float(str(text))
    except ValueError:
        ratio = -1.0
    if 0.0 <= ratio <= 1.0:
        return ratio
    raise InvalidSearchError(code, f"Invalid value in parameter `{name}`: {expected}")


def _parse_locales(text: object, code: str, name: str) -> tuple[str, ...]:
    locales = _parse_list(text, code, name)
    for locale in locales:
        if locale not in LOCALES:
            expected = ", ".join(LOCALES)
            message = f"Invalid value in parameter `{name}`: Unsupported locale `{locale}`, expected one of {expected}"
            raise InvalidSearchError(code, message)
    return locales


def _parse_semantic_ratio(text: object, code: str, name: str) -> object:
    return _parse_ratio(text, code, name, RATIO_RANGE)


def _parse_embedder(text: object, _code: str, _name: str) -> object:
    return Hybrid(str(text))


def _parse_vector(text: object, code: str, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in _parse_list(text, code, name))
    except ValueError:
        raise InvalidSearchError(code, f"Invalid value in parameter `{name}`: invalid float literal") from None


_GET_READERS: Mapping[str, Reader] = {
    "q": _parse_text,
    "vector": _parse_vector,
    "offset": _parse_count,
    "limit": _parse_count,
    "page": _parse_count,
    "hitsPerPage": _parse_count,
    "attributesToRetrieve": _parse_list,
    "retrieveVectors": _parse_flag,
    "attributesToCrop": _parse_list,
    "cropLength": _parse_count,
    "attributesToHighlight": _parse_list,
    "filter": _parse_filter,
    "sort": _parse_sort,
    "distinct": _parse_text,
    "showMatchesPosition": _parse_flag,
    "showRankingScore": _parse_flag,
    "showRankingScoreDetails": _parse_flag,
    "showPerformanceDetails": _parse_flag,
    "facets": _parse_list,
    "highlightPreTag": _parse_text,
    "highlightPostTag": _parse_text,
    "cropMarker": _parse_text,
    "matchingStrategy": _parse_strategy,
    "attributesToSearchOn": _parse_list,
    "rankingScoreThreshold": _parse_threshold,
    "locales": _parse_locales,
    "useNetwork": _parse_flag,
}

_PARAMETERS: Mapping[str, Field] = {
    **{name: FIELDS[name]._replace(read=read) for name, read in _GET_READERS.items()},
    "hybridSemanticRatio": Field("hybrid_ratio", "invalid_search_semantic_ratio", _parse_semantic_ratio),
    "hybridEmbedder": Field("hybrid", "invalid_search_embedder", _parse_embedder),
    "personalizeUserContext": Field("personalize", "invalid_search_personalize_user_context", _parse_text),
}
"""Every GET parameter."""

_SIMILAR_READERS: Mapping[str, Reader] = {
    **dict.fromkeys(("id", "embedder"), _parse_text),
    **dict.fromkeys(("offset", "limit"), _parse_count),
    **dict.fromkeys(("retrieveVectors", "showRankingScore"), _parse_flag),
    **dict.fromkeys(("showRankingScoreDetails", "showPerformanceDetails"), _parse_flag),
    "attributesToRetrieve": _parse_list,
    "filter": _parse_filter,
    "rankingScoreThreshold": _parse_threshold,
}

_SIMILAR_PARAMETERS = {name: field._replace(read=_SIMILAR_READERS[name]) for name, field in SIMILAR_FIELDS.items()}
"""Every GET parameter of similar documents."""
