"""Facets of several indexes, added up."""

from miroir.node.engine.merged_facets import merge_facets

FILMS = {"distribution": {"kind": {"b": 3, "a": 2}, "year": {"1999": 1}}, "stats": {"year": {"min": 1999, "max": 1999}}}
BOOKS = {"distribution": {"kind": {"c": 9, "a": 2}, "year": {"2001": 2}}, "stats": {"year": {"min": 2001, "max": 2001}}}


def test_values_are_added_up_ordered_and_then_cut() -> None:
    """By count or by text, as the facet says; the smallest and the largest number are those of all."""
    found = merge_facets([FILMS, BOOKS], {"kind": "count", "year": "alpha"}, 2)

    assert list(found["facetDistribution"]) == ["kind", "year"]
    assert list(found["facetDistribution"]["kind"].items()) == [("c", 9), ("a", 4)]
    assert list(found["facetDistribution"]["year"].items()) == [("1999", 1), ("2001", 2)]
    assert found["facetStats"] == {"year": {"min": 1999, "max": 2001}}
    assert FILMS["stats"] == {"year": {"min": 1999, "max": 1999}}
