"""How long a head of a node's list most likely holds the node's part of a window.

Which shard a document is in follows from the hash of its id, and how it ranks from its words; so of the best 20 hits a
node that answers for a third of the shards has about seven, and more than 14 in one search of a thousand. Asking for
those instead of all 20 spares nodes, network and merge a third, and a deep page more than half. Vespa does so, too
(``top-k-probability``, docs.vespa.ai), and lives with the hits that it misses; here the merge sees when a head ends too
early, and the node is asked again (``query/rounds.py``).

What always holds: it decides how much is asked first, never what is answered. Who calls it: the rounds of a search. It
must not know: nodes, answers.
"""

from collections.abc import Sequence
from math import ceil, sqrt

from query.rewrite import distinct_attribute, head_length
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchKind, SearchRequest

DEVIATIONS = 3
"""Standard deviations above the mean of the binomial distribution: exceeded about once in a thousand searches."""


def likely_length(search: SearchRequest, rules: IndexRules, parts: Sequence[Part]) -> int:
    """Return how many hits to ask each node for; ``head_length`` where fewer would not do.

    Args:
        search: the user's search.
        rules: the user's settings.
        parts: whom it is to be put to; the one with the most shards counts.
    """
    whole = head_length(search, rules)
    if not parts or not _spreads(search, rules):
        return whole
    sizes = [len(part.shards) for part in parts]
    share = max(sizes) / sum(sizes)
    return min(whole, ceil(whole * share + DEVIATIONS * sqrt(whole * share * (1 - share))) + 1)


def _spreads(search: SearchRequest, rules: IndexRules) -> bool:
    """Return whether hits rank by what is in them, and nothing but the window depends on how many are asked for.

    Hits that tie stand as each node came by them; ``distinct`` drops some, thresholds and ``distinct`` count what
    was looked at, and whoever compares vectors finds the better ones the more it looks for.
    """
    ranks = bool(search.q) or bool(search.sort) or any(":" in rule for rule in rules.ranking_rules)
    counts = search.ranking_score_threshold is not None or distinct_attribute(search, rules) is not None
    return ranks and not counts and search.kind is SearchKind.WORDS
