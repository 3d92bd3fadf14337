"""A search held against the user's settings, before any node is asked.

Nodes hold other settings than the user's (one more filterable attribute, the marker), and their messages would name it;
so what the settings forbid is refused here, in Meilisearch's words, in the order in which Meilisearch looks: embedder,
form of filter and sort, searched attributes, distinct, filtered attributes, sorted attributes, facets. The marker is to
users an attribute that does not exist, and is refused or ignored as such, also where ``*`` is filterable.

What always holds: a search that passes names the marker nowhere. A node that is newer than our grammar may know
conditions that we do not: where there is one, a filter of attributes that may be filtered by passes whatever its form,
and the nodes refuse it, quoting the user's own text; then the grammar is asked only where the filter is refused anyway,
for what to say. Who calls it: the search path, once a search. It knows no node.
"""

from collections.abc import Iterable, Sequence

from query.body import show
from query.filter_fields import FilterField, contains_place, filter_fields
from query.rewrite import is_marker, user_filter
from query.rules import IndexRules, covers
from query.search import SearchKind, SearchRequest
from schemas.errors import InvalidSearchError
from schemas.filter_grammar import parse_expression, parse_filter
from schemas.filter_tree import Box, Condition, Filter, Radius, Word, fields_last_first, print_filter

_NOTHING_FILTERABLE = "This index does not have configured filterable attributes."
_NOTHING_SORTABLE = "This index does not have configured sortable attributes."
_DOCUMENT_SORT = "invalid_document_sort"
_GEO_SORT_HINT = "Use the _geoPoint(latitude, longitude) built-in rule to sort on _geo field coordinates."


def validate(search: SearchRequest, rules: IndexRules) -> None:
    """Refuse what the user's settings do not allow.

    Raises:
        InvalidSearchError: with Meilisearch's code and message for the first fault.
    """
    if search.hybrid is not None and search.kind is not SearchKind.WORDS:
        check_vector(search.hybrid.embedder, search.vector, rules)
    refusal = _filter_refusal(search.filter, rules, prefix=f"Index `{rules.index}`: ")
    criteria = [_criterion(text) for text in search.sort or ()]
    _check_searched(search.attributes_to_search_on or (), rules)
    if search.distinct is not None:
        _check_distinct(search.distinct, rules)
    if refusal is not None:
        raise refusal
    _check_sorted(criteria, rules)
    _check_facets(search.facets or (), rules)


def check_vector(
    embedder: str, vector: Sequence[float] | None, rules: IndexRules, code: str = "invalid_search_embedder"
) -> None:
    """Refuse an embedder that is not there, or a vector of another length than its own.

    Raises:
        InvalidSearchError: with Meilisearch's code and message.
    """
    dimensions = rules.embedders.get(embedder)
    if dimensions is None:
        raise InvalidSearchError(code, f"Cannot find embedder with name `{embedder}`.")
    if vector is not None and len(vector) != dimensions:
        message = f"Invalid vector dimensions: expected: `{dimensions}`, found: `{len(vector)}`."
        raise InvalidSearchError("invalid_vector_dimensions", message)


def check_filter(condition: object, rules: IndexRules, *, code: str = "invalid_search_filter") -> None:
    """Refuse a filter of a route that quotes the user's own text, as all but searches do.

    Args:
        condition: the filter as it was given.
        rules: the user's settings.
        code: the error code, which differs between routes.

    Raises:
        InvalidSearchError: it is none, or asks about an attribute that is not filterable.
    """
    refusal = _filter_refusal(condition, rules, code=code, reprints=False)
    if refusal is not None:
        raise refusal


def _filter_refusal(
    condition: object,
    rules: IndexRules,
    *,
    code: str = "invalid_search_filter",
    prefix: str = "",
    reprints: bool = True,
) -> InvalidSearchError | None:
    """Return why a filter asks about what it must not: Meilisearch reports the last such attribute.

    Args:
        condition: the filter as it was given.
        rules: the user's settings.
        code: the error code, which differs between routes.
        prefix: what the message begins with; searches name the index there.
        reprints: whether the filter is shown as Meilisearch prints it again; other routes than searches quote the user.

    Raises:
        InvalidSearchError: it is no filter, or needs a feature that is off.
    """
    texts = filter_texts(condition, code)
    if not texts:
        return None
    tree = _tree(condition, code) if rules.knows_filters else None
    if tree is not None and all(_is_allowed(leaf, rules) for leaf in fields_last_first(tree)):
        return None
    unknown = _last_unfilterable(texts, rules)
    if unknown is None and not rules.knows_filters and all(contains_place(text) is None for text in texts):
        return None
    tree = tree or _tree(condition, code)
    _check_features(texts)
    if unknown is None:
        return None
    text, field = unknown
    known = ", ".join(f"`{pattern}`" for pattern in sorted(rules.filterable))
    available = f"Available filterable attribute patterns are: {known}." if known else _NOTHING_FILTERABLE
    shown = "_geo/_geojson" if field.name == "_geo" else field.name
    place = _place(field, text, tree, rules, reprints=reprints)
    return InvalidSearchError(code, f"{prefix}Attribute `{shown}` is not filterable. {available}\n{place}")


