"""The demonstration's own judgement: complete is complete, and nothing else is."""

import pytest

from miroir.demo import FILMS
from miroir.document_files import read_documents
from miroir.known_searches import SETTINGS, KnownSearch, Verdict, build_searches, judge

SEARCHES = build_searches(document.fields for document in read_documents(FILMS))
SEARCH = KnownSearch("x", {}, frozenset({1, 2}))


def test_build_searches_each_matches_some_films() -> None:
    """No search would be complete by finding nothing, and the last one finds every film."""
    assert all(search.ids for search in SEARCHES)
    assert len(SEARCHES[-1].ids) == 3201
    assert len({search.ids for search in SEARCHES}) == len(SEARCHES)


def test_build_searches_filters_use_filterable_attributes() -> None:
    """Every filter can be asked with the settings made here."""
    words = set(SETTINGS["filterableAttributes"])
    assert all(str(search.body["filter"]).split()[0] in words for search in SEARCHES[:-1])


@pytest.mark.parametrize(
    ("ids", "verdict"),
    [
        ([2, 1], Verdict.COMPLETE),
        ([1], Verdict.INCOMPLETE),
        ([], Verdict.INCOMPLETE),
        ([1, 2, 3], Verdict.INCOMPLETE),
        ([1, 1, 2], Verdict.INCOMPLETE),
        ([1, 3], Verdict.INCOMPLETE),
    ],
    ids=str,
)
def test_judge_answer_is_complete_only_with_exactly_its_documents(ids: list[int], verdict: Verdict) -> None:
    """A missing, a strange and a doubled document are all faults."""
    assert judge(SEARCH, {"hits": [{"id": each} for each in ids]}) is verdict


def test_judge_answer_without_hits_is_incomplete() -> None:
    """What is no answer is not complete."""
    assert judge(SEARCH, {}) is Verdict.INCOMPLETE
