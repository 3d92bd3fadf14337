"""What an explanation says of a search."""

from query.explanation import QuestionTrace, RoundTrace, SearchTrace, build_explanation
from query.merge import MergedAnswer
from query.rounds import SearchCase
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchRequest
from schemas.ids import NodeId, ShardId
from streams.marker import shards_filter

RULES = IndexRules(index="films", primary_key="id")
A, B = Part(NodeId("a"), (ShardId(0),)), Part(NodeId("b"), (ShardId(1),))
LATE = Part(NodeId("c"), (ShardId(1),))
ANSWER = {"hits": [{"id": 1}], "estimatedTotalHits": 1}
ROUND = RoundTrace(
    "heads",
    (
        QuestionTrace(A, "route", "answered", 0.004),
        QuestionTrace(B, "route", "NodeTimeoutError: no answer within 0.40 s", 0.4),
        QuestionTrace(LATE, "late", "answered", 0.0051),
    ),
    ((A, ANSWER), (LATE, ANSWER)),
    (),
    0.41,
)
TRACE = SearchTrace(
    7, ((NodeId("a"),), (NodeId("b"), NodeId("c"))), {NodeId("b"): "no answer"}, (ROUND,), 0.0003, 0.412
)


def test_explanation_names_who_was_asked_and_why() -> None:
    """Replicas, hedges, errors, times and bytes of every question are there."""
    found = build_explanation(SearchCase(SearchRequest(), RULES, 2), MergedAnswer({"hits": [{}]}), TRACE)

    (asked,) = found["rounds"]
    assert found["replicas"] == [
        {"shard": 0, "readable": ["a"], "asked": "a"},
        {"shard": 1, "readable": ["b", "c"], "asked": "c"},
    ]
    assert (found["epoch"], found["tookMs"], found["mergeMs"], found["away"]) == (7, 412.0, 0.3, {"b": "no answer"})
    assert (asked["purpose"], asked["tookMs"], asked["hedges"]) == ("heads", 410.0, 1)
    assert [each["outcome"].partition(":")[0] for each in asked["questions"]] == [
        "answered",
        "NodeTimeoutError",
        "answered",
    ]
    assert asked["questions"][2] == {
        "node": "c",
        "shards": [1],
        "why": "late",
        "outcome": "answered",
        "tookMs": 5.1,
        "hits": 1,
        "bytes": 42,
    }
    assert found["inexact"] == []


def test_explanation_tells_of_a_node_that_ran_out_of_time() -> None:
    """What it had no time for stands last among its hits, and says so in its details."""
    hits = [{"id": 1, "_rankingScoreDetails": {"words": {"order": 0}}}]
    cut = {"hits": [*hits, {"id": 2, "_rankingScoreDetails": {"words": {"order": 0}, "skipped": {"order": 1}}}]}
    questions = (QuestionTrace(A, "route", "answered", 0.004), QuestionTrace(B, "route", "answered", 0.004))
    asked = ROUND._replace(questions=questions, answers=((A, cut), (B, {"hits": hits})))

    found = build_explanation(
        SearchCase(SearchRequest(), RULES, 2), MergedAnswer({"hits": [{}]}), TRACE._replace(rounds=(asked,))
    )

    assert [each.get("degraded") for each in found["rounds"][0]["questions"]] == [True, None]
    assert found["inexact"] == ["hits: searchCutoffMs was over before a node had ranked all of its own"]


def test_explanation_shows_no_trace_of_the_marker() -> None:
    """Neither what a node answered nor why one is away, both in the node's own words."""
    words = f"NodeRejectedError: 500 internal: Index `films__3`: a = 1 AND ({shards_filter([ShardId(1)])})"
    asked = ROUND._replace(questions=(QuestionTrace(A, "route", words, 0.004),))
    trace = TRACE._replace(away={NodeId("b"): f"3 faults in a row: {words}"}, rounds=(asked,))

    found = build_explanation(SearchCase(SearchRequest(), RULES, 2), MergedAnswer({"hits": [{}]}), trace)

    plain = "NodeRejectedError: 500 internal: Index `films`: a = 1"
    assert found["rounds"][0]["questions"][0]["outcome"] == plain
    assert found["away"] == {"b": f"3 faults in a row: {plain}"}


def test_explanation_says_what_is_not_exact() -> None:
    """Whatever may differ from one node's answer is named, with its reason."""
    search = SearchRequest(distinct="kind", ranking_score_threshold=0.5, matching_strategy="frequency")
    merged = MergedAnswer({"hits": [{}]}, inexact_facets=("kind",), orphaned=True)
    trace = TRACE._replace(rounds=(ROUND._replace(missing=(ShardId(1),)),))

    found = build_explanation(SearchCase(search, RULES, 2), merged, trace)

    assert [reason.split()[0] for reason in found["inexact"]] == [
        "facet",
        "shards",
        "hits:",
        "total:",
        "total:",
        "hits:",
    ]
    assert found["missing"] == [1]


def test_explanation_of_pages_tells_an_exact_total_from_another() -> None:
    """Pages promise a total: it is named where ``distinct`` makes it too high."""
    case = SearchCase(SearchRequest(distinct="kind", page=1), RULES, 2)

    exact = build_explanation(case, MergedAnswer({"hits": [{}]}), TRACE)
    other = build_explanation(case, MergedAnswer({"hits": [{}]}, inexact_total=True), TRACE)

    assert exact["inexact"] == []
    assert other["inexact"] == ["total: distinct counts values that several nodes have more than once"]
