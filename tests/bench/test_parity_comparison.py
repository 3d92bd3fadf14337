"""Which answers count as equal."""

from typing import Any

import pytest

from bench.parity_comparison import Shares, Verdict, compare_answers


def hit(document_id: int, score: float, **more: Any) -> dict[str, Any]:
    """Return a hit with one rule's score."""
    return {"id": document_id, "_rankingScoreDetails": {"words": {"order": 0, "score": score}}, **more}


def answer(*hits: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an answer."""
    return {"hits": list(hits), "estimatedTotalHits": len(hits), "processingTimeMs": 3, **more}


def test_text_page_with_ties_in_another_order_is_right() -> None:
    """Documents of equal keys may stand in either order."""
    verdict = compare_answers({"q": "a"}, answer(hit(1, 1.0), hit(2, 1.0)), answer(hit(2, 1.0), hit(1, 1.0)))

    assert verdict == Verdict(page=True, same_set=True, totals=True)


def test_text_page_with_another_key_is_wrong_and_says_where() -> None:
    """A page is its list of keys; the set may still be the same."""
    verdict = compare_answers({"q": "a"}, answer(hit(1, 1.0), hit(2, 0.5)), answer(hit(1, 0.5), hit(2, 1.0)))

    assert (verdict.page, verdict.same_set, verdict.totals) == (False, True, True)
    assert verdict.reasons[0].startswith("page #0 _rankingScoreDetails")


def test_answer_without_text_must_be_equal_whole() -> None:
    """Without a text nothing is free, apart from times."""
    own, wanted = answer(hit(1, 1.0), hit(2, 1.0)), answer(hit(2, 1.0), hit(1, 1.0))

    assert compare_answers({"q": " "}, own, wanted).no_text is False
    assert compare_answers({}, own, {**own, "processingTimeMs": 9}) == Verdict(no_text=True)


def test_facets_are_compared_with_their_order() -> None:
    """The order of a facet's values is part of the answer."""
    own = answer(hit(1, 1.0), facetDistribution={"a": {"x": 1, "y": 1}}, facetStats={})
    wanted = answer(hit(1, 1.0), facetDistribution={"a": {"y": 1, "x": 1}}, facetStats={})

    assert compare_answers({"q": "a"}, own, wanted).facets is False
    assert compare_answers({"q": "a"}, own, own).facets is True


def test_error_in_place_of_hits_counts_against_the_page() -> None:
    """A refusal where hits were recorded is neither the page nor the set."""
    refusal = {"message": "no", "code": "bad_request"}

    assert compare_answers({"q": "a"}, refusal, answer(hit(1, 1.0))).same_set is False
    assert compare_answers({"q": 5}, refusal, refusal) == Verdict(page=True, same_set=True)


def test_highlights_are_named_without_counting() -> None:
    """Another form of a hit is a reason, whatever the shares say."""
    own, wanted = answer(hit(1, 1.0, _formatted={"a": "x"})), answer(hit(1, 1.0, _formatted={"a": "<em>x</em>"}))

    verdict = compare_answers({"q": "a"}, own, wanted)

    assert verdict.page is True
    assert verdict.reasons == ('_formatted: {"a": "x"} | {"a": "<em>x</em>"}',)


def test_shares_of_nothing_compared_are_none() -> None:
    """A share is of what was compared, and none of nothing."""
    shares = Shares([Verdict(no_text=True), Verdict(no_text=False)]).of()

    assert shares["no_text_equal"] == 0.5
    assert shares["text_page"] is None


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"limit": 3, "offset": 0}, False),
        ({"limit": 2, "offset": 0}, False),
        ({"limit": 2, "offset": 1}, True),
        ({"hitsPerPage": 2, "page": 1}, False),
        ({"hitsPerPage": 2, "page": 2}, True),
    ],
    ids=["a whole list", "a beginning", "a window", "a first page", "a later page"],
)
def test_other_documents_of_the_same_rank_are_another_set(fields: dict[str, int], *, same: bool) -> None:
    """Only of a tie that may go on outside of the window may there be others."""
    own, wanted = answer(hit(1, 1.0), hit(2, 0.5), **fields), answer(hit(9, 1.0), hit(2, 0.5), **fields)

    verdict = compare_answers({"q": "a"}, own, wanted)

    assert (verdict.page, verdict.same_set) == (True, same)
    assert bool(verdict.reasons) is not same


def test_totals_count_whatever_the_hits_are() -> None:
    """A total that differs is most likely where hits differ, too."""
    verdict = compare_answers(
        {"q": "a"}, answer(hit(1, 1.0), estimatedTotalHits=1), answer(hit(2, 0.5), estimatedTotalHits=2)
    )

    assert (verdict.page, verdict.totals) == (False, False)
