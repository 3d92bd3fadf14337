"""The rounds of a search, over nodes that are lists, and over embedded engines with a single one as oracle."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from bench.oracle import DIRECTORY_DEFAULT, load_pair, measure
from query.merge import MergedAnswer
from query.rounds import ROUNDS_MAX, Ask, Purpose, Round, SearchCase, body_of, decide_round, make_bodies
from query.routing import Part
from query.rules import IndexRules
from query.search import Hybrid, SearchRequest, Window
from schemas.ids import NodeId, ShardId
from tests.query.embedded import EmbeddedIndex, ShardedIndex, ids_of

RULES = IndexRules(index="films", primary_key="id")
ROUTE = tuple(Part(NodeId(name), (ShardId(number),)) for number, name in enumerate("abc"))
SETTINGS = {
    "filterableAttributes": ["kind", "n", "_geo"],
    "sortableAttributes": ["n", "kind", "_geo"],
    "rankingRules": ["words", "typo", "sort", "proximity", "attribute", "exactness", "n:desc"],
}
KINDS: st.SearchStrategy[Any] = st.sampled_from(["a", "b", "B", "c", None, ["a", "c"], ["d"], 7, "7", [1, 2]])
POINTS: st.SearchStrategy[Any] = st.builds(
    lambda lat, lng: {"lat": lat, "lng": lng}, st.integers(-80, 80), st.integers(-170, 170)
)
FIELDS = {
    "text": st.lists(st.sampled_from(["moon", "mood", "moonlight", "sun", "star"]), max_size=4).map(" ".join),
    "kind": KINDS,
    "n": st.sampled_from([1, 2, 2.5, -3, "x", "10", None, True, [4, "y"]]),
    "_geo": POINTS,
}
DOCUMENTS = st.lists(st.fixed_dictionaries({}, optional=FIELDS), max_size=40).map(
    lambda found: [{"id": number, **document} for number, document in enumerate(found)]
)
SORTS = st.lists(
    st.sampled_from(["n:asc", "n:desc", "kind:asc", "kind:desc", "_geoPoint(40, 2):asc", "_geoPoint(-30, 150):desc"]),
    min_size=1,
    max_size=2,
    unique=True,
)


def _answer(hits: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    found = _distinct(hits) if "distinct" in body else hits
    start = body["offset"]
    return {"hits": found[start : start + body["limit"]], "estimatedTotalHits": len(found)}


def _hit(identity: int, kind: object = None) -> dict[str, Any]:
    return {"id": identity, "kind": kind, "_rankingScore": 1.0, "_rankingScoreDetails": {}}


def _run(search: SearchRequest, lists: Mapping[Part, Sequence[Mapping[str, Any]]]) -> tuple[list[Ask], MergedAnswer]:
    """Run a search over nodes that are lists."""
    case = SearchCase(search, RULES, len(ROUTE))
    asked: list[Ask] = []
    rounds: list[Round] = []
    while isinstance(step := decide_round(case, ROUTE, rounds), Ask):
        asked.append(step)
        parts = step.parts or ROUTE
        answers = tuple((part, _answer(lists[part], body_of(case, step, part))) for part in parts)
        rounds.append(Round(step, answers))
    return asked, step


@given(st.lists(st.integers(0, 2), max_size=80), st.integers(0, 40), st.integers(1, 30))
def test_page_is_that_of_one_list_however_hits_are_spread(sources: list[int], offset: int, limit: int) -> None:
    """Heads hold what most likely is a node's part; a node that has more of the page than that is asked again."""
    hits = [_hit(number) for number in range(len(sources))]
    lists = {part: [hits[at] for at, source in enumerate(sources) if source == own] for own, part in enumerate(ROUTE)}

    asked, answer = _run(SearchRequest(q="a", offset=offset, limit=limit), lists)

    assert ids_of(answer.body["hits"]) == list(range(len(sources)))[offset : offset + limit]
    assert answer.body["estimatedTotalHits"] == len(sources)
    assert len(asked) <= 3
    event(f"{len(asked)} rounds")


