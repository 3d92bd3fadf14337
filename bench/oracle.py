"""Sharded answers against one embedded node with all documents.

``python -m bench.oracle [--searches N] [--seed N] [--json]``: films, cities and a dictionary, each once on one embedded
node and once in 12 shards on three nodes, two copies each; searches of every kind put to both, decided round by round
as the query service does. The same over HTTP, with real processes: ``bench.oracle_stack``. An answer is equal when the
list of ranking keys over the window, totals, page fields, facets in their order and statistics are. Documents whose
keys are equal may stand in either order, and those of a tie that lies whole within the window must be the same; but
which of a tie ``distinct`` keeps is the tie's order. Left out, as in ``bench.merge``: totals and facets under
``rankingScoreThreshold`` and ``distinct``, but not the total of a page under ``distinct`` that is not said to be
inexact. ``matchingStrategy: frequency`` counts apart, and so do scores.
"""

import argparse
import gzip
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from bench.oracle_searches import build_searches
from bench.windows import is_beginning, is_whole
from query.ranking import RankingKeys
from query.rewrite import distinct_attribute
from query.search import parse_search
from tests.query.embedded import EmbeddedIndex, ShardedIndex

DIRECTORY_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
NAMES = ("movies", "movies_tuned", "cities", "wordnet")
SEARCHES_DEFAULT = 400

_NUMBERS = ("estimatedTotalHits", "totalHits", "totalPages", "page", "hitsPerPage", "limit", "offset")
_FACETS = ("facetDistribution", "facetStats")


@dataclass(slots=True)
class Pair:
    """One index, whole and in shards."""

    name: str
    single: EmbeddedIndex
    sharded: ShardedIndex
    documents: Sequence[Mapping[str, Any]]
    recorded: Sequence[Mapping[str, Any]]


def load_pair(name: str, directory: Path = DIRECTORY_DEFAULT, *, step: int = 1) -> Pair:
    """Return a recorded index with every ``step``-th of its documents."""
    settings, documents = load_documents(name, directory, step=step)
    recorded = recorded_searches(name, directory)
    single, sharded = EmbeddedIndex(name, settings, documents), ShardedIndex(name, settings, documents)
    return Pair(name, single, sharded, documents, recorded)


def load_documents(
    name: str, directory: Path = DIRECTORY_DEFAULT, *, step: int = 1
) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """Return settings and every ``step``-th document of a recorded index."""
    recording = _recording(name, directory)
    lines = _document_lines(directory.parent, recording["documents"])[::step]
    # Everything displayed: sort values of hidden attributes are compared too.
    return {**recording["settings"], "displayedAttributes": ["*"]}, [orjson.loads(line) for line in lines]


def recorded_searches(name: str, directory: Path = DIRECTORY_DEFAULT) -> Sequence[Mapping[str, Any]]:
    """Return the searches of a recorded index."""
    return [case["request"] for case in _recording(name, directory)["cases"]]


def share_of(searches: int, number: int, of: int) -> int:
    """Return how many of the searches one index gets of so many."""
    return searches // of + (number < searches % of)


def differences(pair: Pair, body: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return in which respects the sharded answer differs from the single node's, and how many hits that one has."""
    asked = with_scores(body)
    wanted, merged = pair.single.search(asked), pair.sharded.merged(asked)
    distinct = distinct_attribute(parse_search(dict(body)), pair.sharded.rules) is not None
    found = compare(body, merged.body, wanted, distinct=distinct, inexact_total=merged.inexact_total)
    return found, len(wanted["hits"])


def with_scores(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the search whose answer can be compared: with what its hits are ranked by."""
    return {**body, "showRankingScoreDetails": True, "showRankingScore": True}


def compare(
    body: Mapping[str, Any], got: Mapping[str, Any], wanted: Mapping[str, Any], *, distinct: bool, inexact_total: bool
) -> list[str]:
    """Return in which respects two answers differ.

    Args:
        body: the search.
        got: the sharded answer.
        wanted: the single node's.
        distinct: whether the search or the index drops duplicates.
        inexact_total: whether the sharded answer calls its total an estimate.
    """
    search = parse_search(dict(body))
    found = _differing_hits(
        got["hits"], wanted["hits"], begins=is_beginning(wanted), whole=is_whole(wanted), keys_only=distinct
    )
    if [hit["_rankingScore"] for hit in got["hits"]] != [hit["_rankingScore"] for hit in wanted["hits"]]:
        found.append("scores")
    if search.ranking_score_threshold is not None:
        return found
    if not distinct or (search.is_paged and not inexact_total):
        found += [name for name in _NUMBERS if got.get(name) != wanted.get(name)]
    if not distinct:
        # As bytes: the order of facets and of their values counts.
        found += [name for name in _FACETS if orjson.dumps(got.get(name)) != orjson.dumps(wanted.get(name))]
    return found


class Tally:
    """Counts of equal answers, and a list of those that differ."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(
            (
                "searches",
                "with_hits",
                "equal",
                "no_text",
                "no_text_equal",
                "text",
                "text_equal",
                "frequency",
                "scores_equal",
            ),
            0,
        )
        self._differing: list[dict[str, Any]] = []
        self._frequency_differing: list[dict[str, Any]] = []

    def add(self, name: str, body: Mapping[str, Any], differs: Sequence[str], *, hits: int) -> None:
        """Count one search of an index, in which respects its answers differed, and how many hits there were."""
        counts, found = self._counts, [respect for respect in differs if respect != "scores"]
        entry = {"index": name, "search": body, "differs": found}
        if body.get("matchingStrategy") == "frequency":
            counts["frequency"] += 1
            self._frequency_differing += [entry] if found else []
            return
        kind = "text" if (body.get("q") or "").strip() else "no_text"
        counts["searches"] += 1
        counts["with_hits"] += hits > 0
        counts[kind] += 1
        counts["scores_equal"] += "scores" not in differs
        counts["equal"] += not found
        counts[f"{kind}_equal"] += not found
        self._differing += [entry] if found else []

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**self._counts, "differing": self._differing, "frequency_differing": self._frequency_differing}


