"""Inference of the primary key."""

import pytest

from query.primary_key import infer_primary_key
from schemas.errors import InvalidRequestError


@pytest.mark.parametrize("names", [["id"], ["title", "movie_id"], ["MovieID", "a"], ["ident", "uuid"]])
def test_one_field_that_ends_with_id_is_inferred(names: list[str]) -> None:
    """The one field whose name ends with id, in any case, is the primary key."""
    assert infer_primary_key(names).lower().endswith("id")


def test_no_field_that_ends_with_id_is_refused() -> None:
    """Without a candidate the user is told how to name one."""
    with pytest.raises(InvalidRequestError, match="did not find any field") as caught:
        infer_primary_key(["a", "idea"])

    assert caught.value.code == "index_primary_key_no_candidate_found"


def test_refusal_advises_what_its_caller_takes() -> None:
    """Who has no query parameters names the way that there is."""
    with pytest.raises(InvalidRequestError, match=r"`id` in its name\. Name it with --id\.$"):
        infer_primary_key(["a"], advice="Name it with --id.")


def test_two_fields_that_end_with_id_are_refused() -> None:
    """Two candidates are named; the words are Meilisearch's."""
    with pytest.raises(InvalidRequestError, match="found 2 fields ending with `id` in their names: 'a_id' and 'b_id'"):
        infer_primary_key(["b_id", "a_id", "t"])
