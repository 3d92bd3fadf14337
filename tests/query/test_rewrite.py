"""What one node is asked."""

import pytest

from query.rewrite import facet_patterns, rewrite, with_shards
from query.rules import IndexRules, rules_of
from query.search import SearchRequest
from schemas.ids import ShardId
from streams.marker import marker_of, shards_filter

RULES = IndexRules(index="films", primary_key="id", filterable=("genre", "o"), hits_max=100)
HIDING = IndexRules(index="films", primary_key="id", displayed=("title", "o.k"))
SHARDS = [ShardId(0), ShardId(2)]
OWN = shards_filter(SHARDS)


def test_merged_search_asks_for_the_head_of_the_list() -> None:
    """A window somewhere becomes one from the best hit on, with score details and the shards' filter."""
    body = rewrite(SearchRequest(q="a", offset=40, limit=20), rules=RULES, shards=SHARDS).body

    assert (body["offset"], body["limit"]) == (0, 60)
    assert body["showRankingScoreDetails"] is True
    assert body["filter"] == [OWN]
    assert body["attributesToRetrieve"] == ["*"]


def test_paged_search_stays_paged_for_exact_totals() -> None:
    """Page mode asks the nodes in page mode, since only then they count exactly."""
    body = rewrite(SearchRequest(page=3, hits_per_page=10), rules=RULES, shards=SHARDS).body

    assert (body["page"], body["hitsPerPage"]) == (1, 30)
    assert "limit" not in body


@pytest.mark.parametrize(
    "search",
    [
        SearchRequest(offset=500, limit=20),
        SearchRequest(limit=0),
        SearchRequest(page=0),
        SearchRequest(offset=9, limit=0),
    ],
    ids=["behind maximum", "no limit", "page 0", "offset without limit"],
)
def test_search_without_hits_asks_for_none(search: SearchRequest) -> None:
    """Where no hit can be shown, the nodes only count."""
    body = rewrite(search, rules=RULES, shards=SHARDS).body

    assert body.get("limit", body.get("hitsPerPage")) == 0


def test_window_is_cut_at_the_users_maximum() -> None:
    """No more is asked for than ``maxTotalHits`` lets anyone see."""
    assert rewrite(SearchRequest(offset=90, limit=50), rules=RULES, shards=SHARDS).body["limit"] == 100


def test_whole_index_on_one_node_is_asked_as_the_user_asked() -> None:
    """A node with all shards gets the user's window and no filter of ours."""
    body = rewrite(SearchRequest(q="a", offset=40, limit=20), rules=RULES, shards=None).body

    assert (body["offset"], body["limit"]) == (40, 20)
    assert body["showRankingScoreDetails"] is False
    assert "filter" not in body


def test_longer_head_can_be_asked_for() -> None:
    """A page left short by distinct values is asked for again with more hits."""
    assert rewrite(SearchRequest(), rules=RULES, shards=SHARDS, length=80).body["limit"] == 80


FILTERS: dict[str, tuple[object, list[object]]] = {
    "none": (None, [OWN]),
    "blank": (" ", [OWN]),
    "empty list": ([], [OWN]),
    "list of empty list": ([[]], [OWN]),
    "text": ("a = 1 OR b = 2", ["a = 1 OR b = 2", OWN]),
    "list": (["a = 1", ["b = 2", "c = 3"]], ["a = 1", ["b = 2", "c = 3"], OWN]),
}


@pytest.mark.parametrize(("own", "combined"), FILTERS.values(), ids=FILTERS.keys())
def test_users_filter_and_shards_are_both_asked(own: object, combined: list[object]) -> None:
    """Whatever the form of the user's filter, the shards' filter is one more condition beside it."""
    assert with_shards(own, SHARDS) == combined


def test_query_text_never_holds_a_marker() -> None:
    """A text with a private-use character cannot find the marker."""
    assert rewrite(SearchRequest(q=f"a{marker_of(ShardId(2))}b"), rules=RULES, shards=None).body["q"] == "ab"


