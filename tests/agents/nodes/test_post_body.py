"""A body arrives whole, with its length told before, however many pieces it takes."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agents.nodes.post_body import PIECE_BYTES, PostBody


@pytest.mark.parametrize("length", [1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES])
async def test_body_arrives_whole_with_its_length(length: int) -> None:
    """A node refuses bodies without a length, and indexes whatever bytes it gets."""
    body = bytes(at % 251 for at in range(length))

    async def take(request: web.Request) -> web.Response:
        return web.json_response([request.content_length, await request.read() == body])

    app = web.Application(client_max_size=10 * PIECE_BYTES)
    app.router.add_post("/", take)
    async with TestClient(TestServer(app)) as client:
        answer = await (await client.post("/", data=PostBody(body))).json()

    assert answer == [length, True]


def test_body_is_shown_as_text() -> None:
    """What the library shows of it is what was given."""
    assert PostBody(b'{"id":1}').decode() == '{"id":1}'
