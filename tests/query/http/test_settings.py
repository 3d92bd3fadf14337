"""The routes of settings."""

from typing import Any

import pytest

from schemas.meilisearch_settings import DEFAULT_SETTINGS, SUB_ROUTES
from tests.query.http.stand import Stand


async def test_settings_of_a_new_index_are_the_defaults(stand: Stand) -> None:
    """Whole, and one by one, settings show every default."""
    await stand.films(0)

    whole = await stand.call("GET", "/indexes/films/settings")

    assert whole.body == DEFAULT_SETTINGS
    for path, (name, _) in SUB_ROUTES.items():
        assert (await stand.call("GET", f"/indexes/films/settings/{path}")).body == DEFAULT_SETTINGS[name]


async def test_settings_changed_show_once_the_task_succeeded(stand: Stand) -> None:
    """A change is a task that ends when the nodes have it; null and DELETE reset."""
    await stand.films(2)

    changed = await stand.call("PATCH", "/indexes/films/settings", {"sortableAttributes": ["id"], "stopWords": ["a"]})
    task = await stand.finished(changed)
    sorted_hits = await stand.call("POST", "/indexes/films/search", {"sort": ["id:desc"]})
    await stand.finished(await stand.call("DELETE", "/indexes/films/settings/stop-words"))
    after = await stand.call("GET", "/indexes/films/settings")

    assert (task["status"], task["type"]) == ("succeeded", "settingsUpdate")
    assert task["details"] == {"sortableAttributes": ["id"], "stopWords": ["a"]}
    assert sorted_hits.status == 200
    assert (after.body["sortableAttributes"], after.body["stopWords"]) == (["id"], [])


async def test_settings_one_by_one_are_changed_and_reset(stand: Stand) -> None:
    """Sub-routes change one setting, with the method that Meilisearch gives it."""
    await stand.films(0)

    await stand.finished(await stand.call("PUT", "/indexes/films/settings/ranking-rules", ["words", "id:asc"]))
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings/pagination", {"maxTotalHits": 5}))
    changed = (await stand.call("GET", "/indexes/films/settings")).body
    await stand.finished(await stand.call("DELETE", "/indexes/films/settings"))
    reset = (await stand.call("GET", "/indexes/films/settings")).body

    assert (changed["rankingRules"], changed["pagination"]) == (["words", "id:asc"], {"maxTotalHits": 5})
    assert reset == DEFAULT_SETTINGS


async def test_settings_changed_are_waited_for_on_every_copy(stand: Stand) -> None:
    """While a copy lacks the version, the task goes on."""
    await stand.films(0)
    stand.applies = False

    changed = await stand.call("PATCH", "/indexes/films/settings", {"stopWords": ["a"]})
    views = stand.service.views
    await views.wait_for(lambda: views.topology.requests_cursor > 1 or None, timeout_s=60.0)
    task = await stand.call("GET", f"/tasks/{changed.body['taskUid']}")
    stand.applies = True

    assert task.body["status"] == "processing"
    assert (await stand.finished(changed))["status"] == "succeeded"


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("PATCH", "/indexes/films/settings", {"nope": 1}, (400, "bad_request")),
        ("PATCH", "/indexes/films/settings", {"stopWords": 1}, (400, "invalid_settings_stop_words")),
        ("PUT", "/indexes/films/settings/stop-words", {"a": 1}, (400, "invalid_settings_stop_words")),
        ("PUT", "/indexes/films/settings/ranking-rules", ["bogus"], (400, "invalid_settings_ranking_rules")),
        ("PATCH", "/indexes/films/settings/embedders", {"x": {"source": "rest"}}, (501, "miroir_not_supported")),
        ("PATCH", "/indexes/films/settings", {"searchCutoffMs": 2001}, (400, "invalid_settings_search_cutoff_ms")),
        ("PUT", "/indexes/films/settings/search-cutoff-ms", 9999, (400, "invalid_settings_search_cutoff_ms")),
        ("GET", "/indexes/nope/settings", None, (404, "index_not_found")),
        ("PUT", "/indexes/films/settings/chat", {}, (501, "miroir_not_supported")),
    ],
)
async def test_settings_that_are_wrong_append_nothing(
    stand: Stand, method: str, path: str, body: Any, error: tuple[int, str]
) -> None:
    """A value is judged before it is asked for."""
    await stand.films(0)
    before = stand.log.records("miroir.requests")

    assert (await stand.call(method, path, body)).error == error
    assert stand.log.records("miroir.requests") == before


async def test_longest_cutoff_that_fits_is_taken(stand: Stand) -> None:
    """Two fifths of a search's deadline, which is 5 s; none at all is Meilisearch's own."""
    await stand.films(0)

    for cutoff_ms in (2000, None):
        changed = await stand.call("PUT", "/indexes/films/settings/search-cutoff-ms", cutoff_ms, raw=b"null")
        assert (await stand.finished(changed))["status"] == "succeeded"


async def test_embedders_change_by_name_and_show_as_they_were_set(stand: Stand) -> None:
    """One that goes does not show any more."""
    await stand.films(0)
    path, embedder = "/indexes/films/settings/embedders", {"source": "userProvided", "dimensions": 2}

    await stand.finished(await stand.call("PATCH", path, {"a": embedder, "b": embedder}))
    await stand.finished(await stand.call("PATCH", path, {"a": None, "b": {"dimensions": 3}}))
    shown = await stand.call("GET", path)
    await stand.finished(await stand.call("DELETE", path))

    assert shown.body == {"b": {**embedder, "dimensions": 3}}
    assert (await stand.call("GET", "/indexes/films/settings")).body["embedders"] == {}


async def test_embedders_are_refused_while_a_node_is_embedded(stand: Stand) -> None:
    """It would take no settings at all from then on; letting go of one is no trouble."""
    await stand.films(0)
    stand.nodes["b"].commit = "embedded"
    change = {"embedders": {"a": {"source": "userProvided", "dimensions": 2}}}

    refused = await stand.call("PATCH", "/indexes/films/settings", change)
    taken = await stand.call("PATCH", "/indexes/films/settings", {"embedders": {"a": None}})

    assert refused.error == (501, "miroir_not_supported")
    assert "embedded" in refused.body["message"]
    assert taken.status == 202


async def test_settings_under_an_unknown_name_are_404_without_body(stand: Stand) -> None:
    """As Meilisearch answers; a method that a setting does not have is 405."""
    await stand.films(0)

    unknown = await stand.call("GET", "/indexes/films/settings/nope")
    method = await stand.call("PATCH", "/indexes/films/settings/stop-words", ["a"])

    assert (unknown.status, unknown.body) == (404, None)
    assert (method.status, method.body) == (405, None)
