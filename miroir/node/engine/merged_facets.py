"""Facets of several indexes added up, by the text of the values.

What always holds: each index has cut its own values before; the cut of the whole comes after the sum. Source:
``ranking.md`` section 8. Who calls it: federated searches.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def merge_facets(
    parts: Sequence[Mapping[str, Any]], orders: Mapping[str, str], values_max: int | None
) -> dict[str, Any]:
    """Return the fields of the answer.

    Args:
        parts: ``distribution`` and ``stats`` of each index.
        orders: ``alpha`` or ``count`` of each facet.
        values_max: values shown of each facet, None is all.
    """
    counts: dict[str, dict[str, int]] = {}
    stats: dict[str, dict[str, float]] = {}
    for part in parts:
        for name, values in part["distribution"].items():
            into = counts.setdefault(name, {})
            for value, count in values.items():
                into[value] = into.get(value, 0) + count
        for name, own in part["stats"].items():
            known = stats.setdefault(name, dict(own))
            known["min"] = min(known["min"], own["min"])
            known["max"] = max(known["max"], own["max"])
    shown = {name: dict(_ordered(values, orders[name])[:values_max]) for name, values in sorted(counts.items())}
    return {"facetDistribution": shown, "facetStats": stats}


def _ordered(values: Mapping[str, int], order: str) -> list[tuple[str, int]]:
    if order == "count":
        return sorted(values.items(), key=lambda item: -item[1])
    return sorted(values.items())