def measure(pairs: Sequence[Pair], searches: int, seed: int) -> dict[str, Any]:
    """Return the counts of equal answers and a list of those that differ."""
    tally = Tally()
    for pair, body in _searches(pairs, searches, seed):
        found, hits = differences(pair, body)
        tally.add(pair.name, body, found, hits=hits)
    rounds: dict[str, int] = {}
    for pair in pairs:
        for purpose, count in pair.sharded.asked.items():
            rounds[purpose] = rounds.get(purpose, 0) + count
    return {**tally.to_json(), "rounds": rounds}


def main(arguments: Sequence[str]) -> None:
    """Print how many sharded answers equal the single node's."""
    parser = argparse.ArgumentParser(prog="python -m bench.oracle", description=__doc__)
    parser.add_argument("--searches", type=int, default=SEARCHES_DEFAULT, help="besides the recorded ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=int, default=1, help="take every STEP-th document only")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    pairs = [load_pair(name, step=options.step) for name in NAMES]
    result = measure(pairs, options.searches, options.seed)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return
    show_tally(result)
    print(f"rounds: {result['rounds']}")


def show_tally(result: Mapping[str, Any]) -> None:
    """Print what a tally counted."""
    print(f"{result['equal']} of {result['searches']} answers equal the single node's, {result['with_hits']} with hits")
    print(f"{result['no_text_equal']} of {result['no_text']} without text")
    print(f"{result['text_equal']} of {result['text']} with text")
    print(f"{result['scores_equal']} of {result['searches']} with the same scores")
    apart = result["frequency"]
    print(f"{apart - len(result['frequency_differing'])} of {apart} with matchingStrategy frequency, counted apart")
    for entry in result["differing"]:
        asked = json.dumps(entry["search"], ensure_ascii=False)
        print(f"differs in {', '.join(entry['differs'])}: {entry['index']} {asked}")


@cache
def _recording(name: str, directory: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress((directory / f"{name}.json.gz").read_bytes()))
    return found


def _document_lines(root: Path, description: str) -> list[bytes]:
    """Return the lines that a recording's ``path, every 6th line …`` means."""
    path = root / description.partition(",")[0]
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
    return lines[:: 6 if "every 6th" in description else 1]


def _searches(pairs: Sequence[Pair], searches: int, seed: int) -> Iterator[tuple[Pair, Mapping[str, Any]]]:
    """Yield the recorded searches, and as many more of every kind as are wanted, spread over the indexes."""
    generator = random.Random(seed)
    for number, pair in enumerate(pairs):
        count = share_of(searches, number, len(pairs))
        for body in (*pair.recorded, *build_searches(pair.name, pair.documents, count, generator)):
            yield pair, body


def _differing_hits(
    got: Sequence[Mapping[str, Any]],
    wanted: Sequence[Mapping[str, Any]],
    *,
    begins: bool,
    whole: bool,
    keys_only: bool,
) -> list[str]:
    keys = RankingKeys()
    ours, theirs = ([keys.key_of(hit["_rankingScoreDetails"]) for hit in hits] for hits in (got, wanted))
    if ours != theirs:
        return ["order"]
    if keys_only:
        return []
    ties = [[number for number, _ in tie] for _, tie in groupby(enumerate(ours), key=lambda entry: entry[1])]
    # The first and the last may go on outside of the window, unless it is the list's own beginning or end.
    for tie in ties[0 if begins else 1 : len(ties) if whole else -1]:
        if {_shown(got[number]) for number in tie} != {_shown(wanted[number]) for number in tie}:
            return ["hits"]
    return []


def _shown(hit: Mapping[str, Any]) -> bytes:
    rest = {name: value for name, value in hit.items() if name not in ("_rankingScore", "_rankingScoreDetails")}
    return orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)


if __name__ == "__main__":
    main(sys.argv[1:])
