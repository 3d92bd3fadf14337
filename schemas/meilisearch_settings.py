"""The settings of an index as users see them: defaults, what is refused, and how a change is laid over them.

A *change* maps a setting's name to its value, or to null for a reset; *settings* hold every name with an effective
value (https://www.meilisearch.com/docs/reference/api/settings; defaults and messages are those of 1.50).

What always holds: merging a read change into whole settings gives whole settings; merging it twice changes nothing
more. *Reading* takes what a node takes; *validating* also refuses attributes of ours and what is not supported yet. Who
calls it: the controller and the query service validate, the embedded node reads. It must not know: what we add on nodes
(``streams/node_settings.py``).
"""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.errors import InvalidRequestError
from schemas.meilisearch_embedders import merge_embedders, read_embedders
from schemas.meilisearch_values import (
    check_fields,
    read_array,
    read_boolean,
    read_count,
    read_object,
    read_one_of,
    read_string,
    read_strings,
    wrong_value,
)
from schemas.reserved_attributes import refuse_reserved

RANKING_RULES = ("words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness")
"""The default ranking rules, in order."""

DEFAULT_SETTINGS: Mapping[str, Any] = {
    "displayedAttributes": ["*"],
    "searchableAttributes": ["*"],
    "filterableAttributes": [],
    "sortableAttributes": [],
    "rankingRules": list(RANKING_RULES),
    "stopWords": [],
    "nonSeparatorTokens": [],
    "separatorTokens": [],
    "dictionary": [],
    "synonyms": {},
    "distinctAttribute": None,
    "proximityPrecision": "byWord",
    "typoTolerance": {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
        "disableOnWords": [],
        "disableOnAttributes": [],
        "disableOnNumbers": False,
    },
    "faceting": {"maxValuesPerFacet": 100, "sortFacetValuesBy": {"*": "alpha"}},
    "pagination": {"maxTotalHits": 1000},
    "embedders": {},
    "searchCutoffMs": None,
    "localizedAttributes": None,
    "facetSearch": True,
    "prefixSearch": "indexingTime",
}
"""What an index without any change answers, in the order it answers it."""

SETTINGS_FIELDS = (
    *("displayedAttributes", "searchableAttributes", "filterableAttributes", "sortableAttributes", "foreignKeys"),
    *("rankingRules", "stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary", "synonyms"),
    *("distinctAttribute", "proximityPrecision", "typoTolerance", "faceting", "pagination", "embedders"),
    *("searchCutoffMs", "localizedAttributes", "facetSearch", "prefixSearch", "chat"),
)
"""Every field a body may have, in the order Meilisearch lists them."""

RESET_ALL: Mapping[str, None] = dict.fromkeys(DEFAULT_SETTINGS)
"""The change that resets every setting."""

SUB_ROUTES: Mapping[str, tuple[str, str]] = {
    "displayed-attributes": ("displayedAttributes", "PUT"),
    "searchable-attributes": ("searchableAttributes", "PUT"),
    "filterable-attributes": ("filterableAttributes", "PUT"),
    "sortable-attributes": ("sortableAttributes", "PUT"),
    "ranking-rules": ("rankingRules", "PUT"),
    "stop-words": ("stopWords", "PUT"),
    "non-separator-tokens": ("nonSeparatorTokens", "PUT"),
    "separator-tokens": ("separatorTokens", "PUT"),
    "dictionary": ("dictionary", "PUT"),
    "synonyms": ("synonyms", "PUT"),
    "distinct-attribute": ("distinctAttribute", "PUT"),
    "proximity-precision": ("proximityPrecision", "PUT"),
    "typo-tolerance": ("typoTolerance", "PATCH"),
    "faceting": ("faceting", "PATCH"),
    "pagination": ("pagination", "PATCH"),
    "embedders": ("embedders", "PATCH"),
    "search-cutoff-ms": ("searchCutoffMs", "PUT"),
    "localized-attributes": ("localizedAttributes", "PUT"),
    "facet-search": ("facetSearch", "PUT"),
    "prefix-search": ("prefixSearch", "PUT"),
}
"""Segment of a route to the setting's name and the method that changes it."""

