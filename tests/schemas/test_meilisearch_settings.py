"""Settings as users see them, held against what a real Meilisearch answered."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidRequestError
from schemas.meilisearch_settings import (
    DEFAULT_SETTINGS,
    RESET_ALL,
    SUB_ROUTES,
    merge_settings,
    read_setting,
    read_settings,
    validate_setting,
    validate_settings,
)

CONVERSATION = Path(__file__).parents[3] / "shared" / "fixtures" / "conversation.json.gz"

CHANGES = st.sampled_from(
    [
        {},
        {"stopWords": ["b", "a", "a"]},
        {"stopWords": None},
        {"rankingRules": ["words", "year:desc"]},
        {"typoTolerance": {"enabled": False, "minWordSizeForTypos": {"oneTypo": 3}}},
        {"typoTolerance": {"minWordSizeForTypos": None, "disableOnWords": ["x"]}},
        {"typoTolerance": None},
        {"faceting": {"sortFacetValuesBy": {"a": "count"}}},
        {"faceting": {"maxValuesPerFacet": 7}},
        {"pagination": {"maxTotalHits": None}},
        {"synonyms": {"b": ["a"], "a": ["b"]}},
        {"distinctAttribute": "genre", "facetSearch": False, "searchCutoffMs": 50},
        {"localizedAttributes": [{"attributePatterns": ["*"], "locales": ["eng"]}]},
        {"filterableAttributes": ["a", {"attributePatterns": ["b_*"]}]},
        dict(RESET_ALL),
    ]
)


def recorded() -> list[dict[str, Any]]:
    """Return the steps of the recorded conversation that are about settings."""
    if not CONVERSATION.exists():
        pytest.skip("no recorded conversation beside the checkout")
    with gzip.open(CONVERSATION) as file:
        steps: list[dict[str, Any]] = json.load(file)["steps"]
    return [step for step in steps if "/settings" in step["path"]]


def asked_setting(step: dict[str, Any]) -> str:
    """Return the name of the setting whose sub-route was asked, or an empty text."""
    segment = step["path"].partition("/settings/")[2]
    return SUB_ROUTES[segment][0] if segment in SUB_ROUTES else ""


def test_refusals_are_worded_as_recorded() -> None:
    """Code and message of every recorded refusal of a body are a single node's."""
    compared = 0
    for step in recorded():
        if step["status"] != 400 or "body" not in step:
            continue
        name = asked_setting(step)
        with pytest.raises(InvalidRequestError) as caught:
            validate_setting(name, step["body"]) if name else validate_settings(step["body"])
        assert (caught.value.code, str(caught.value)) == (step["response"]["code"], step["response"]["message"])
        compared += 1

    assert compared >= 5


def test_accepted_bodies_are_read_as_the_recorded_task_tells() -> None:
    """The form in which a setting is kept is the one a single node shows in the task's details."""
    compared = 0
    for step in recorded():
        details = step.get("task", {}).get("details", {})
        if step["status"] != 202 or "body" not in step or "embedders" in details:
            continue
        name = asked_setting(step)
        change = {name: validate_setting(name, step["body"])} if name else validate_settings(step["body"])
        assert change == {key: details[key] for key in change}
        compared += 1

    assert compared >= 10


def test_defaults_are_the_recorded_ones_in_their_order() -> None:
    """An index nobody changed answers what a single node's does, field by field."""
    answers = [s["response"] for s in recorded() if s["path"].endswith("/settings") and s["method"] == "GET"]

    assert list(answers[0].items()) == list(DEFAULT_SETTINGS.items())


@given(CHANGES, CHANGES)
def test_merge_gives_whole_settings_and_twice_is_once(first: dict[str, Any], second: dict[str, Any]) -> None:
    """A repeat of a change changes nothing more, and no setting is ever missing."""
    before = merge_settings(DEFAULT_SETTINGS, validate_settings(first))
    change = validate_settings(second)

    once = merge_settings(before, change)

    assert merge_settings(once, change) == once
    assert list(once) == list(DEFAULT_SETTINGS)


@given(CHANGES)
def test_reset_of_all_gives_the_defaults(change: dict[str, Any]) -> None:
    """A null takes back whatever was set."""
    assert merge_settings(merge_settings(DEFAULT_SETTINGS, validate_settings(change)), RESET_ALL) == DEFAULT_SETTINGS


@pytest.mark.parametrize(
    ("change", "name", "expected"),
    [
        (
            {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 3}}},
            "typoTolerance",
            {
                "enabled": True,
                "minWordSizeForTypos": {"oneTypo": 3, "twoTypos": 9},
                "disableOnWords": [],
                "disableOnAttributes": [],
                "disableOnNumbers": False,
            },
        ),
        (
            {"faceting": {"sortFacetValuesBy": {"a": "count"}}},
            "faceting",
            {"maxValuesPerFacet": 100, "sortFacetValuesBy": {"*": "alpha", "a": "count"}},
        ),
        ({"pagination": {"maxTotalHits": 5}}, "pagination", {"maxTotalHits": 5}),
        ({"searchableAttributes": ["a", "*"]}, "searchableAttributes", ["*"]),
    ],
    ids=["typos", "facets", "pagination", "everything searchable"],
)
def test_merge_of_one_field_keeps_the_others(change: dict[str, Any], name: str, expected: object) -> None:
    """Objects that hold several settings are merged field by field, as a single node does."""
    assert merge_settings(DEFAULT_SETTINGS, validate_settings(change))[name] == expected