def filter_texts(condition: object, code: str = "invalid_search_filter") -> list[str]:
    """Return the expressions of a filter given as text, as a list, or as a list of lists.

    Raises:
        InvalidSearchError: it is anything else.
    """
    if user_filter(condition) is None:
        return []
    if isinstance(condition, str):
        return [condition]
    if not isinstance(condition, list):
        raise _no_filter(condition, "String, Array", code)
    texts: list[str] = []
    for part in condition:
        if not isinstance(part, (str, list)):
            raise _no_filter(part, "String, [String]", code)
        for text in part if isinstance(part, list) else (part,):
            if not isinstance(text, str):
                raise _no_filter(text, "String", code)
            texts.append(text)
    return texts


def _last_unfilterable(texts: Sequence[str], rules: IndexRules) -> tuple[str, FilterField] | None:
    for text in reversed(texts):
        for field in reversed(filter_fields(text)):
            if not is_filterable(field.name, rules):
                return text, field
    return None


def _tree(condition: object, code: str) -> Filter | None:
    """Return the filter as a tree; None where only nodes know a condition of it.

    Raises:
        InvalidSearchError: it is no filter: that is told before any of its attributes.
    """
    try:
        return parse_filter(condition, code)[0]
    except InvalidSearchError as error:
        if error.code != code:
            return None
        raise


def _place(field: FilterField, text: str, tree: Filter | None, rules: IndexRules, *, reprints: bool) -> str:
    """Return where the attribute stands, and the filter: printed again, every word in quotes, or as it was written."""
    words = (word for word in map(_asked, fields_last_first(tree) if tree is not None else ()) if word is not None)
    word = next((word for word, name in words if not is_filterable(name, rules)), None)
    if word is None or tree is None:
        return f"{field.start + 1}:{field.end + 1} {text}"
    if not reprints:
        return f"{word.start + 1}:{word.end + 1} {text}"
    printed = print_filter(tree)
    start, end = printed.places[word.start, word.end, word.text]
    return f"{start + 1}:{end + 1} {printed.text}"


def _asked(leaf: Filter) -> tuple[Word, str] | None:
    """Return the word that a fault of a condition's attribute points at, and the attribute."""
    match leaf:
        case Condition(field):
            return field, field.text
        case Radius(first) | Box(first):
            return first, "_geo"
        case _:
            return None


def _is_allowed(leaf: Filter, rules: IndexRules) -> bool:
    """Return whether a condition needs no feature that is off, and its attribute may be filtered by."""
    asked = _asked(leaf)
    is_off = isinstance(leaf, Condition) and leaf.operator == "CONTAINS"
    return asked is not None and not is_off and is_filterable(asked[1], rules)


def _check_features(texts: Sequence[str]) -> None:
    """Refuse what only an experimental feature of Meilisearch's takes."""
    for text in texts:
        if "CONTAINS" in text and (place := _contains_place(text)) is not None:
            message = "Using `CONTAINS` in a filter requires enabling the `contains filter` experimental feature."
            more = "See https://github.com/orgs/meilisearch/discussions/763"
            shown = f"{place[0] + 1}:{place[1] + 1} {text}"
            raise InvalidSearchError("feature_not_enabled", f"{message} {more}\n{shown}")


def _contains_place(text: str) -> tuple[int, int] | None:
    """Return where ``CONTAINS`` stands as an operator; a guess where only nodes know some condition."""
    try:
        tree = parse_expression(text)
    except InvalidSearchError:
        return contains_place(text)
    leaves = fields_last_first(tree) if tree is not None else ()
    places = [leaf.at for leaf in leaves if isinstance(leaf, Condition) and leaf.operator == "CONTAINS"]
    return min(((place.start, place.end) for place in places), default=None)


def check_document_sort(sort: Sequence[str], rules: IndexRules) -> None:
    """Refuse a sort of listed documents by an attribute that is not sortable.

    Raises:
        InvalidSearchError: with the code of documents, which names no index and hides no attribute.
    """
    try:
        attributes = [_criterion(text) for text in sort]
    except InvalidSearchError as error:
        raise InvalidSearchError(_DOCUMENT_SORT, str(error)) from None
    for attribute in attributes:
        if not is_marker(attribute) and covers(rules.sortable, attribute):
            continue
        listed = ", ".join(sorted(rules.sortable))
        known = f"Available sortable attributes are: `{listed}`." if listed else _NOTHING_SORTABLE
        raise InvalidSearchError(_DOCUMENT_SORT, f"Attribute `{attribute}` is not sortable. {known}")


def named_attributes(names: Sequence[str], rules: IndexRules) -> list[str]:
    """Return the names that a message may tell, and a word for the rest: those that ``displayedAttributes`` lists.

    As in Meilisearch a name is compared whole: what is nested in a displayed attribute is not told.
    """
    shown = [name for name in names if rules.shows_everything or name in rules.displayed]
    return shown if len(shown) == len(names) else [*shown, "<..hidden-attributes>"]


