"""The multi-search route over nodes in memory: lists of their own, and one federated list."""

import pytest

from tests.query.http.stand import Stand


async def test_multi_search_answers_each_query(stand: Stand) -> None:
    """Every query is a search of its own, in order."""
    await stand.films()

    queries = [{"indexUid": "films", "q": "comedy", "limit": 1}, {"indexUid": "films", "q": "film 39"}]
    reply = await stand.call("POST", "/multi-search", {"queries": queries})

    assert [result["indexUid"] for result in reply.body["results"]] == ["films", "films"]
    assert [result["estimatedTotalHits"] for result in reply.body["results"]] == [20, 1]


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ({}, (400, "bad_request"), "Missing field `queries`"),
        (
            {"queries": [{"indexUid": "nope"}]},
            (400, "index_not_found"),
            "Inside `.queries[0]`: Index `nope` not found.",
        ),
        (
            {"queries": [{"indexUid": "films"}, {"indexUid": "films", "q": 1}]},
            (400, "invalid_search_q"),
            "Invalid value type at `.queries[1].q`: expected a string, but found a positive integer: `1`",
        ),
        ({"queries": [{"q": "x"}]}, (400, "missing_index_uid"), "Missing field `indexUid` inside `.queries[0]`"),
        (
            {"queries": [{"indexUid": "bad uid!"}]},
            (400, "invalid_index_uid"),
            "Invalid value at `.queries[0].indexUid`: `bad uid!` is not a valid index uid.",
        ),
        (
            {"queries": [{"indexUid": "films", "federationOptions": {"queryPosition": 0}}], "federation": {}},
            (501, "miroir_not_supported"),
            "The option `federationOptions.queryPosition`",
        ),
        (
            {"queries": [{"indexUid": "films", "filter": "x = 1"}]},
            (400, "invalid_search_filter"),
            "Inside `.queries[0]`: Index `films`: Attribute `x` is not filterable.",
        ),
        (
            {"queries": [{"indexUid": "films"}], "federation": {"facetsByIndex": {"films": ["x"]}}},
            (400, "invalid_search_facets"),
            "Inside `.queries[0]`: Inside `.federation.facetsByIndex.films`: Invalid facet distribution: Pattern `x`",
        ),
        (
            {"queries": [], "federation": {"facetsByIndex": {"nope": ["x"]}}},
            (400, "index_not_found"),
            "Inside `.federation.facetsByIndex.nope`: Index `nope` not found.\n - Note: index `nope` is not used",
        ),
        (
            {"queries": [{"indexUid": "films"}], "federation": {"distinct": "x"}},
            (400, "invalid_search_distinct"),
            "Inside `.queries[0]`: Index `films`: Attribute `x` is not filterable and thus, cannot be used as distinct",
        ),
    ],
)
async def test_multi_search_that_is_wrong_says_where(
    stand: Stand, body: object, error: tuple[int, str], message: str
) -> None:
    """A query's fault names its place."""
    await stand.films(1)

    reply = await stand.call("POST", "/multi-search", body)

    assert reply.error == error
    assert reply.body["message"].startswith(message)


async def test_federated_search_is_one_list_of_all_indexes(stand: Stand) -> None:
    """Every document shows once, under its user's index, ordered by weight, and nothing of the marker shows."""
    await stand.films(10)
    queries = [
        {"indexUid": "films", "q": "film"},
        {"indexUid": "films", "q": "comedy", "federationOptions": {"weight": 2.0}},
    ]

    reply = await stand.call("POST", "/multi-search", {"queries": queries, "federation": {"limit": 8}})

    found = [(hit["id"], hit["_federation"]["queriesPosition"]) for hit in reply.body["hits"]]
    assert found == [*((number, 1) for number in range(0, 10, 2)), *((number, 0) for number in (1, 3, 5))]
    assert (reply.body["limit"], reply.body["offset"], reply.body["estimatedTotalHits"]) == (8, 0, 10)
    assert all(hit["_federation"]["indexUid"] == "films" and "_miroir" not in hit for hit in reply.body["hits"])


