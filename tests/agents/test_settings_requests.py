"""Settings that are asked for, and settings that a node does not take."""

from dataclasses import replace

import pytest

from agents.settings_requests import FORMER_BYTES_MAX, refuse_settings
from schemas.events import AnswerRecord, ClusterValue, IndexState
from schemas.ids import Incarnation, Offset, SettingsVersion, node_index_uid
from schemas.meilisearch_settings import DEFAULT_SETTINGS
from schemas.requests import UpdateSettings
from tests.agents.clusters import MOVIES, World, cluster_of, world_with_index


def test_settings_change_is_merged_into_a_new_version() -> None:
    """The record holds the whole; the index points to its version."""
    made = world_with_index()

    made.answer(UpdateSettings(MOVIES, {"sortableAttributes": ["year"]}), 2)
    made.answer(UpdateSettings(MOVIES, {"stopWords": ["the"]}), 3)

    settings = made.topology.settings(MOVIES)
    assert settings is not None
    assert settings.settings == {**DEFAULT_SETTINGS, "sortableAttributes": ["year"], "stopWords": ["the"]}
    assert settings.version == made.topology.index(MOVIES).settings_version == 3


@pytest.mark.parametrize(
    ("patch", "code", "words"),
    [
        ({"nope": 1}, "bad_request", "Unknown field `nope`"),
        ({"stopWords": 1}, "invalid_settings_stop_words", ".stopWords"),
        ({"filterableAttributes": ["_miroir"]}, "invalid_settings_filterable_attributes", "reserved"),
        (
            {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 10}}},
            "invalid_settings_typo_tolerance",
            "Index `movies`: `minWordSizeForTypos` setting is invalid.",
        ),
    ],
    ids=["unknown", "wrong type", "reserved", "fits no longer"],
)
def test_settings_that_cannot_be_are_refused(patch: dict[str, object], code: str, words: str) -> None:
    """Code and message are Meilisearch's; the settings stay as they were."""
    made = world_with_index()

    answer = made.answer(UpdateSettings(MOVIES, patch), 2).answer

    assert answer.code == code
    assert words in answer.message
    assert made.topology.index(MOVIES).settings_version == 1


def refuse_in(made: World, version: int) -> tuple[ClusterValue, ...]:
    """Write that a node refused settings of the films."""
    name = node_index_uid(MOVIES, Incarnation(1))
    values = refuse_settings(made.topology, name, SettingsVersion(version), code="invalid_x", message="bad")
    made.topology = cluster_of(*made.topology.entities.values(), *values)
    return values


def test_refused_settings_make_room_for_those_before_them() -> None:
    """The client's task fails as in Meilisearch, the former settings are in force again, and it is written once."""
    made = world_with_index()
    before = made.topology.settings(MOVIES)
    made.answer(UpdateSettings(MOVIES, {"filterableAttributes": ["_geo"]}), 2)

    refuse_in(made, 2)

    assert made.topology.answer(Offset(2)) == AnswerRecord(Offset(2), accepted=False, code="invalid_x", message="bad")
    assert made.topology.settings(MOVIES) == before
    index = made.topology.index(MOVIES)
    assert (index.settings_version, index.state) == (1, IndexState.ACTIVE)
    assert "bad" in index.reason
    assert refuse_in(made, 2) == ()


def test_refusal_that_was_torn_is_made_again() -> None:
    """Whatever was written of it, what follows leads to the same cluster."""
    made = world_with_index()
    made.answer(UpdateSettings(MOVIES, {"filterableAttributes": ["_geo"]}), 2)
    start = made.topology
    values = refuse_in(made, 2)
    whole = made.topology

    for cut in range(len(values)):
        made.topology = cluster_of(*start.entities.values(), *values[:cut])
        refuse_in(made, 2)
        assert made.topology == whole


def test_refused_settings_without_former_ones_stand_and_say_so_once() -> None:
    """A primary key is not taken back: the index says what to do, and nothing is written again."""
    made = world_with_index()
    made.answer(UpdateSettings(MOVIES, {"filterableAttributes": ["_geo"]}), 2)
    settings = made.topology.settings(MOVIES)
    assert settings is not None
    made.topology = cluster_of(*made.topology.entities.values(), replace(settings, former=None))

    refuse_in(made, 2)

    assert made.topology.index(MOVIES).settings_version == 2
    assert "send other settings" in made.topology.index(MOVIES).reason
    assert refuse_in(made, 2) == ()


def test_large_settings_are_not_kept_beside_those_that_follow() -> None:
    """A record that holds two of them would not fit a broker's default size."""
    made = world_with_index()
    made.answer(UpdateSettings(MOVIES, {"stopWords": ["x" * FORMER_BYTES_MAX]}), 2)
    made.answer(UpdateSettings(MOVIES, {"stopWords": None}), 3)

    settings = made.topology.settings(MOVIES)
    assert settings is not None
    assert settings.former is None


@pytest.mark.parametrize(
    ("incarnation", "version"), [(1, 1), (9, 2), (1, 7)], ids=["creation", "another index", "of the past"]
)
def test_refused_settings_of_the_past_write_nothing(incarnation: int, version: int) -> None:
    """Only the present settings of the present index are spoken of."""
    made = world_with_index()
    made.answer(UpdateSettings(MOVIES, {"filterableAttributes": ["_geo"]}), 2)
    name = node_index_uid(MOVIES, Incarnation(incarnation))

    assert refuse_settings(made.topology, name, SettingsVersion(version), code="c", message="m") == ()


def test_other_settings_take_the_reason_of_refused_ones_away() -> None:
    """What is active and has new settings has no fault that is known."""
    made = world_with_index()
    shown = replace(made.topology.index(MOVIES), reason="settings version 2 cannot be applied")
    made.topology = cluster_of(*made.topology.entities.values(), shown)

    made.answer(UpdateSettings(MOVIES, {}), 3)

    assert made.topology.index(MOVIES).reason == ""
