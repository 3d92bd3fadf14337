"""What nodes are sent beside the user's settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import SettingsVersion
from schemas.meilisearch_settings import DEFAULT_SETTINGS, merge_settings, validate_settings
from streams.marker import MARKER_FIELD
from streams.node_settings import FACET_VALUES_MIN, build_node_settings, settings_version_of


@given(st.integers(0, 2**62))
def test_version_of_what_was_built_is_the_version(version: int) -> None:
    """What a node reports tells which settings it has."""
    built = build_node_settings(DEFAULT_SETTINGS, SettingsVersion(version))

    assert settings_version_of(built["synonyms"]) == version


@pytest.mark.parametrize("synonyms", [{}, {"a": ["b"]}, {"_miroir_v": []}, {"_miroir_vx": []}, {"x_miroir_v1": []}])
def test_version_of_foreign_synonyms_is_none(synonyms: dict[str, list[str]]) -> None:
    """A node that was never given settings by us has no version."""
    assert settings_version_of(synonyms) is None


def test_nodes_show_everything_and_filter_by_the_marker_first() -> None:
    """A user's pattern that matches every attribute must not rule the marker: the first that matches counts."""
    pattern = {"attributePatterns": ["*"], "features": {"filter": {"equality": False}}}
    settings = merge_settings(
        DEFAULT_SETTINGS,
        validate_settings({"displayedAttributes": ["title"], "filterableAttributes": [pattern, "year"]}),
    )

    built = build_node_settings(settings, SettingsVersion(1))

    assert built["displayedAttributes"] == ["*"]
    assert built["filterableAttributes"][0] == MARKER_FIELD
    assert built["filterableAttributes"][1:] == settings["filterableAttributes"]


@pytest.mark.parametrize(("asked", "sent"), [(5, FACET_VALUES_MIN), (FACET_VALUES_MIN + 1, FACET_VALUES_MIN + 1)])
def test_nodes_cut_facets_no_earlier_than_the_merge_can_bear(asked: int, sent: int) -> None:
    """A user's larger number stays; the order of facet values is the user's."""
    change = {"faceting": {"maxValuesPerFacet": asked, "sortFacetValuesBy": {"a": "count"}}}

    built = build_node_settings(merge_settings(DEFAULT_SETTINGS, validate_settings(change)), SettingsVersion(1))

    assert built["faceting"] == {"maxValuesPerFacet": sent, "sortFacetValuesBy": {"*": "alpha", "a": "count"}}


def test_nodes_are_sent_every_setting() -> None:
    """Whatever a node had before does not matter."""
    built = build_node_settings(DEFAULT_SETTINGS, SettingsVersion(1))

    assert built.keys() == DEFAULT_SETTINGS.keys()
    assert DEFAULT_SETTINGS["synonyms"] == {}