async def test_what_nodes_refuse_of_a_federated_search_names_the_users_query(stand: Stand) -> None:
    """A node is asked the queries of one index only; its places are not the user's."""
    await stand.films(4)
    await stand.finished(await stand.call("POST", "/indexes/books/documents", [{"id": 1}]))
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["genre"]}))
    queries = [{"indexUid": "books"}, {"indexUid": "films"}, {"indexUid": "films", "filter": "genre = 'bad filter'"}]

    reply = await stand.call("POST", "/multi-search", {"federation": {}, "queries": queries})

    assert reply.error == (400, "invalid_search_filter")
    assert reply.body["message"] == "Inside `.queries[2]`: bad filter"


async def test_merged_facets_of_indexes_that_order_them_otherwise_are_refused(stand: Stand) -> None:
    """Before any node is asked, naming the facet."""
    await stand.films(4)
    await stand.finished(await stand.call("POST", "/indexes/books/documents", [{"id": 1, "genre": "drama"}]))
    for uid, order in (("films", "count"), ("books", "alpha")):
        faceting = {"sortFacetValuesBy": {"genre": order}}
        body = {"filterableAttributes": ["genre"], "faceting": faceting}
        await stand.finished(await stand.call("PATCH", f"/indexes/{uid}/settings", body))
    facets = {"facetsByIndex": {"films": ["genre"], "books": ["genre"]}}
    queries = [{"indexUid": "films"}, {"indexUid": "books"}]

    merged = {"federation": {**facets, "mergeFacets": {}}, "queries": queries}
    reply = await stand.call("POST", "/multi-search", merged)

    assert reply.error == (400, "invalid_multi_search_facet_order")
    assert "index `books` orders alphabetically, but index `films` orders by count" in reply.body["message"]
    assert (await stand.call("POST", "/multi-search", {"federation": facets, "queries": queries})).status == 200


async def test_federated_search_without_shards_says_so(stand: Stand) -> None:
    """A partial answer names the shards it lacks, by index."""
    await stand.films()
    await stand.nodes["a"].stop()
    await stand.nodes["b"].stop()
    body = {"queries": [{"indexUid": "films"}], "federation": {}}

    whole = await stand.call("POST", "/multi-search", body)
    partial = await stand.call("POST", "/multi-search", body, headers={"X-Miroir-Partial": "true"})

    assert whole.error == (503, "miroir_shard_unavailable")
    assert partial.body["_miroir"]["coverage"]["films"]["missing"]
    assert partial.headers["X-Miroir-Degraded"].startswith("shards=films:")


async def test_federated_page_beyond_what_is_merged_is_refused(stand: Stand) -> None:
    """Its hits would be missing in silence."""
    await stand.films(4)
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings/pagination", {"maxTotalHits": 20_000}))

    body = {"queries": [{"indexUid": "films"}], "federation": {"offset": 9_999, "limit": 2}}
    reply = await stand.call("POST", "/multi-search", body)

    assert reply.error == (400, "invalid_search_limit")
    assert "at most 10000 hits" in reply.body["message"]


async def test_federated_queries_that_cannot_be_compared_ask_no_node(stand: Stand) -> None:
    """What their indexes rank by tells; each on its own is answered."""
    await stand.films(1)
    body = {"kind": "create_index", "uid": "sorted", "primary_key": "id"}
    await stand.call("POST", "/_miroir/requests", body)
    accepted = await stand.call("PATCH", "/indexes/sorted/settings", {"rankingRules": ["year:asc"]})
    await stand.finished(accepted)
    queries = [{"indexUid": "films", "q": "film"}, {"indexUid": "sorted"}]

    federated = await stand.call("POST", "/multi-search", {"queries": queries, "federation": {}})
    asked = sum(len(node.searches) for node in stand.nodes.values())
    own = await stand.call("POST", "/multi-search", {"queries": queries})

    assert federated.error == (400, "invalid_multi_search_query_ranking_rules")
    assert "cannot compare a relevancy rule with a sort rule" in federated.body["message"]
    assert asked == 0
    assert own.status == 200
