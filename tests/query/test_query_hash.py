"""Which cover a search falls on."""

from dataclasses import replace

from query.query_hash import hash_query
from query.search import SearchRequest
from schemas.ids import IndexUid

MOVIES = IndexUid("movies")


def test_hash_of_every_page_of_a_search_is_equal() -> None:
    """Pages must meet the same replicas, whose ties stand in one order."""
    search = SearchRequest(q="love", filter="year > 1990", sort=("year:asc",))

    hashes = {hash_query(MOVIES, replace(search, offset=offset, limit=5)) for offset in (0, 5, 10)}

    assert hashes == {hash_query(MOVIES, replace(search, page=2, hits_per_page=5))}


def test_hash_of_other_searches_differs() -> None:
    """Different searches spread; the same text hashes alike on every machine."""
    one = hash_query(MOVIES, SearchRequest(q="love"))

    assert one == 10384712010544043259
    assert (
        len({one, hash_query(MOVIES, SearchRequest(q="war")), hash_query(IndexUid("b"), SearchRequest(q="love"))}) == 3
    )
