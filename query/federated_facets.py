"""The facets of several indexes added up, as a federated search asks with ``mergeFacets``.

What always holds: values of one facet stand in one order. Who calls it: federated searches. It must not know: nodes,
hits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from query.multi_search import Federation
from query.rules import IndexRules
from schemas.errors import InvalidSearchError

_ORDERS = {"alpha": "alphabetically", "count": "by count"}


def check_facet_orders(federation: Federation, indexes: Sequence[tuple[IndexRules, int | None]]) -> None:
    """Refuse to add up facets whose values stand in one order in one index, and in another in another.

    Args:
        federation: the user's.
        indexes: the rules of each index whose facets are counted, and the first query that is about it, if any.

    Raises:
        InvalidSearchError: with Meilisearch's code and message for the first such facet.
    """
    if not federation.merges_facets:
        return
    orders: dict[str, tuple[str, str]] = {}
    for rules, position in indexes:
        for name in federation.facets.get(rules.index) or ():
            order = rules.facet_order(name)
            former, known = orders.setdefault(name, (rules.index, order))
            if known == order:
                continue
            place = f"Inside `.federation.facetsByIndex.{rules.index}`: "
            note = "" if position is None else f"\n - Note: index `{rules.index}` used in `.queries[{position}]`"
            message = (
                f"Inconsistent order for values in facet `{name}`: index `{former}` orders {_ORDERS[known]}, but index"
                f" `{rules.index}` orders {_ORDERS[order]}.\n - Hint: Remove `federation.mergeFacets` or change"
                " `faceting.sortFacetValuesBy` to be consistent in settings."
            )
            raise InvalidSearchError("invalid_multi_search_facet_order", f"{place}{message}{note}")


def add_facets(
    by_index: Mapping[str, Mapping[str, Any]], orders: Mapping[str, str], values_max: int | None
) -> dict[str, Any]:
    """Return the facets of all indexes added up, by the text of the values.

    Args:
        by_index: what each index counts: ``distribution`` and ``stats``.
        orders: ``alpha`` or ``count`` by facet, of every one that is counted.
        values_max: values of each facet; None is all.
    """
    counts: dict[str, dict[str, int]] = {}
    stats: dict[str, dict[str, float]] = {}
    for part in by_index.values():
        for name, values in part["distribution"].items():
            own = counts.setdefault(name, {})
            for text, count in values.items():
                own[text] = own.get(text, 0) + count
        for name, found in part["stats"].items():
            known = stats.setdefault(name, dict(found))
            stats[name] = {"min": min(known["min"], found["min"]), "max": max(known["max"], found["max"])}
    shown = {name: _ordered(counts[name], orders[name])[:values_max] for name in sorted(counts)}
    return {
        "facetDistribution": {name: dict(values) for name, values in shown.items()},
        "facetStats": {name: stats[name] for name in sorted(stats)},
    }


def _ordered(values: Mapping[str, int], order: str) -> list[tuple[str, int]]:
    if order == "count":
        return sorted(values.items(), key=lambda entry: -entry[1])
    return sorted(values.items())
