"""The settings of an index on its nodes: the user's, opened where merging needs it, and marked with their version.

=========================== ==============================================================================
``displayedAttributes``     everything: a merge needs sort values that the user may have hidden
``filterableAttributes``    and the shard marker, first: a user's pattern that matches it must not rule it
``faceting``                at least 10,000 values a facet: a node cuts before the merge adds up
``embedders``               those that went by name, with null, or a node would keep them
``synonyms``                and an entry without synonyms, ``_miroir_v<version>``
=========================== ==============================================================================

The entry tells which settings a node has: it is stored with them at once or not at all, re-indexes nothing and changes
no search. Nothing else on a node could: a task that has succeeded says nothing about a disk that was swapped since.

What always holds: ``settings_version_of`` what was built is the version it was built with. Who calls it: the controller
applies them, workers look at the version before they post. It must not know: how they get to a node.
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.ids import SettingsVersion
from schemas.meilisearch_embedders import node_embedders
from streams.marker import MARKER_FIELD

FACET_VALUES_MIN = 10_000
"""Far more values than a page shows, so that a node's cut hardly ever takes what the sum needs."""

_VERSION = re.compile(r"_miroir_v(\d{1,19})")


def build_node_settings(settings: Mapping[str, Any], version: SettingsVersion) -> dict[str, Any]:
    """Return what a node is sent: every setting, so that the node's own earlier ones do not matter.

    Args:
        settings: the user's, whole.
        version: theirs.
    """
    faceting = settings["faceting"]
    return {
        **settings,
        "displayedAttributes": ["*"],
        "filterableAttributes": [MARKER_FIELD, *settings["filterableAttributes"]],
        "faceting": {**faceting, "maxValuesPerFacet": max(faceting["maxValuesPerFacet"], FACET_VALUES_MIN)},
        "embedders": node_embedders(settings["embedders"]),
        "synonyms": {**settings["synonyms"], f"_miroir_v{version}": []},
    }


def settings_version_of(synonyms: Mapping[str, Any]) -> SettingsVersion | None:
    """Return the version that a node's synonyms carry; None where they are not ours."""
    for name in synonyms:
        if found := _VERSION.fullmatch(name):
            return SettingsVersion(int(found[1]))
    return None
