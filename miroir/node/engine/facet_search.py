"""Search in the values of a facet."""

from typing import Any

from miroir.node.engine.entries import STRING
from miroir.node.engine.facets import original_text
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.tokens import facet_form


def find_values(reader: IndexReader, facet: str, query: str | None, candidates: int) -> list[dict[str, Any]]:
    """Return values and counts of a facet whose text starts as the query does."""
    wanted = facet_form(query or "")
    found = []
    for form in reader.string_values(facet):
        if form.startswith(wanted):
            count = (reader.facet(facet, STRING, form) & candidates).bit_count()
            if count:
                found.append((form, count))
    limit = reader.settings.max_values_per_facet
    if reader.settings.facet_order(facet) != "count":
        return [_hit(reader, facet, form, count) for form, count in found[:limit]]
    found.sort(key=lambda item: -item[1])
    # Among equal counts the later text goes first; of what is rarer than the last one shown no text is needed.
    rarest = found[:limit][-1][1] if found[:limit] else 0
    hits = [_hit(reader, facet, form, count) for form, count in found if count >= rarest]
    hits.sort(key=lambda hit: (hit["count"], hit["value"]), reverse=True)
    return hits[:limit]


def _hit(reader: IndexReader, facet: str, form: str, count: int) -> dict[str, Any]:
    return {"value": original_text(facet, form, reader.all_numbers(), reader), "count": count}
