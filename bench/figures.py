"""Quantiles of what was measured.

What always holds: nearest rank, of a copy. Who calls it: the benchmarks. It must not know: what was measured.
"""

from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie; of none, 0."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