def is_filterable(attribute: str, rules: IndexRules) -> bool:
    """Return whether a user may filter or take distinct values by the attribute."""
    return not is_marker(attribute) and rules.is_filterable(attribute)


def _no_filter(value: object, expected: str, code: str) -> InvalidSearchError:
    message = f"Invalid syntax for the filter parameter: `expected {expected}, found: {show(value)}`."
    return InvalidSearchError(code, message)


def _criterion(text: str) -> str:
    """Return the attribute of a sort criterion; ``_geo`` for a point."""
    name, _, direction = text.rpartition(":")
    if direction not in ("asc", "desc"):
        expected = "expected expression ending by `:asc` or `:desc`"
        message = f"Invalid syntax for the sort parameter: {expected}, found `{text}`."
        raise InvalidSearchError("invalid_search_sort", message)
    if name.startswith("_geoPoint("):
        return "_geo"
    for reserved in ("_geoRadius", "_geoBoundingBox", "_geoDistance", "_geoPoint"):
        if name.startswith(reserved):
            raise _reserved_sort(reserved)
    if name == "_geo":
        raise _reserved_sort(name)
    return name


def _reserved_sort(name: str) -> InvalidSearchError:
    message = f"`{name}` is a reserved keyword and thus can't be used as a sort expression. {_GEO_SORT_HINT}"
    return InvalidSearchError("invalid_search_sort", message)


def _check_sorted(attributes: Sequence[str], rules: IndexRules) -> None:
    for attribute in attributes:
        if not is_marker(attribute) and covers(rules.sortable, attribute):
            continue
        available = _available("sortable attributes", rules.sortable, rules)
        message = f"Index `{rules.index}`: Attribute `{attribute}` is not sortable. {available}"
        raise InvalidSearchError("invalid_search_sort", message)
    if attributes and "sort" not in rules.ranking_rules:
        message = (
            f"Index `{rules.index}`: You must specify where `sort` is listed in the rankingRules setting"
            " to use the sort parameter at search time."
        )
        raise InvalidSearchError("invalid_search_sort", message)


def _check_searched(attributes: Sequence[str], rules: IndexRules) -> None:
    """Refuse an attribute that is not searchable; where all are, an unknown one is no error and finds nothing."""
    if "*" in rules.searchable:
        return
    for attribute in attributes:
        # A pattern such as ``title*`` is known to the nodes alone.
        if "*" in attribute or covers(rules.searchable, attribute):
            continue
        available = _available("searchable attributes", rules.searchable, rules)
        message = f"Index `{rules.index}`: Attribute `{attribute}` is not searchable. {available}"
        raise InvalidSearchError("invalid_search_attributes_to_search_on", message)


def _check_distinct(attribute: str, rules: IndexRules) -> None:
    if is_filterable(attribute, rules):
        return
    available = _available("filterable attributes patterns", rules.filterable, rules)
    if (rule := None if is_marker(attribute) else rules.entry_of(attribute)) is not None:
        available = (
            f"Note: this attribute matches rule #{rule} in filterableAttributes, but this rule does not enable"
            f" filtering.\nHint: enable filtering in rule #{rule} by adding appropriate filter features.\nHint: prepend"
            f" another rule matching {attribute} with filter features before rule #{rule}"
        )
    reason = "is not filterable and thus, cannot be used as distinct attribute."
    message = f"Index `{rules.index}`: Attribute `{attribute}` {reason} {available}"
    raise InvalidSearchError("invalid_search_distinct", message)


def _check_facets(facets: Iterable[str], rules: IndexRules) -> None:
    unknown = next((facet for facet in facets if facet != "*" and not _is_facet(facet, rules)), None)
    if unknown is None:
        return
    # This one message of Meilisearch's hides no attribute.
    available = _available("filterable attributes patterns", rules.filterable, rules.opened())
    message = f"Invalid facet distribution: Pattern `{unknown}` is not filterable. {available}"
    if (rule := None if is_marker(unknown) else rules.entry_of(unknown)) is not None:
        message = (
            f"Invalid facet distribution: Attribute `{unknown}` matched rule #{rule} in filterableAttributes, but this"
            f" rule does not enable filtering.\nHint: enable filtering in rule #{rule} by modifying the features.filter"
            f" object\nHint: prepend another rule matching `{unknown}` with appropriate filter features before rule"
            f" #{rule}"
        )
    raise InvalidSearchError("invalid_search_facets", message)


def _is_facet(attribute: str, rules: IndexRules) -> bool:
    return not is_marker(attribute) and rules.is_facet(attribute)


def _available(kind: str, names: Sequence[str], rules: IndexRules) -> str:
    """Return the sentence about what would have been allowed; attributes that are not displayed stay hidden."""
    if not names:
        return f"This index does not have configured {kind.removesuffix(' patterns')}."
    return f"Available {kind} are: `{', '.join(named_attributes(sorted(names), rules))}`."
