"""The question that ``search`` and ``explain`` send."""

from miroir.commands.search_options import search_body


def test_body_has_what_was_given_and_no_more() -> None:
    """An empty list of sorts is none."""
    assert search_body("star", None, [], limit=3, offset=0) == {"q": "star", "limit": 3, "offset": 0}
    assert search_body("", "year > 1", ["year:asc"], limit=0, offset=2) == {
        "q": "",
        "limit": 0,
        "offset": 2,
        "filter": "year > 1",
        "sort": ["year:asc"],
    }
