"""Quantiles of what was measured.

What always holds: nearest rank, of a copy; nothing has no quantile. Who calls it: the benchmarks. It must not know:
what was measured.
"""

from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie.

    Raises:
        ValueError: there are none: nothing was measured.
    """
    if not values:
        raise ValueError("a quantile of nothing")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