def test_facet_orders_are_replaced_as_a_whole() -> None:
    """As a single node does: an attribute that is not named any more is back to the order of all."""
    first = merge_settings(DEFAULT_SETTINGS, validate_settings({"faceting": {"sortFacetValuesBy": {"a": "count"}}}))

    second = merge_settings(first, validate_settings({"faceting": {"sortFacetValuesBy": {"b": "count"}}}))

    assert second["faceting"]["sortFacetValuesBy"] == {"*": "alpha", "b": "count"}


@pytest.mark.parametrize(
    "change",
    [
        {"displayedAttributes": ["_miroir"]},
        {"searchableAttributes": ["_miroir_x"]},
        {"filterableAttributes": ["a", "_miroir"]},
        {"filterableAttributes": [{"attributePatterns": ["_miroir*"]}]},
        {"sortableAttributes": ["_miroir"]},
        {"rankingRules": ["_miroir:asc"]},
        {"distinctAttribute": "_miroir"},
        {"synonyms": {"_miroir_v9": []}},
        {"faceting": {"sortFacetValuesBy": {"_miroir": "count"}}},
        {"typoTolerance": {"disableOnAttributes": ["_miroir"]}},
        {"localizedAttributes": [{"attributePatterns": ["_miroir"], "locales": ["eng"]}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_attributes_of_ours_are_refused_everywhere(change: dict[str, Any]) -> None:
    """No user's setting may touch the marker or take a version's name."""
    with pytest.raises(InvalidRequestError, match="reserved"):
        validate_settings(change)


def test_what_a_user_may_not_name_is_read_on_a_node() -> None:
    """A node is sent our marker as any other attribute."""
    assert read_settings({"filterableAttributes": ["_miroir"]}) == {"filterableAttributes": ["_miroir"]}


@pytest.mark.parametrize("name", ["chat", "foreignKeys"])
def test_setting_behind_a_switch_is_refused_by_its_feature(name: str) -> None:
    """As a node whose experimental features are off."""
    with pytest.raises(InvalidRequestError, match="experimental feature") as caught:
        read_setting(name, [])

    assert caught.value.code == "feature_not_enabled"
    assert read_setting(name, None) is None


@pytest.mark.parametrize("name", ["chat", "foreignKeys"])
def test_what_is_not_supported_yet_is_refused_by_name(name: str) -> None:
    """Clearly, instead of being kept and ignored; a reset of it is no change."""
    with pytest.raises(InvalidRequestError, match=name) as caught:
        validate_settings({name: {"default": {"source": "userProvided"}}})

    assert caught.value.code == "miroir_not_supported"
    assert merge_settings(DEFAULT_SETTINGS, validate_settings({name: None})) == DEFAULT_SETTINGS


def test_word_sizes_that_no_longer_fit_are_found_in_the_merge() -> None:
    """Each change may be right by itself and wrong together with what is there."""
    with pytest.raises(InvalidRequestError, match="oneTypo: 10") as caught:
        merge_settings(DEFAULT_SETTINGS, validate_settings({"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 10}}}))

    assert caught.value.code == "invalid_settings_typo_tolerance"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([], "Invalid value type: expected an object"),
        ({"proximityPrecision": "x"}, "Unknown value `x` at `.proximityPrecision`: expected one of `byWord`"),
        (
            {"rankingRules": ["_geoPoint(1,2):asc"]},
            "`_geoPoint` is a reserved keyword and thus can't be used as a ranking rule. `_geoPoint` can only be used",
        ),
        ({"rankingRules": ["_geo:asc"]}, "`_geo` is a reserved keyword and thus can't be used as a ranking rule"),
        ({"rankingRules": ["attribute", "wordPosition"]}, "Mixed usage of the attribute"),
        ({"pagination": {"maxTotalHits": 0}}, "but found a zero"),
        ({"localizedAttributes": [{"attributePatterns": [], "locales": ["xx"]}]}, "Unknown value `xx`"),
        ({"filterableAttributes": [{"attributePatterns": [], "features": None}]}, "expected an object, but found null"),
        ({"filterableAttributes": [{}]}, "Missing field `attributePatterns`"),
        ({"filterableAttributes": [{"attributePatterns": [], "x": 1}]}, "Unknown field `x` inside"),
        ({"filterableAttributes": [{"attributePatterns": [], "features": 3}]}, "expected an object"),
        ({"localizedAttributes": [{"attributePatterns": []}]}, "Missing field `locales`"),
        ({"searchCutoffMs": -1}, "expected a positive integer, but found a negative integer: `-1`"),
        ({"facetSearch": 1.5}, "expected a boolean, but found a number: `1.5`"),
        ({"stopWords": [None]}, "expected a string, but found null"),
    ],
    ids=str,
)
def test_wrong_values_are_named_with_their_place(change: object, words: str) -> None:
    """What was expected, what was found, and where."""
    with pytest.raises(InvalidRequestError) as caught:
        validate_settings(change)

    assert words in str(caught.value)
