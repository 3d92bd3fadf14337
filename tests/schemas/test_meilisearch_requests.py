"""Fields of request bodies: the query service and the embedded node refuse an unknown one in the same words."""

import pytest

from query.facet_search import parse_facet_search
from schemas.errors import InvalidSearchError
from schemas.meilisearch_requests import FACET_SEARCH_FIELDS, FEDERATION_FIELDS, KEY_FIELDS


@pytest.mark.parametrize("fields", [FACET_SEARCH_FIELDS, FEDERATION_FIELDS, KEY_FIELDS])
def test_fields_are_named_once_each(fields: tuple[str, ...]) -> None:
    """A message lists each of them once."""
    assert len(set(fields)) == len(fields)


def test_unknown_field_is_answered_with_the_list() -> None:
    """All of them, in order."""
    with pytest.raises(InvalidSearchError) as refused:
        parse_facet_search({"facetName": "genres", "unknown": 1})

    assert ", ".join(f"`{name}`" for name in FACET_SEARCH_FIELDS) in str(refused.value)
