"""The background client counts what a user would have seen."""

from collections import Counter

from aiohttp import web

from miroir.known_searches import KnownSearch
from miroir.ports import HOST, free_port
from miroir.searcher import Searcher

SEARCHES = [
    KnownSearch("whole", {"q": "whole"}, frozenset({1, 2})),
    KnownSearch("part", {"q": "part"}, frozenset({1, 2})),
    KnownSearch("broken", {"q": "broken"}, frozenset({1, 2})),
    KnownSearch("garbage", {"q": "garbage"}, frozenset({1, 2})),
]


SERVED: web.AppKey[Counter[str]] = web.AppKey("served", Counter)


async def answer(request: web.Request) -> web.Response:
    """Answer each search as its name says, and count it."""
    name = (await request.json())["q"]
    request.app[SERVED][name] += 1
    match name:
        case "whole":
            return web.json_response({"hits": [{"id": 2}, {"id": 1}]})
        case "part":
            return web.json_response({"hits": [{"id": 2}]})
        case "broken":
            return web.json_response({"code": "internal"}, status=503)
        case _:
            return web.Response(text="<html>")


async def test_searcher_counts_each_search_once() -> None:
    """Complete, incomplete and failed searches are told apart, and the first faults are named."""
    app = web.Application()
    app[SERVED] = Counter()
    app.router.add_post("/indexes/x/search", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, HOST, port).start()

    async with Searcher(f"http://{HOST}:{port}", None, "x", SEARCHES) as searcher:
        await searcher.until(12, timeout_s=60.0)
    await runner.cleanup()

    counts, served = searcher.counts, app[SERVED]
    assert counts.searches == served.total() >= 12
    assert counts.incomplete == served["part"] > 0
    assert counts.failed == served["broken"] + served["garbage"] > 0
    assert any(fault.startswith("part") and "1 hits instead of 2" in fault for fault in counts.faults)


async def test_searcher_nobody_listens_counts_failures() -> None:
    """A refused connection is a failed search."""
    async with Searcher(f"http://{HOST}:{free_port()}", None, "x", SEARCHES) as searcher:
        await searcher.until(2, timeout_s=60.0)

    assert searcher.counts.failed == searcher.counts.searches > 0
