"""Reading in rounds, over nodes in memory: deep pages on the wire, and a node that goes away between rounds."""

import asyncio

from tests.query.http.stand import Stand


async def test_deep_page_fetches_whole_hits_of_the_page_only(stand: Stand) -> None:
    """Keys come first, then each node's part of the page: most documents never leave their node."""
    await stand.films(700)

    whole = await stand.call("POST", "/indexes/films/search", {"limit": 700})
    page = await stand.call("POST", "/indexes/films/search", {"offset": 640, "limit": 20})

    keys = [search for node in stand.nodes.values() for search in node.searches if search.get("offset") == 0]
    parts = [search for node in stand.nodes.values() for search in node.searches if search.get("offset", 0) > 0]
    assert page.body["hits"] == whole.body["hits"][640:660]
    assert page.body["estimatedTotalHits"] == 700
    assert ["id"] in [search["attributesToRetrieve"] for search in keys]
    assert parts
    assert sum(search["limit"] for search in parts) < 60


async def test_deep_page_after_a_node_is_gone_is_whole(stand: Stand) -> None:
    """The rounds of one search hold together although another replica takes a part over."""
    await stand.films(700)
    await stand.nodes["a"].stop()

    for offset in (0, 340, 680):
        reply = await stand.call("POST", "/indexes/films/search", {"offset": offset, "limit": 340})
        assert (reply.status, len(reply.body["hits"])) == (200, min(340, 700 - offset))


async def test_later_rounds_ask_no_copy_that_has_left_with_a_newer_key(stand: Stand) -> None:
    """The node refuses the key of the first round, and the search begins anew: with the next it would answer less."""
    await stand.films(700, replication=1)
    whole = await stand.call("POST", "/indexes/films/search", {"limit": 700})
    stand.nodes["b"].held = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        search = group.create_task(stand.call("POST", "/indexes/films/search", {"offset": 640, "limit": 20}))
        await stand.until_held("b")
        stand.leave("a", "c")
        await stand.until(lambda: stand.service.views.topology.leaving)
        stand.nodes["b"].held.set()

    found = search.result().body
    assert (found["estimatedTotalHits"], found["hits"]) == (700, whole.body["hits"][640:660])
