"""Routes that are not built yet."""

import pytest

from query.http.unsupported import PATHS
from tests.query.http.stand import Stand


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_route_not_built_names_itself(stand: Stand, method: str, path: str) -> None:
    """501 with the route's name: nothing is forwarded, nothing pretended."""
    names = {"{uid}": "films", "{task}": "1", "{key}": "k", "{batch}": "1", "{webhook}": "w", "{workspace}": "x"}
    concrete = path
    for pattern, name in names.items():
        concrete = concrete.replace(pattern, name)

    reply = await stand.call("GET" if method == "*" else method, concrete)

    assert reply.error == (501, "miroir_not_supported")
    assert path in reply.body["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("DELETE", "/tasks", None, (400, "missing_task_filters")),
        ("DELETE", "/tasks?uids=1", None, (501, "miroir_not_supported")),
        ("POST", "/tasks/cancel", None, (400, "missing_task_filters")),
        ("POST", "/tasks/cancel?uids=1", None, (501, "miroir_not_supported")),
        ("POST", "/swap-indexes", [{"indexes": ["a"]}], (400, "invalid_swap_indexes")),
        ("POST", "/swap-indexes", [{"indexes": ["a", "b"]}], (501, "miroir_not_supported")),
        ("POST", "/keys", {"actions": ["search"]}, (400, "missing_api_key_indexes")),
        ("POST", "/keys", {"actions": [], "indexes": [], "expiresAt": None}, (501, "miroir_not_supported")),
        ("PATCH", "/keys/k", {"actions": []}, (400, "immutable_api_key_actions")),
        ("PATCH", "/keys/k", {"name": "n"}, (501, "miroir_not_supported")),
        ("POST", "/indexes/films/documents/edit", {"function": "x"}, (400, "feature_not_enabled")),
    ],
)
async def test_request_that_is_wrong_is_told_so_before_the_route_is(
    stand: Stand, method: str, path: str, body: object, error: tuple[int, str]
) -> None:
    """What Meilisearch would refuse is refused in its words; what it would take is 501."""
    assert (await stand.call(method, path, body)).error == error


async def test_experimental_features_are_all_off(stand: Stand) -> None:
    """None is there to be switched on."""
    features = (await stand.call("GET", "/experimental-features")).body

    assert "containsFilter" in features
    assert not any(features.values())
