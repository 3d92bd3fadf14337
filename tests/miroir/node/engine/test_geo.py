"""Places in searches: what is no place on earth."""

from typing import Any

import pytest

from schemas.errors import InvalidRequestError
from tests.query.embedded import EmbeddedIndex

SETTINGS = {"filterableAttributes": ["_geo"], "sortableAttributes": ["_geo"]}
DOCUMENTS = [{"id": 1, "_geo": {"lat": 1, "lng": 2}}]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize(
    ("search", "code"),
    [
        ({"sort": ["_geoPoint({},0):asc"]}, "invalid_search_sort"),
        ({"sort": ["_geoPoint(0,{}):asc"]}, "invalid_search_sort"),
        ({"filter": "_geoRadius({},0,1)"}, "invalid_search_filter"),
        ({"filter": "_geoRadius(0,{},1)"}, "invalid_search_filter"),
        ({"filter": "_geoRadius(0,0,{})"}, "invalid_search_filter"),
        ({"filter": "_geoBoundingBox([{},0],[0,0])"}, "invalid_search_filter"),
        ({"filter": "_geoBoundingBox([0,0],[0,{}])"}, "invalid_search_filter"),
    ],
    ids=["sort latitude", "sort longitude", "radius latitude", "radius longitude", "metres", "top", "left"],
)
def test_number_without_an_end_is_refused(search: dict[str, Any], code: str, number: str) -> None:
    """Neither a place nor a distance can be infinite, or no number: the request is told so."""
    index = EmbeddedIndex("places", SETTINGS, DOCUMENTS)
    ((name, value),) = search.items()
    text = (value if isinstance(value, str) else value[0]).format(number)

    with pytest.raises(InvalidRequestError) as refused:
        index.search({name: text if isinstance(value, str) else [text]})

    assert refused.value.code == code
