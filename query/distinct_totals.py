"""Exact totals where ``distinct`` keeps one document of each value: the different values of all nodes, counted.

A node counts a value once, but several nodes may have it; so their counts added up are too many. Where each document
has one value at most, the whole is the different values of all nodes and the documents without one. What always holds:
a total is given only where every node's values fit its own count of documents that have one. Who calls it: the rounds
of a search whose answer has pages. It must not know: how answers are gathered.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from query.facets import facet_form
from query.merge import total_of
from query.rewrite import distinct_attribute, rewrite_keys
from query.rules import IndexRules
from query.search import SearchRequest
from schemas.ids import ShardId

Answer = Mapping[str, Any]


def is_total_countable(search: SearchRequest, rules: IndexRules, answers: Sequence[Answer]) -> bool:
    """Return whether nodes can be asked for all values: they may be filtered by, and no list of them is cut."""
    name = distinct_attribute(search, rules)
    # Of an entry with patterns not every operator may be used.
    if name is None or name not in rules.filterable or name in rules.filterable_patterns:
        return False
    return max(map(total_of, answers), default=0) < rules.facet_values_node


def values_body(search: SearchRequest, rules: IndexRules, shards: Sequence[ShardId]) -> dict[str, Any]:
    """Return what a node is asked: no hits, the values of the attribute, of documents that have one."""
    name = distinct_attribute(search, rules) or ""
    body = rewrite_keys(search, rules=rules, shards=shards, details=False)
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    has_value = f'"{quoted}" EXISTS AND "{quoted}" IS NOT NULL AND "{quoted}" IS NOT EMPTY'
    body |= {"page": 1, "hitsPerPage": 0, "facets": [name], "filter": [*body["filter"], has_value]}
    body.pop("showRankingScore")
    return body


def total_of_values(
    search: SearchRequest, rules: IndexRules, answers: Sequence[Answer], valued: Sequence[Answer]
) -> int | None:
    """Return how many documents ``distinct`` keeps in all, or None where values do not tell.

    Args:
        search: the user's search.
        rules: the user's settings.
        answers: one of each node to the search itself.
        valued: of the same nodes, to ``values_body``.
    """
    name = distinct_attribute(search, rules) or ""
    values: set[str] = set()
    without = 0
    for answer, own in zip(answers, valued, strict=True):
        counts = own.get("facetDistribution", {}).get(name, {})
        forms = set(map(facet_form, counts))
        # Lists of values: a document has several, or the values of one are among those of another.
        if len(forms) != total_of(own) or any(count != 1 for count in counts.values()):
            return None
        values |= forms
        without += total_of(answer) - total_of(own)
    return len(values) + without if without >= 0 else None