@given(
    st.lists(st.integers(0, 2), max_size=60) | st.sampled_from([[0] * 60, [0] * 1000, [0, 1] * 30]),
    st.sampled_from([SearchRequest(q="a"), SearchRequest(q="a", distinct="kind"), SearchRequest(q="a", offset=900)]),
    st.lists(st.sets(st.sampled_from(ROUTE)), max_size=ROUNDS_MAX + 1),
)
@example([0] * 60, SearchRequest(q="a"), [set()])
@example([0] * 1000, SearchRequest(q="a", offset=900), [set(), set()])
def test_search_ends_whoever_stops_answering(
    sources: list[int], search: SearchRequest, silent: list[set[Part]]
) -> None:
    """In any round any node may not answer, and nobody else for it: no round is asked for ever."""
    case = SearchCase(search, RULES, len(ROUTE))
    hits = [_hit(number, [number % 7]) for number in range(len(sources))]
    lists = {part: [hits[at] for at, source in enumerate(sources) if source == own] for own, part in enumerate(ROUTE)}
    rounds: list[Round] = []

    while isinstance(step := decide_round(case, ROUTE, rounds), Ask):
        gone = silent[len(rounds)] if len(rounds) < len(silent) else set(ROUTE)
        parts = [part for part in step.parts or ROUTE if part not in gone]
        answers = tuple((part, _answer(lists[part], body_of(case, step, part))) for part in parts)
        rounds.append(Round(step, answers))
        assert len(rounds) <= ROUNDS_MAX


def test_node_with_more_of_the_page_than_likely_is_asked_again_alone() -> None:
    """All of the best hits on one node: one of three has about 7 of 20, and is asked for 14."""
    lists = {part: [_hit(number) for number in range(at * 100, at * 100 + 30)] for at, part in enumerate(ROUTE)}

    asked, answer = _run(SearchRequest(q="a"), lists)

    assert asked == [Ask(Purpose.HEADS, length=14), Ask(Purpose.LONGER, (ROUTE[0],), length=20)]
    assert ids_of(answer.body["hits"]) == list(range(20))


@pytest.mark.parametrize(
    "search",
    [
        SearchRequest(),
        SearchRequest(q="a", distinct="kind"),
        SearchRequest(q="a", ranking_score_threshold=0.5),
        SearchRequest(q="a", hybrid=Hybrid("e", 1.0), vector=(1.0,)),
    ],
    ids=["all tie", "distinct", "threshold", "similarity"],
)
def test_search_whose_answer_depends_on_how_many_hits_are_asked_for_asks_for_all(search: SearchRequest) -> None:
    """Each node is asked for the head up to the window's end at once."""
    assert decide_round(SearchCase(search, RULES, len(ROUTE)), ROUTE, []) == Ask(Purpose.HEADS)


def test_deep_window_whose_keys_end_too_early_takes_all_keys() -> None:
    """Where one node has most of what is found, its keys are asked for up to the window's end, with all others."""
    lists = {part: [_hit(number) for number in range(at * 2000, at * 2000 + 1500)] for at, part in enumerate(ROUTE)}

    asked, answer = _run(SearchRequest(q="a", offset=970, limit=20), lists)

    assert [(ask.purpose, ask.length) for ask in asked] == [
        (Purpose.KEYS, 376),
        (Purpose.KEYS, None),
        (Purpose.WINDOWS, None),
    ]
    assert ids_of(answer.body["hits"]) == list(range(970, 990))


def test_list_that_ends_before_a_deep_window_says_so_also_after_more_keys() -> None:
    """One node has all that is found, more than is likely: only its whole keys tell where the list ends."""
    lists = {part: [_hit(number) for number in range(400)] if not at else [] for at, part in enumerate(ROUTE)}

    asked, answer = _run(SearchRequest(q="a", offset=970, limit=20, facets=()), lists)

    assert [ask.purpose for ask in asked] == [Purpose.KEYS, Purpose.KEYS]
    assert (answer.body["hits"], answer.body["estimatedTotalHits"]) == ([], 400)


def test_distinct_that_underfills_a_page_asks_for_more() -> None:
    """A node whose hits were all duplicates is asked for a longer head, alone, until the page is right."""
    lists = {
        ROUTE[0]: [_hit(0, ["x", "y", "z"]), *(_hit(number, [f"{number}"]) for number in range(100, 104))],
        ROUTE[1]: [_hit(number, ["xyz"[number % 3]]) for number in range(1, 4)] + [_hit(at, []) for at in (5, 6, 7)],
        ROUTE[2]: [],
    }

    asked, answer = _run(SearchRequest(limit=3, distinct="kind"), lists)

    assert [ask.purpose for ask in asked] == [Purpose.HEADS, Purpose.LONGER]
    assert asked[1].parts == (ROUTE[1],)
    assert ids_of(answer.body["hits"]) == [0, 5, 6]
    assert answer.short == ()