RETRIEVED = {
    "chosen, id added": (SearchRequest(attributes_to_retrieve=("title",)), RULES, ["title", "id"]),
    "none, id added": (SearchRequest(attributes_to_retrieve=()), RULES, ["id"]),
    "distinct added": (SearchRequest(attributes_to_retrieve=("id",), distinct="genre"), RULES, ["id", "genre"]),
    "displayed only": (SearchRequest(), HIDING, ["title", "o.k", "id"]),
    "hidden left out": (SearchRequest(attributes_to_retrieve=("title", "year")), HIDING, ["title", "id"]),
    "parent left out": (SearchRequest(attributes_to_retrieve=("o",)), HIDING, ["id"]),
    "nested left out": (SearchRequest(attributes_to_retrieve=("title.k", "o.k.l")), HIDING, ["id"]),
    "nested of all": (SearchRequest(attributes_to_retrieve=("title.k", "o")), RULES, ["title.k", "o", "id"]),
    "star narrowed": (SearchRequest(attributes_to_retrieve=("*",)), HIDING, ["title", "o.k", "id"]),
    "marker left out": (SearchRequest(attributes_to_retrieve=("_miroir", "_miroir.x")), RULES, ["id"]),
}


@pytest.mark.parametrize(("search", "rules", "retrieved"), RETRIEVED.values(), ids=RETRIEVED.keys())
def test_retrieved_is_what_may_be_shown_and_what_merging_needs(
    search: SearchRequest, rules: IndexRules, retrieved: list[str]
) -> None:
    """Attributes are narrowed to the displayed ones and widened by the id and the distinct value."""
    assert rewrite(search, rules=rules, shards=SHARDS).body["attributesToRetrieve"] == retrieved


def test_formats_are_narrowed_to_displayed_attributes() -> None:
    """Highlighting and cropping cannot show what is hidden, nor the marker; lengths stay with their attributes."""
    search = SearchRequest(attributes_to_highlight=("*", "year"), attributes_to_crop=("*:3", "year:2", "_miroir"))

    body = rewrite(search, rules=HIDING, shards=SHARDS).body

    assert body["attributesToHighlight"] == ["title", "o.k"]
    assert body["attributesToCrop"] == ["title:3", "o.k:3"]
    assert (body["cropLength"], body["cropMarker"]) == (10, "…")


def test_crop_with_a_length_that_is_none_crops_its_attribute() -> None:
    """What stands behind the last colon is no part of a name; nodes take the usual length for what is no number."""
    search = SearchRequest(attributes_to_crop=("title:x", "title:-1", "o.k:", "year:x"))

    assert rewrite(search, rules=HIDING, shards=SHARDS).body["attributesToCrop"] == ["title:x", "title:-1", "o.k:"]


def test_facet_star_is_written_out_without_the_marker() -> None:
    """``*`` means the user's filterable attributes, not the nodes'."""
    assert facet_patterns(["*", "genre"], RULES) == ["genre", "o"]


def test_rules_of_settings_fill_in_defaults() -> None:
    """Absent and null settings mean Meilisearch's defaults; patterns without any operator cannot be filtered by."""
    rules = rules_of(
        "films",
        "id",
        {
            "displayedAttributes": None,
            "filterableAttributes": [
                "a",
                {"attributePatterns": ["b.*"], "features": {"filter": {"equality": True, "comparison": False}}},
                {"attributePatterns": ["c"], "features": {"filter": {"equality": False, "comparison": False}}},
            ],
            "faceting": {"maxValuesPerFacet": 7, "sortFacetValuesBy": {"*": "alpha", "b.x": "count"}},
        },
    )

    assert rules.displayed == ("*",)
    assert rules.filterable == ("a", "b.*")
    assert (rules.facet_values_max, rules.hits_max) == (7, 1000)
    assert [rules.facet_order(name) for name in ("a", "b.x")] == ["alpha", "count"]
