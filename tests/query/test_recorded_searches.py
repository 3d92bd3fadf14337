"""Malformed searches of a recorded conversation, judged without any node."""

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from bench.parity_fixtures import CONVERSATION, FIXTURES
from query.parameters import parse_search_parameters
from query.rules import rules_of
from query.search import parse_search
from query.validate import validate
from schemas.errors import InvalidSearchError

JUDGED_MIN = 0.9
"""Left to the nodes: filters that are none; and where in a list of filters the fault stands is told otherwise."""

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recordings at {FIXTURES}")


def _malformed() -> Iterator[Mapping[str, Any]]:
    """Yield the refused searches; the recorded index has default settings all along."""
    with gzip.open(FIXTURES / f"{CONVERSATION}.json.gz") as file:
        steps = json.load(file)["steps"]
    for step in steps:
        if urlsplit(step["path"]).path.endswith("/search") and step["status"] == 400 and "raw" not in step:
            yield step


def _judge(step: Mapping[str, Any]) -> tuple[str, str]:
    query = dict(parse_qsl(urlsplit(step["path"]).query, keep_blank_values=True))
    try:
        search = parse_search_parameters(query) if step["method"] == "GET" else parse_search(step["body"])
        validate(search, rules_of("movies", "id", {}))
    except InvalidSearchError as error:
        return error.code, str(error)
    return "", ""


def test_malformed_searches_get_the_recorded_error_before_a_node_is_asked() -> None:
    """Every one is refused with the recorded code, and nearly every one in the recorded words."""
    steps = list(_malformed())
    judged = [_judge(step) for step in steps]
    recorded = [(step["response"]["code"], step["response"]["message"]) for step in steps]

    assert [code for code, _ in judged] == [code for code, _ in recorded]
    equal = sum(one == other for one, other in zip(judged, recorded, strict=True))
    assert equal / len(steps) >= JUDGED_MIN
