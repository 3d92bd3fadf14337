"""Counting a few facet values on nodes that did not list them, because their own list was cut.

A node is asked for the facets of the documents that have one of the wanted values: then these values' counts are exact
whatever else is in the list. What always holds: no value is counted twice on a node. Who calls it: the rounds of a
search, where the merge of facets leaves values in doubt. It must not know: how answers are gathered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from query.facets import facet_form
from query.rewrite import rewrite_keys
from query.rules import IndexRules
from query.search import SearchRequest
from schemas.ids import ShardId

VALUES_MAX = 300
"""Values counted again in one search: three times what an answer shows by default, a filter of some 10 KB."""

Counts = Mapping[str, Mapping[str, int]]


def is_countable(search: SearchRequest, rules: IndexRules, doubtful: Mapping[str, Sequence[str]]) -> bool:
    """Return whether counting again is worth it, and tells: what a distinct or a threshold leaves over it does not."""
    if search.distinct is not None or rules.distinct is not None or search.ranking_score_threshold is not None:
        return False
    return 0 < sum(map(len, doubtful.values())) <= VALUES_MAX


def counts_body(
    search: SearchRequest, rules: IndexRules, shards: Sequence[ShardId], doubtful: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return what a node is asked: no hits, the doubtful facets, of documents that have a doubtful value."""
    body = rewrite_keys(search, rules=rules, shards=shards, details=False)
    conditions = [f"{_quoted(name)} IN [{', '.join(map(_quoted, values))}]" for name, values in doubtful.items()]
    body["filter"] = [*body["filter"], conditions]
    body["facets"] = list(doubtful)
    for name in ("page", "hitsPerPage", "showRankingScore"):
        body.pop(name, None)
    return {**body, "offset": 0, "limit": 0}


def added_counts(
    listed: Counts, counted: Counts, doubtful: Mapping[str, Sequence[str]], rules: IndexRules
) -> dict[str, dict[str, int]]:
    """Return the counts of the doubtful values that a node had not listed; a value it does not have counts 0.

    Args:
        listed: the node's ``facetDistribution`` to the search itself.
        counted: its distribution to ``counts_body``.
        doubtful: the values wanted, by facet.
        rules: what the nodes cut at.
    """
    added: dict[str, dict[str, int]] = {}
    for name, values in doubtful.items():
        if name not in listed:
            continue
        known = _forms(listed[name])
        found = counted.get(name, {})
        counts: dict[str, int] = {}
        for text, count in found.items():
            form = facet_form(text)
            counts[form] = counts.get(form, 0) + count
        # A list that is full again may lack a value for that reason.
        whole = len(found) < rules.facet_values_node
        added[name] = {
            value: counts.get(form, 0)
            for value in values
            if (form := facet_form(value)) not in known and (whole or form in counts)
        }
    return added


def _forms(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(map(facet_form, texts))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
