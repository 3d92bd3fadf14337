"""Fields of request bodies: the query service and the embedded node refuse an unknown one in the same words."""

import pytest

from query.multi_search import parse_multi_search
from schemas.errors import InvalidSearchError
from schemas.meilisearch_requests import FACET_SEARCH_FIELDS, FEDERATION_FIELDS, KEY_FIELDS


@pytest.mark.parametrize("fields", [FACET_SEARCH_FIELDS, FEDERATION_FIELDS, KEY_FIELDS])
def test_fields_are_named_once_each(fields: tuple[str, ...]) -> None:
    """A message lists each of them once."""
    assert len(set(fields)) == len(fields)


def test_unknown_field_of_a_federation_is_answered_with_the_list() -> None:
    """All of them, in order."""
    with pytest.raises(InvalidSearchError) as refused:
        parse_multi_search({"federation": {"unknown": 1}, "queries": []})

    assert ", ".join(f"`{name}`" for name in FEDERATION_FIELDS) in str(refused.value)