@given(st.lists(st.lists(st.integers(0, 8), max_size=3), max_size=60), st.integers(1, 20))
def test_distinct_page_equals_that_of_one_list(kinds: list[list[int]], limit: int) -> None:
    """However many duplicates lie on other nodes, the page holds what one list would, within the rounds' bound."""
    hits = [_hit(number, kind) for number, kind in enumerate(kinds)]
    lists = {part: hits[number :: len(ROUTE)] for number, part in enumerate(ROUTE)}

    asked, answer = _run(SearchRequest(limit=limit, distinct="kind"), lists)

    assert ids_of(answer.body["hits"]) == ids_of(_distinct(hits)[:limit])
    assert len(asked) <= ROUNDS_MAX


def _distinct(hits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    seen: set[Any] = set()
    kept = []
    for hit in hits:
        if seen.isdisjoint(hit["kind"]):
            seen |= set(hit["kind"])
            kept.append(hit)
    return kept


def test_deep_window_takes_keys_and_then_the_page() -> None:
    """Only the page's own hits are asked for whole, and a few beside them."""
    lists = {part: [_hit(number) for number in range(at, 3000, 3)] for at, part in enumerate(ROUTE)}

    asked, answer = _run(SearchRequest(offset=970, limit=20), lists)

    assert [ask.purpose for ask in asked] == [Purpose.KEYS, Purpose.WINDOWS]
    assert sum(window.limit for window in asked[1].windows.values()) < 60
    assert ids_of(answer.body["hits"]) == list(range(970, 990))
    assert answer.body["estimatedTotalHits"] == 3000


def test_deep_window_behind_the_end_is_answered_from_the_keys() -> None:
    """Nothing is left to be asked: no hit is in it, and the total is known."""
    lists = {part: [_hit(number, [str(number)]) for number in range(at, 30, 3)] for at, part in enumerate(ROUTE)}

    for search in (SearchRequest(offset=970, limit=20), SearchRequest(offset=970, limit=20, distinct="kind")):
        asked, answer = _run(search, lists)

        assert [ask.purpose for ask in asked] == [Purpose.KEYS]
        assert (answer.body["hits"], answer.body["estimatedTotalHits"]) == ([], 30)


def test_deep_window_asks_no_node_that_has_no_part_of_it() -> None:
    """A node whose shards hold nothing that is found is not asked twice."""
    lists = {part: [_hit(number) for number in range(at, 2000, 2)] if at < 2 else [] for at, part in enumerate(ROUTE)}

    asked, answer = _run(SearchRequest(offset=970, limit=20), lists)

    assert [ask.purpose for ask in asked] == [Purpose.KEYS, Purpose.WINDOWS]
    assert asked[1].parts == ROUTE[:2]
    assert ids_of(answer.body["hits"]) == list(range(970, 990))


def test_windows_answered_by_other_nodes_fall_back_to_whole_heads() -> None:
    """A replica that took over between the rounds may order ties otherwise."""
    case = SearchCase(SearchRequest(offset=970, limit=20), RULES, len(ROUTE))
    heads = ([_hit(number) for number in range(at, 2970, 3)] for at in range(len(ROUTE)))
    answers = (_answer(hits, {"offset": 0, "limit": 990}) for hits in heads)
    keys = Round(Ask(Purpose.KEYS), tuple(zip(ROUTE, answers, strict=True)))
    step = decide_round(case, ROUTE, [keys])
    assert isinstance(step, Ask)
    other = Part(NodeId("d"), ROUTE[0].shards)

    windows = Round(step, ((other, {"hits": []}), *((part, {"hits": []}) for part in ROUTE[1:])))

    assert decide_round(case, ROUTE, [keys, windows]) == Ask(Purpose.HEADS, (*ROUTE[1:], other))


def test_windows_that_do_not_fit_ask_nobody_again_who_has_not_answered() -> None:
    """What keys have lost is lost: the little time left is for those that answer."""
    case = SearchCase(SearchRequest(offset=970, limit=20), RULES, len(ROUTE))
    heads = ([_hit(number) for number in range(at, 2970, 3)] for at in range(1, len(ROUTE)))
    answers = (_answer(hits, {"offset": 0, "limit": 990}) for hits in heads)
    keys = Round(Ask(Purpose.KEYS), tuple(zip(ROUTE[1:], answers, strict=True)))
    step = decide_round(case, ROUTE, [keys])
    assert isinstance(step, Ask)

    again = decide_round(case, ROUTE, [keys, Round(step, tuple((part, {"hits": []}) for part in ROUTE[1:]))])

    assert again == Ask(Purpose.HEADS, ROUTE[1:])


SEARCHES = (
    SearchRequest(q="moon", filter="n = 1", facets=("kind",), sort=("n:asc",)),
    SearchRequest(page=2, filter=[["n = 1", "n = 2"], "kind = a"], distinct="kind"),
    SearchRequest(offset=970),
)


@pytest.mark.parametrize("search", SEARCHES, ids=["text", "page", "deep"])
@pytest.mark.parametrize("purpose", Purpose)
def test_bodies_made_together_are_those_made_one_by_one(purpose: Purpose, search: SearchRequest) -> None:
    """What a round's parts are asked alike is made once, also where the node of all shards is asked in between."""
    case = SearchCase(search, RULES, len(ROUTE))
    asks = [Ask(purpose, length=100), Ask(purpose, windows={ROUTE[0]: Window(3, 4)}, values={"kind": ("a",)})]
    whole = Part(NodeId("d"), tuple(ShardId(number) for number in range(len(ROUTE))))
    made = make_bodies(case)

    for ask in (*asks, asks[0]):
        for part in (ROUTE[0], whole, *ROUTE[1:]):
            assert list(made(ask, part).items()) == list(body_of(case, ask, part).items())


def test_index_on_one_node_is_passed_through() -> None:
    """The node that has all shards is asked the user's own question, and nothing is merged."""
    part = Part(NodeId("a"), (ShardId(0), ShardId(1)))
    case = SearchCase(SearchRequest(offset=980, limit=20), RULES, 2)
    ask = decide_round(case, [part], [])
    assert isinstance(ask, Ask)

    body = body_of(case, ask, part)
    answer = decide_round(case, [part], [Round(ask, ((part, {"hits": [_hit(3)], "estimatedTotalHits": 981}),))])

    assert (body["offset"], body["limit"]) == (980, 20)
    assert isinstance(answer, MergedAnswer)
    assert answer.body["hits"] == [{"id": 3, "kind": None}]


@settings(max_examples=60)
@given(DOCUMENTS, SORTS, st.sampled_from([None, "moon", "moonlgiht", "moon star", "sun moo"]), st.booleans())
def test_sharded_order_equals_the_single_engines(
    documents: list[dict[str, Any]],
    sort: list[str],
    text: str | None,
    sorts: bool,  # noqa: FBT001 - Hypothesis passes by position
) -> None:
    """Sort values of any kind, distances both ways, custom rules: the merge is in the single engine's order."""
    body = {"q": text, **({"sort": sort} if sorts else {}), "limit": 100, "showRankingScoreDetails": True}

    wanted = EmbeddedIndex("films", SETTINGS, documents).search(body)
    got = ShardedIndex("films", SETTINGS, documents).search(body)

    assert [_ranks(hit) for hit in got["hits"]] == [_ranks(hit) for hit in wanted["hits"]]
    assert sorted(ids_of(got["hits"])) == sorted(ids_of(wanted["hits"]))
    assert got["estimatedTotalHits"] == wanted["estimatedTotalHits"]


def _ranks(hit: Mapping[str, Any]) -> list[Any]:
    """Return what each rule found; maxima are a node's own."""
    return [
        (name, detail.get("matchingWords"), detail.get("typoCount"), detail.get("value"), detail.get("distance"))
        for name, detail in hit["_rankingScoreDetails"].items()
    ]


@pytest.mark.skipif(not DIRECTORY_DEFAULT.is_dir(), reason="no recordings beside the checkout (../shared/fixtures)")
def test_sharded_answers_equal_the_single_nodes() -> None:
    """Of searches of every kind over a part of films and cities, all without text and 99 % of the others are equal."""
    pairs = [load_pair("movies_tuned", step=6), load_pair("cities", step=8)]

    result = measure(pairs, 80, seed=5)

    assert result["no_text_equal"] == result["no_text"] >= 40, result["differing"]
    assert result["text_equal"] / result["text"] >= 0.99, result["differing"]
    assert result["with_hits"] >= 0.5 * result["searches"]
