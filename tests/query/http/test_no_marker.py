"""No byte of any answer or error shows the marker, whatever is asked and however nodes answer."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.events import IndexRecord
from schemas.ids import ShardId, node_index_uid
from streams.marker import MARKER_FIELD, marker_of, shards_filter
from tests.query.http.stand import Stand

PLACES = {"uid": "films", "id": "1", "name": "filterable-attributes", "task": "1", "offset": "0"}
"""What stands for the parts of a path; of any other it does not matter."""

QUERIES = {
    "/indexes/{uid}/search": "?q=film&facets=*&attributesToHighlight=*&showMatchesPosition=true",
    "/indexes/{uid}/documents": "?filter=genre%20%3D%20drama",
    "/indexes/{uid}/similar": "?id=1&embedder=e",
    "/_miroir/why": "?index=films&shard=0",
}

BODIES: list[Any] = [
    None,
    {},
    [],
    {"facets": ["*"], "attributesToHighlight": ["*"], "showMatchesPosition": True, "showRankingScoreDetails": True},
    {"attributesToRetrieve": ["*"], "filter": "bad filter"},
    {"attributesToRetrieve": ["title"], "distinct": "genre", "facets": ["genre"]},
    {"q": "film", "filter": "nope = 1", "facets": ["nope"]},
    {"facetName": "genre"},
    {"facetName": "nope"},
    {"facetName": "genre", "filter": "bad filter"},
    {"queries": [{"indexUid": "films", "q": "film", "facets": ["*"]}]},
    {"queries": [{"indexUid": "films", "filter": "bad filter"}]},
    {"queries": [{"indexUid": "films"}], "federation": {"facetsByIndex": {"films": ["*"]}}},
    {"id": 1, "embedder": "e"},
    {"ids": [1, 2], "fields": ["*"]},
    {"filter": "genre = drama", "sort": ["id:asc"]},
    ["*"],
]

TOLD = re.compile(rb'"_miroir":\{')
"""Where an answer says what it lacks: the field's name, of the answer and not of a document."""

PLANE_15 = re.compile(rb"\xf3[\xb0-\xbf]|\\u[dD][bB][89abAB]")

FAULTS: list[tuple[int, str]] = [
    (400, "invalid_search_filter"),
    (400, ""),
    (500, "internal"),
    (503, "too_many_search_requests"),
]


def words(index: IndexRecord) -> str:
    """Return what a node may say of its name for the index, its filter and its settings: ours."""
    known = f"Available filterable attribute patterns are: `{MARKER_FIELD}`, `genre`."
    condition = shards_filter([ShardId(0), ShardId(3)])
    return f"Index `{_node_index(index)}`: {known}\n12:19 genre = a AND ({condition}) {marker_of(ShardId(3))}"


def _node_index(index: IndexRecord) -> str:
    return node_index_uid(index.uid, index.incarnation)


def calls(stand: Stand) -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and body of everything that can be asked for, but for what changes something."""
    for route in stand.client.server.app.router.routes():  # type: ignore[attr-defined]  # a TestServer's
        canonical = route.resource.canonical
        path = re.sub(r"\{(\w+)\}", lambda found: PLACES.get(found[1], "x"), canonical)
        if route.method in ("GET", "*"):
            yield "GET", path + QUERIES.get(canonical, ""), None
        if route.method == "POST" and canonical not in ("/_miroir/requests", "/indexes", "/indexes/{uid}/documents"):
            for body in BODIES:
                yield "POST", path, body


async def asked(stand: Stand, index: IndexRecord) -> list[str]:
    """Return what shows a trace of the marker, or a node's name for the index, of everything that was asked for."""
    shown: list[str] = []
    statuses = set()
    hidden = (MARKER_FIELD.encode(), _node_index(index).encode())
    for method, path, body in calls(stand):
        async with stand.client.request(method, path, json=body) as response:
            raw = TOLD.sub(b"", await response.read())
            statuses.add(response.status)
        if any(name in raw for name in hidden) or PLANE_15.search(raw):
            shown.append(f"{method} {path} {body}: {raw[:500]!r}")
    assert len(statuses) > 2, statuses
    return shown


async def test_no_answer_shows_the_marker(stand: Stand) -> None:
    """Of any route, to any body, whether it is right or wrong."""
    index = await stand.films(12)
    change = {"filterableAttributes": ["*"], "sortableAttributes": ["id"]}
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", change))

    assert await asked(stand, index) == []


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_error_of_a_node_shows_the_marker(stand: Stand, fault: tuple[int, str]) -> None:
    """A node's message names the filter and the attributes that it was given."""
    index = await stand.films(12)
    status, code = fault
    for node in stand.nodes.values():
        node.fault = (status, {"message": words(index), "code": code, "type": "invalid_request", "link": ""})

    assert await asked(stand, index) == []


@pytest.mark.parametrize("status", [500, 503])
async def test_no_explanation_of_a_node_that_fails_shows_the_marker(stand: Stand, status: int) -> None:
    """Others answer in its stead, so that the explanation tells of it, and why it is away, in its own words."""
    index = await stand.films(12)
    stand.nodes["a"].fault = (status, {"message": words(index), "code": "internal", "type": "internal", "link": ""})

    told = [await stand.call("POST", "/indexes/films/explain", {"q": f"film {at}"}) for at in range(20)]

    questions = [each for reply in told for found in reply.body["rounds"] for each in found["questions"]]
    assert any("`genre`" in each["outcome"] for each in questions)
    assert any("`genre`" in reply.body["away"].get("a", "") for reply in told)
    assert await asked(stand, index) == []
