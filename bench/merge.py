"""Recorded shard answers, merged, against the recorded answer of a single node.

``python -m bench.merge [DIRECTORY] [--json]``: for every case of every recording the four shards' answers are merged
and compared with what one node with all documents answered: the list of ranking keys over the same window (documents
whose keys are equal may stand in either order), totals, page fields, facets in their order, statistics. Accepted and
left out of the comparison: totals and facets under ``rankingScoreThreshold`` and ``distinct``, which depend on how far
a node happened to look. Cases with ``matchingStrategy: frequency`` are counted apart.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from query.distinct import values_at
from query.merge import merge_answers
from query.ranking import RankingKeys
from query.rewrite import distinct_attribute
from query.rules import IndexRules, rules_of
from query.search import SearchRequest, parse_search

DIRECTORY_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
PRIMARY_KEY = "id"

_NUMBERS = ("estimatedTotalHits", "totalHits", "totalPages", "page", "hitsPerPage", "limit", "offset")
_FACETS = ("facetDistribution", "facetStats")


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded search: the question, the single node's answer and the shards' answers."""

    name: str
    search: SearchRequest
    rules: IndexRules
    response: Mapping[str, Any]
    single: Sequence[tuple[Any, float, Mapping[str, Any]]]
    shard_responses: Sequence[Mapping[str, Any]]


def read_cases(directory: Path) -> Iterator[Case]:
    """Yield the cases of every recording in the directory."""
    for path in sorted(directory.glob("*.json.gz")):
        recording = json.loads(gzip.decompress(path.read_bytes()))
        if "cases" not in recording:
            continue
        rules = rules_of(path.name.partition(".")[0], PRIMARY_KEY, recording["settings"])
        values = _DistinctSource(directory.parent, recording["documents"])
        for number, case in enumerate(recording["cases"]):
            search = parse_search(case["request"])
            attribute = distinct_attribute(search, rules)
            shards = case["shard_responses"]
            yield Case(
                name=f"{rules.index}[{number}] {json.dumps(case['request'], ensure_ascii=False)}",
                search=search,
                rules=rules,
                response=case["response"],
                single=case["single"],
                shard_responses=shards if attribute is None else values.added_to(shards, attribute),
            )


def differences(case: Case) -> list[str]:
    """Return in which respects the merged answer differs from the single node's; none means equal."""
    search = replace(case.search, show_ranking_score_details=True, attributes_to_retrieve=None)
    rules = replace(case.rules, displayed=("*",))  # sort values of hidden attributes are compared too
    body = merge_answers(search, case.shard_responses, rules=rules, processing_time_ms=0).body
    found = [] if _keys(body["hits"]) == _wanted_keys(case) else ["order"]
    if not found and not _are_of_the_list(body["hits"], case):
        found.append("hits")
    if case.search.ranking_score_threshold is not None or distinct_attribute(case.search, case.rules) is not None:
        return found
    found += [name for name in _NUMBERS if body.get(name) != case.response.get(name)]
    # As bytes: the order of facets and of their values counts.
    found += [name for name in _FACETS if orjson.dumps(body.get(name)) != orjson.dumps(case.response.get(name))]
    return found


def measure(directory: Path) -> dict[str, Any]:
    """Return the counts of equal cases and the names of those that differ."""
    counts = dict.fromkeys(("cases", "equal", "no_text_cases", "no_text_equal", "frequency_cases"), 0)
    differing: list[dict[str, Any]] = []
    frequency_differing: list[dict[str, Any]] = []
    merge_s = 0.0
    for case in read_cases(directory):
        started_s = perf_counter()
        found = differences(case)
        merge_s += perf_counter() - started_s
        entry = {"case": case.name, "differs": found}
        if case.search.matching_strategy == "frequency":
            counts["frequency_cases"] += 1
            frequency_differing += [entry] if found else []
            continue
        without_text = not (case.search.q or "").strip()
        counts["cases"] += 1
        counts["equal"] += not found
        counts["no_text_cases"] += without_text
        counts["no_text_equal"] += without_text and not found
        differing += [entry] if found else []
    return {**counts, "differing": differing, "frequency_differing": frequency_differing, "seconds": merge_s}


def main(arguments: Sequence[str]) -> None:
    """Print how many recorded cases merge to the single node's answer."""
    parser = argparse.ArgumentParser(prog="python -m bench.merge", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=DIRECTORY_DEFAULT)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    result = measure(options.directory)
    if not result["cases"] + result["frequency_cases"]:
        parser.error(f"{options.directory}: expected recordings (*.json.gz), found none")
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return
    print(f"{result['equal']} of {result['cases']} cases equal the single node's answer")
    print(f"{result['no_text_equal']} of {result['no_text_cases']} without text")
    apart = result["frequency_cases"]
    print(f"{apart - len(result['frequency_differing'])} of {apart} with matchingStrategy frequency, counted apart")
    for entry in result["differing"]:
        print(f"differs in {', '.join(entry['differs'])}: {entry['case']}")


def _keys(hits: Sequence[Mapping[str, Any]]) -> list[Any]:
    keys = RankingKeys()
    return [keys.key_of(hit["_rankingScoreDetails"]) for hit in hits]


def _are_of_the_list(hits: Sequence[Mapping[str, Any]], case: Case) -> bool:
    """Return whether each hit stands once, and where the single node's list has it, or one of the same rank."""
    keys = RankingKeys()
    known = {(keys.key_of(details), str(identity)) for identity, _, details in case.single}
    ids = [str(hit[PRIMARY_KEY]) for hit in hits]
    are_known = all(pair in known for pair in zip(_keys(hits), ids, strict=True))
    # Which of a tie ``distinct`` keeps is the tie's order.
    return len(set(ids)) == len(ids) and (are_known or distinct_attribute(case.search, case.rules) is not None)


def _wanted_keys(case: Case) -> list[Any]:
    window = case.search.window(case.rules.hits_max)
    keys = RankingKeys()
    return [keys.key_of(details) for _, _, details in case.single[window.offset : window.offset + window.limit]]


class _DistinctSource:
    """The recorded shard hits hold ids only; their distinct values come from the documents they were made of."""

    def __init__(self, root: Path, description: str) -> None:
        self._root = root
        self._description = description
        self._documents: dict[Any, Mapping[str, Any]] | None = None

    def added_to(self, answers: Sequence[Mapping[str, Any]], attribute: str) -> list[Mapping[str, Any]]:
        """Return the answers with the distinct attribute in every hit."""
        documents = self._read()
        return [
            {
                **answer,
                "hits": [
                    {**hit, attribute: list(values_at(documents[hit[PRIMARY_KEY]], attribute))}
                    for hit in answer["hits"]
                ],
            }
            for answer in answers
        ]

    def _read(self) -> dict[Any, Mapping[str, Any]]:
        if self._documents is None:
            path = self._root / self._description.split(",")[0]
            data = path.read_bytes()
            lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
            step = 6 if "every 6th" in self._description else 1
            parsed = (orjson.loads(line) for line in islice(lines, 0, None, step))
            self._documents = {document[PRIMARY_KEY]: document for document in parsed}
        return self._documents


if __name__ == "__main__":
    main(sys.argv[1:])