_FEATURES = {"foreignKeys": ("foreign_keys", 873), "chat": ("chat completions", 835)}
"""Settings behind a switch that is off: the switch, and where Meilisearch discusses it."""

_WITHOUT_ATTRIBUTES = frozenset(
    {"stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary", "proximityPrecision", "pagination"}
    | {"embedders", "searchCutoffMs", "facetSearch", "prefixSearch"}
)
_LOCALES = """
af ak am ar az be bn bg ca cs da de el en eo et fi fr gu he hi hr hu hy id it jv ja kn ka km ko la lv lt ml mr
mk my ne nl nb or pa fa pl pt ro ru si sk sl sn es sr sv ta te tl th tk tr uk ur uz vi yi zh zu afr aka amh ara
aze bel ben bul cat ces dan deu ell eng epo est fin fra guj heb hin hrv hun hye ind ita jav jpn kan kat khm kor
lat lav lit mal mar mkd mya nep nld nob ori pan pes pol por ron rus sin slk slv sna spa srp swe tam tel tgl tha
tuk tur ukr urd uzb vie yid zho zul cmn
"""
_ZERO = "a non-zero integer value lower than `18446744073709551615` was expected, but found a zero"
_MERGED = frozenset({"typoTolerance", "faceting", "pagination"})
_WORD_SIZE_MAX = 255
_RULES_KNOWN = frozenset((*RANKING_RULES, "attribute"))
_RULES_VALID = "words, typo, sort, proximity, attribute, exactness and custom ranking rules"
_RULES_MIXED = (
    "Mixed usage of the attribute, attributeRank, and wordPosition ranking rules. You must either use the attribute"
    " ranking rule alone or the attributeRank and wordPosition ranking rules."
)
_GEO_NAMES = frozenset({"_geoPoint", "_geo", "_geoRadius", "_geoBoundingBox"})

_Reader = Callable[[Any, str, str], Any]


def validate_settings(change: Any) -> Mapping[str, Any]:
    """Return a user's body as a change.

    Raises:
        InvalidRequestError: see ``read_settings``; or an attribute of ours is named.
    """
    return _each(change, validate_setting)


def read_settings(change: Any) -> Mapping[str, Any]:
    """Return a body as a change: each value in the form in which settings hold it, null for a reset.

    Raises:
        InvalidRequestError: no object, an unknown field, or a value that no index can have; with Meilisearch's code.
    """
    return _each(change, read_setting)


def _each(change: Any, read: _Reader) -> Mapping[str, Any]:
    fields = read_object(change)
    check_fields(fields, SETTINGS_FIELDS)
    return {name: read(name, fields[name], f".{name}") for name in SETTINGS_FIELDS if name in fields}


def validate_setting(name: str, value: Any, path: str = "") -> Any:
    """Return the value of one setting of a user's; see ``read_setting``.

    Raises:
        InvalidRequestError: see ``validate_settings``.
    """
    if name in _FEATURES:
        if value in (None, {}, []):
            return None
        raise InvalidRequestError("miroir_not_supported", f"Setting `{name}` is not supported by miroir yet.")
    read = read_setting(name, value, path)
    if name not in _WITHOUT_ATTRIBUTES:
        refuse_reserved(value, _code(name), path)
    return read


def read_setting(name: str, value: Any, path: str = "") -> Any:
    """Return the value of one setting in the form in which settings hold it; None for a reset.

    Args:
        name: the setting's name in camel case.
        value: as it was sent.
        path: where it stood in the body; empty for a sub-route's.

    Raises:
        InvalidRequestError: see ``read_settings``.
    """
    if value is None:
        return None
    if name in _FEATURES:
        feature, discussion = _FEATURES[name]
        what = f"setting `{name}` in the index settings requires enabling the `{feature}` experimental feature."
        link = f"https://github.com/orgs/meilisearch/discussions/{discussion}"
        raise InvalidRequestError("feature_not_enabled", f"{what} See {link}")
    return _READERS[name](value, _code(name), path)


