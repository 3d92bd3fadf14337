"""What routes find in a query service, and whom it asks."""

import asyncio
import gc

import pytest

from query.gathered import Gathered
from query.http.service import TRIES_MAX, Service, checked_uid
from schemas.errors import InvalidRequestError, NodeForgotError
from schemas.ids import IndexUid, NodeId, Position, SettingsVersion, ShardId
from tests.query.http.stand import Stand


@pytest.mark.parametrize("text", ["", "a b", "x" * 201, "é"])
def test_uid_that_no_index_can_have_is_refused(text: str) -> None:
    """In Meilisearch's words, with the place it stood in."""
    with pytest.raises(InvalidRequestError, match=r"Invalid value at `\.uid`: .* is not a valid index uid"):
        checked_uid(text, "Invalid value at `.uid`: ")


async def test_readable_copies_are_remembered_until_something_changes(stand: Stand) -> None:
    """The same object while nothing is new; another once a node is away, which then is asked last."""
    index = await stand.films(4)
    service = stand.service
    first = service.readable(index)
    assert service.readable(index) is first
    assert service.route(index, first, 0).spare == ()

    service.health.fail(NodeId("a"), "refused")
    second = service.readable(index)
    route = service.route(index, second, 0)

    assert not any("a" in nodes for nodes in second)
    assert "a" not in {part.node for part in route.parts}
    assert route.spare == first


async def test_views_of_deleted_indexes_are_let_go(stand: Stand) -> None:
    """Once anything is read again: they would be kept as long as the service runs."""
    films = await stand.films(4)
    service = stand.service
    service.readable(films)
    former = service.views.searched
    await stand.finished(await stand.call("POST", "/indexes/books/documents", [{"id": 1}]))
    await stand.finished(await stand.call("DELETE", "/indexes/films"))

    service.readable(service.views.searched.index(IndexUid("books")))

    assert not [each for each in gc.get_referrers(former) if type(each).__module__ == Service.__module__]


async def test_index_that_is_made_again_lacks_nothing_of_the_former(stand: Stand) -> None:
    """Nor does one that is deleted; without a primary key it is empty, and read from no copy."""
    index = await stand.films()
    replicas = stand.topology.replicas_of(index.uid, ShardId(2))
    for replica in replicas:
        await stand.see(replica, cursor=Position(1), end=Position(9), at_end_ms=0)
    stand.service.readable(index)
    assert stand.service.behind(index.uid) == (2,)

    await stand.call("POST", "/_miroir/requests", {"kind": "delete_index", "uid": "films"})
    await stand.until(lambda: index.uid not in stand.service.views.searched.indexes)
    assert stand.service.behind(index.uid) == ()

    await stand.call("POST", "/_miroir/requests", {"kind": "create_index", "uid": "films", "shards": 4})
    await stand.until(lambda: index.uid in stand.service.views.searched.indexes)
    assert stand.service.behind(index.uid) == ()


async def _asked(stand: Stand) -> set[str]:
    """Return who is asked first by many searches; others only where one is late."""
    told = [await stand.call("POST", "/indexes/films/explain", {"q": f"film {at}"}) for at in range(20)]
    questions = [each for reply in told for found in reply.body["rounds"] for each in found["questions"]]
    return {each["node"] for each in questions if each["why"] == "route"}


@pytest.mark.parametrize(
    ("programs", "asked"), [("1.50.0 1.51.0", "b"), ("1.51.0 1.50.0", "a"), ("1.50.0 1.50.0", "ab")], ids=str
)
async def test_searches_ask_nodes_of_the_newer_program(programs: str, asked: str) -> None:
    """Where each of two nodes has everything, those of another Meilisearch are left alone."""
    stand = Stand("ab")
    for node, program in zip(stand.nodes.values(), programs.split(), strict=True):
        node.program = program
    async with stand:
        await stand.films()
        await stand.until(lambda: len(stand.service.health.versions) == len(stand.nodes))

        assert await _asked(stand) == set(asked)


@pytest.mark.parametrize("older", ["a", "b"])
async def test_searches_ask_copies_of_the_newer_settings(older: str) -> None:
    """A copy whose node has not taken the newest settings yet is left alone while there are others."""
    async with Stand("ab") as stand:
        index = await stand.films()
        for replica in stand.service.views.topology.replicas_on(NodeId(older)):
            await stand.see(replica, settings_version=SettingsVersion(index.settings_version - 1))

        assert await _asked(stand) == {"a", "b"} - {older}


async def test_partial_answers_are_as_request_index_or_service_say() -> None:
    """The request decides, then the index, then the service."""
    async with Stand(settings={"MIROIR_SEARCH_PARTIAL_INDEXES": "films"}) as stand:
        films, other = IndexUid("films"), IndexUid("other")
        service = stand.service

        assert service.is_partial(films, asked=None)
        assert not service.is_partial(other, asked=None)
        assert service.is_partial(other, asked=True)
        assert not service.is_partial(films, asked=False)


async def test_gathering_that_meets_forgotten_keys_is_tried_again_a_few_times(stand: Stand) -> None:
    """With a newer view each time, within the deadline; what comes last is the outcome."""
    asked = 0
    forgot = Gathered((), (ShardId(0),), (NodeForgotError("a", "search", "key"),))

    async def ask() -> Gathered:
        nonlocal asked
        asked += 1
        return forgot

    deadline_s = asyncio.get_running_loop().time() + 0.05
    assert await stand.service.gather_known(ask, deadline_s=deadline_s) is forgot
    assert asked == TRIES_MAX
