"""Searches over the sample films whose whole answer follows from the documents themselves.

What always holds: an answer is judged by the ids that must be in it, computed here from what is in the log, never by
what the answer says of itself. Who calls it: the demonstration. It must not know: who is searched.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

LIMIT = 5000
"""Above the number of films, so that no answer is cut."""

SETTINGS: Mapping[str, Any] = {
    "filterableAttributes": ["genre", "year", "director", "imdb_rating", "mpaa"],
    "sortableAttributes": ["year", "imdb_rating", "worldwide_gross"],
    "searchableAttributes": ["title", "director", "distributor", "genre"],
    "pagination": {"maxTotalHits": LIMIT},
}
"""What the searches here need of the index."""


class Verdict(Enum):
    """What an answer is worth."""

    COMPLETE = auto()
    INCOMPLETE = auto()
    """It lacks a document that it must have, or has one that it must not have."""


@dataclass(frozen=True, slots=True)
class KnownSearch:
    """A search body, and the ids of the documents that match it."""

    name: str
    body: Mapping[str, Any]
    ids: frozenset[int]


_FILTERS: Sequence[tuple[str, Callable[[Mapping[str, Any]], bool]]] = (
    ('genre = "Western"', lambda film: film.get("genre") == "Western"),
    ('genre = "Documentary" AND year >= 2000', lambda film: film.get("genre") == "Documentary" and _year(film) >= 2000),  # noqa: PLR2004
    ('director = "Steven Spielberg"', lambda film: film.get("director") == "Steven Spielberg"),
    ("imdb_rating > 8.4", lambda film: (film.get("imdb_rating") or 0.0) > 8.4),  # noqa: PLR2004
    ('mpaa IN ["G", "NC-17"]', lambda film: film.get("mpaa") in {"G", "NC-17"}),
    ("year 1970 TO 1975", lambda film: 1970 <= _year(film) <= 1975),  # noqa: PLR2004
    ("director NOT EXISTS AND year = 1999", lambda film: "director" not in film and _year(film) == 1999),  # noqa: PLR2004
)
"""Filters as Meilisearch reads them, and as Python does; the numbers are the films'."""


def build_searches(films: Iterable[Mapping[str, Any]]) -> Sequence[KnownSearch]:
    """Return searches by filter, and one for all films last; each matches at least one film."""
    known = list(films)
    body = {"limit": LIMIT, "attributesToRetrieve": ["id"]}
    searches = [
        KnownSearch(text, {**body, "filter": text}, frozenset(film["id"] for film in known if matches(film)))
        for text, matches in _FILTERS
    ]
    return [*searches, KnownSearch("all films", body, frozenset(film["id"] for film in known))]


def judge(search: KnownSearch, answer: Mapping[str, Any]) -> Verdict:
    """Return what an answer is worth: its hits must be exactly the documents that match, each once."""
    found = [hit.get("id") for hit in answer.get("hits", ())]
    complete = len(found) == len(search.ids) and search.ids == set(found)
    return Verdict.COMPLETE if complete else Verdict.INCOMPLETE


def _year(film: Mapping[str, Any]) -> int:
    return int(film.get("year") or 0)