def merge_settings(settings: Mapping[str, Any], change: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return whole settings with a validated change laid over them; objects that hold several settings field by field.

    Raises:
        InvalidRequestError: the sizes of words for one and two typos no longer fit together; or an embedder is refused.
    """
    merged = dict(settings)
    for name, value in change.items():
        if name not in DEFAULT_SETTINGS:
            continue
        if name == "embedders":
            merged[name] = merge_embedders(settings[name], value)
        elif value is None:
            merged[name] = DEFAULT_SETTINGS[name]
        else:
            merged[name] = _merge(settings[name], value, DEFAULT_SETTINGS[name]) if name in _MERGED else value
    if fault := _word_sizes_fault(merged["typoTolerance"]["minWordSizeForTypos"]):
        raise InvalidRequestError(_code("typoTolerance"), fault)
    return merged


def _merge(old: Mapping[str, Any], change: Mapping[str, Any], default: Mapping[str, Any]) -> Mapping[str, Any]:
    merged = dict(old)
    for name, value in change.items():
        if value is None:
            merged[name] = default[name]
        elif name == "minWordSizeForTypos":
            merged[name] = _merge(old[name], value, default[name])
        elif name == "sortFacetValuesBy":
            merged[name] = {**default[name], **value}
        else:
            merged[name] = value
    return merged


def _code(name: str) -> str:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return f"invalid_settings_{snake}"


def _attributes(value: Any, code: str, path: str) -> list[str]:
    return list(dict.fromkeys(read_strings(value, code, path)))


def _searchable(value: Any, code: str, path: str) -> list[str]:
    names = _attributes(value, code, path)
    return ["*"] if "*" in names else names


def _sorted_strings(value: Any, code: str, path: str) -> list[str]:
    return sorted(set(read_strings(value, code, path)))


def _filterable(value: Any, code: str, path: str) -> list[Any]:
    return [_filterable_entry(item, code, f"{path}[{at}]") for at, item in enumerate(read_array(value, code, path))]


def _filterable_entry(item: Any, code: str, path: str) -> Any:
    if isinstance(item, str):
        return item
    fields = read_object(item, code, path)
    check_fields(fields, ("attributePatterns", "features"), path, code)
    patterns = _patterns(fields, code, path)
    features = read_object(fields.get("features", {}), code, f"{path}.features")
    check_fields(features, ("facetSearch", "filter"), f"{path}.features", code)
    operators = read_object(features.get("filter", {}), code, f"{path}.features.filter")
    check_fields(operators, ("equality", "comparison"), f"{path}.features.filter", code)
    return {
        "attributePatterns": patterns,
        "features": {
            "facetSearch": read_boolean(features.get("facetSearch", False), code, f"{path}.features.facetSearch"),
            "filter": {
                "equality": read_boolean(operators.get("equality", True), code, f"{path}.features.filter.equality"),
                "comparison": read_boolean(
                    operators.get("comparison", False), code, f"{path}.features.filter.comparison"
                ),
            },
        },
    }


def _patterns(fields: Mapping[str, Any], code: str, path: str) -> list[str]:
    if "attributePatterns" not in fields:
        raise InvalidRequestError(code, f"Missing field `attributePatterns` inside `{path}`")
    return _attributes(fields["attributePatterns"], code, f"{path}.attributePatterns")


def _ranking_rules(value: Any, code: str, path: str) -> list[str]:
    names = read_strings(value, code, path)
    for at, name in enumerate(names):
        _check_rule(name, code, f"{path}[{at}]")
    if "attribute" in names and {"attributeRank", "wordPosition"} & set(names):
        raise InvalidRequestError(code, _RULES_MIXED)
    return names


def _check_rule(name: str, code: str, path: str) -> None:
    if name in _RULES_KNOWN:
        return
    field, separator, order = name.rpartition(":")
    if not separator or order not in {"asc", "desc"}:
        raise wrong_value(code, path, f"`{name}` ranking rule is invalid. Valid ranking rules are {_RULES_VALID}.")
    if field.split("(")[0] in _GEO_NAMES:
        hint = ". `_geoPoint` can only be used for sorting at search time" if field.startswith("_geoPoint") else ""
        text = f"`{field.partition('(')[0]}` is a reserved keyword and thus can't be used as a ranking rule{hint}"
        raise wrong_value(code, path, text)


def _synonyms(value: Any, code: str, path: str) -> dict[str, list[str]]:
    fields = read_object(value, code, path)
    return {key: read_strings(fields[key], code, f"{path}.{key}") for key in sorted(fields)}


def _one_of(*names: str) -> _Reader:
    return lambda value, code, path: read_one_of(names, value, code, path)


def _fields_of(readers: Mapping[str, _Reader]) -> _Reader:
    """Return the reader of an object whose fields are optional, null for a reset."""

    def read(value: Any, code: str, path: str) -> dict[str, Any]:
        fields = read_object(value, code, path)
        check_fields(fields, readers, path, code)
        return {
            name: None if fields[name] is None else reader(fields[name], code, f"{path}.{name}")
            for name, reader in readers.items()
            if name in fields
        }

    return read


def _word_size(value: Any, code: str, path: str) -> int:
    size = read_count(value, code, path)
    if size > _WORD_SIZE_MAX:
        text = f"value: `{size}` is too large to be deserialized, maximum value authorized is `{_WORD_SIZE_MAX}`"
        raise wrong_value(code, path, text)
    return size


def _word_sizes(value: Any, code: str, path: str) -> dict[str, Any]:
    sizes: dict[str, Any] = _fields_of({"oneTypo": _word_size, "twoTypos": _word_size})(value, code, path)
    if fault := _word_sizes_fault(sizes):
        raise wrong_value(code, path, fault)
    return sizes


def _word_sizes_fault(sizes: Mapping[str, Any]) -> str:
    one, two = sizes.get("oneTypo"), sizes.get("twoTypos")
    if one is None or two is None or one <= two:
        return ""
    return (
        "`minWordSizeForTypos` setting is invalid. `oneTypo` and `twoTypos` fields should be between `0` and `255`,"
        f" and `twoTypos` should be greater or equals to `oneTypo` but found `oneTypo: {one}` and twoTypos: {two}`."
    )


def _facet_orders(value: Any, code: str, path: str) -> dict[str, str]:
    order = _one_of("alpha", "count")
    return {name: order(own, code, f"{path}.{name}") for name, own in read_object(value, code, path).items()}


def _hits_max(value: Any, code: str, path: str) -> int:
    hits = read_count(value, code, path)
    if hits:
        return hits
    raise wrong_value(code, path, _ZERO)


def _localized(value: Any, code: str, path: str) -> list[dict[str, Any]]:
    return [_localized_entry(item, code, f"{path}[{at}]") for at, item in enumerate(read_array(value, code, path))]


def _localized_entry(item: Any, code: str, path: str) -> dict[str, Any]:
    fields = read_object(item, code, path)
    check_fields(fields, ("attributePatterns", "locales"), path, code)
    patterns = _patterns(fields, code, path)
    if "locales" not in fields:
        raise InvalidRequestError(code, f"Missing field `locales` inside `{path}`")
    locales = read_strings(fields["locales"], code, f"{path}.locales")
    known = [read_one_of(_LOCALES.split(), own, code, f"{path}.locales[{at}]") for at, own in enumerate(locales)]
    return {"attributePatterns": patterns, "locales": known}


_READERS: Mapping[str, _Reader] = {
    "displayedAttributes": _attributes,
    "searchableAttributes": _searchable,
    "filterableAttributes": _filterable,
    "sortableAttributes": _sorted_strings,
    "rankingRules": _ranking_rules,
    "stopWords": _sorted_strings,
    "nonSeparatorTokens": _sorted_strings,
    "separatorTokens": _sorted_strings,
    "dictionary": _sorted_strings,
    "synonyms": _synonyms,
    "distinctAttribute": read_string,
    "proximityPrecision": _one_of("byWord", "byAttribute"),
    "typoTolerance": _fields_of(
        {
            "enabled": read_boolean,
            "minWordSizeForTypos": _word_sizes,
            "disableOnWords": _sorted_strings,
            "disableOnAttributes": _sorted_strings,
            "disableOnNumbers": read_boolean,
        }
    ),
    "faceting": _fields_of({"maxValuesPerFacet": read_count, "sortFacetValuesBy": _facet_orders}),
    "pagination": _fields_of({"maxTotalHits": _hits_max}),
    "embedders": read_embedders,
    "searchCutoffMs": read_count,
    "localizedAttributes": _localized,
    "facetSearch": read_boolean,
    "prefixSearch": _one_of("indexingTime", "disabled"),
}
