"""Merge: what it costs to make one answer out of three.

``python -m bench.merge_cost [--json]``: generated answers of three nodes, hits of some 700 bytes with the details of
five ranking rules, ties among them; merged for the first 20, and for 20 at offset 980. Counted is processor time, of
the merge alone and of reading and writing JSON beside it. What deep pages cost as they are really fetched, in two
rounds, is ``bench.deep_pages``.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import orjson

from bench.setting import show
from query.merge import merge_answers
from query.rules import rules_of
from query.search import parse_search

NODES = 3
REPEATS = 200
TEXT = "x" * 300


def answer(node: int, hits: int) -> dict[str, Any]:
    """Return a node's answer; its hits rank in turns with those of the other nodes, some of them alike."""
    return {
        "hits": [_hit(node, place) for place in range(hits)],
        "query": "x",
        "processingTimeMs": 1,
        "limit": hits,
        "offset": 0,
        "estimatedTotalHits": 10 * hits,
    }


def cpu_ms(do: Callable[[], object], repeats: int) -> float:
    """Return the median processor time of doing it once."""
    took = []
    for _ in range(repeats):
        began = time.process_time()
        do()
        took.append((time.process_time() - began) * 1000)
    return median(took)


def measure() -> dict[str, object]:
    """Return all figures."""
    rules = rules_of("bench", "id", {})
    figures: dict[str, object] = {}
    for hits, offset, repeats in ((20, 0, REPEATS), (1000, 980, REPEATS // 10)):
        search = parse_search({"q": "x", "offset": offset, "limit": 20})
        answers = [answer(node, hits) for node in range(NODES)]
        texts = [orjson.dumps(each) for each in answers]
        merging = partial(merge_answers, search, answers, rules=rules)
        figures[f"merge_{NODES}x{hits}_ms"] = cpu_ms(merging, repeats)
        figures[f"json_{NODES}x{hits}_ms"] = cpu_ms(partial(_read_and_write, texts, merging().body), repeats)
    return figures


def main(arguments: Sequence[str]) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.merge_cost", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    show(measure(), as_json=parser.parse_args(arguments).json)


def _read_and_write(texts: Sequence[bytes], body: dict[str, Any]) -> None:
    for text in texts:
        orjson.loads(text)
    orjson.dumps(body)


def _hit(node: int, place: int) -> dict[str, Any]:
    score = 1.0 - (place // 4) / 1000
    return {
        "id": place * NODES + node,
        "title": f"film {place}",
        "overview": TEXT,
        "_miroir": "x",
        "_rankingScoreDetails": {
            "words": {"order": 0, "matchingWords": 2, "maxMatchingWords": 2, "score": 1.0},
            "typo": {"order": 1, "typoCount": place // 300, "maxTypoCount": 4, "score": 1.0},
            "proximity": {"order": 2, "score": score},
            "attribute": {"order": 3, "attributeRankingOrderScore": 1.0, "queryWordDistanceScore": 0.9, "score": 0.95},
            "exactness": {"order": 4, "matchType": "noExactMatch", "score": 0.33},
        },
    }


if __name__ == "__main__":
    main(sys.argv[1:])
