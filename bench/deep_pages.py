"""Deep pages: what a page far down costs in bytes from the nodes and in time of the query service.

``python -m bench.deep_pages [--json]``: the dictionary in shards on three embedded nodes, one copy each, so that all
three are asked; the page at offset 980 of searches with more hits than that, decided in rounds as the query service
does. Counted are the bytes of the nodes' answers and the CPU time of reading, merging and writing JSON; the nodes' own
time is not. Beside it the same in one round: the first 1,000 hits of each node, whole.

Then end to end: the films on the three embedded nodes of a local stack, searched over HTTP. Counted are the processor
time of the query service's process, whatever it does, and the bytes that ``explain`` names; the worst of the searches.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import orjson

from bench.films import load_films
from bench.oracle import load_documents
from bench.processor_time import used_s
from bench.setting import make_parser, running_stack, show
from bench.setting import run as run_measure
from query.http.app import tune_garbage_collection
from query.rounds import Ask, Purpose, Round, SearchCase, body_of, decide_round
from query.search import parse_search
from schemas.ids import IndexUid
from tests.query.embedded import SHARDS, ShardedIndex

TEXTS = ("a person", "the act", "of plants", "light", "having or")
REPEATS = 5

INDEX = IndexUid("films")
FILM_TEXTS = ("", "the", "a")
"""Found in more than 1,000 films of every node."""

PAGES = 100
"""Searched one after the other before the processor time, which is told in hundredths of a second, is looked at."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one page cost."""

    cpu_ms: float
    kilobytes: float
    rounds: tuple[str, ...]


def measure_page(index: ShardedIndex, body: Mapping[str, Any], *, in_rounds: bool) -> Cost:
    """Return the cost of one page, in rounds as decided, or in one round of whole heads."""
    case = SearchCase(parse_search(dict(body)), index.rules, SHARDS)
    route = index.route(body).parts
    rounds: list[Round] = []
    cpu_s = 0.0
    received = 0
    while True:
        begun_s = time.process_time()
        step = decide_round(case, route, rounds) if rounds or in_rounds else Ask(Purpose.HEADS)
        if not isinstance(step, Ask):
            orjson.dumps(step.body)
            cpu_s += time.process_time() - begun_s
            return Cost(cpu_s * 1000, received / 1000, tuple(each.ask.purpose.value for each in rounds))
        parts = step.parts or route
        questions = [orjson.dumps(body_of(case, step, part)) for part in parts]
        cpu_s += time.process_time() - begun_s
        del questions
        answers = [orjson.dumps(index.ask(case, step, part)) for part in parts]
        received += sum(map(len, answers))
        begun_s = time.process_time()
        parsed = tuple((part, orjson.loads(answer)) for part, answer in zip(parts, answers, strict=True))
        cpu_s += time.process_time() - begun_s
        rounds.append(Round(step, parsed))


def measure() -> dict[str, object]:
    """Return all figures: of each search the median of its repeats, of them the worst."""
    settings, documents = load_documents("wordnet")
    index = ShardedIndex("wordnet", settings, documents, replication=1)
    # As in the service, whose collector does not walk through an index either.
    tune_garbage_collection()
    costs = {}
    for in_rounds in (True, False):
        for text in TEXTS:
            body = {"q": text, "offset": 980, "limit": 20}
            costs[in_rounds, text] = [measure_page(index, body, in_rounds=in_rounds) for _ in range(REPEATS)]
    ours = [repeats for (in_rounds, _), repeats in costs.items() if in_rounds]
    one = [repeats for (in_rounds, _), repeats in costs.items() if not in_rounds]
    return {
        "cpu_ms": max(median(cost.cpu_ms for cost in repeats) for repeats in ours),
        "kilobytes": max(repeats[0].kilobytes for repeats in ours),
        "one_round_cpu_ms": max(median(cost.cpu_ms for cost in repeats) for repeats in one),
        "one_round_kilobytes": max(repeats[0].kilobytes for repeats in one),
        "rounds": sorted({"+".join(repeats[0].rounds) for repeats in ours}),
    }


async def measure_served(*, kafka: str | None, binary: Path | None) -> dict[str, object]:
    """Return what a page costs the query service's process as it is served, beside one that is not deep."""
    async with running_stack(kafka=kafka, node_binary=binary) as stack:
        await load_films(stack, INDEX, replication=1)
        query = [stack.child("query").pid or 0]
        async with httpx.AsyncClient(base_url=f"{stack.url}/indexes/{INDEX}", timeout=30) as client:

            async def cpu_ms(body: Mapping[str, Any]) -> float:
                began_s = used_s(query)
                for _ in range(PAGES):
                    (await client.post("/search", json=body)).raise_for_status()
                return (used_s(query) - began_s) * 1000 / PAGES

            async def kilobytes(body: Mapping[str, Any]) -> float:
                rounds = (await client.post("/explain", json=body)).raise_for_status().json()["rounds"]
                sizes = [int(asked.get("bytes", 0)) for each in rounds for asked in each["questions"]]
                return sum(sizes) / 1000

            deep = [{"q": text, "offset": 980, "limit": 20} for text in FILM_TEXTS]
            first = [{"q": text, "limit": 20} for text in FILM_TEXTS]
            await cpu_ms(first[0])
            return {
                "served_cpu_ms": max([await cpu_ms(body) for body in deep]),
                "served_kilobytes": max([await kilobytes(body) for body in deep]),
                "served_first_page_cpu_ms": max([await cpu_ms(body) for body in first]),
            }


def main() -> None:
    """Print the figures."""
    arguments = make_parser("What a page far down costs.").parse_args()
    served = run_measure(measure_served(kafka=arguments.kafka, binary=arguments.node_binary))
    show({**measure(), **served}, as_json=arguments.json)


if __name__ == "__main__":
    main()
