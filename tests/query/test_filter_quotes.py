"""What nodes say of a filter, in the words of whoever wrote it."""

from typing import Any

import pytest

from miroir.node.protocol.errors import ApiError
from query.filter_quotes import quote_users
from query.strip import strip_message
from tests.query.embedded import EmbeddedIndex, ShardedIndex

SETTINGS = {"filterableAttributes": ["kind", "_geo"]}
DOCUMENTS = [{"id": number, "kind": "a"} for number in range(10)]


def refusal(index: EmbeddedIndex | ShardedIndex, condition: Any) -> str:
    """Return what a facet search with this filter is refused with."""
    with pytest.raises(ApiError) as caught:
        index.facet_search({"facetName": "kind", "filter": condition})
    return str(caught.value)


@pytest.mark.parametrize(
    "condition",
    [
        "_geoRadius(100,2,3)",
        "kind = a AND  _geoRadius( 100 ,2,3)",
        "kind='\"(' OR NOT (_geoRadius(1,200,3) )",
        "_geoBoundingBox([1,2],\n[300,4])",
        ["_geoRadius(100,2,3)"],
        ["kind=a", "_geoRadius(100,2,3)"],
        [["kind=a", "_geoRadius(100,2,3)"]],
    ],
)
def test_refusal_by_the_shards_nodes_is_that_of_one_node(condition: Any) -> None:
    """One text is quoted with its own blanks and the fault's place in it; of a list the print is told in any case."""
    wanted = refusal(EmbeddedIndex("films", SETTINGS, DOCUMENTS), condition)

    got = strip_message(refusal(ShardedIndex("films", SETTINGS, DOCUMENTS), condition), node_index="", index="")

    assert quote_users(got, condition) == wanted


@pytest.mark.parametrize("condition", [None, "", "kind =", "_geoPolygon([1,2],[3,4],[5,6])", "kind = b", "kind = a"])
def test_what_is_no_print_of_the_filter_is_left_alone(condition: object) -> None:
    """Also where only nodes know how to read it, or where no word stands at the place."""
    message = 'Something.\n2:3 "kind" = "a"'

    assert quote_users(message, condition) == message
