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
    if reader.settings.facet_order(facet) == "count":
        found.sort(key=lambda item: (-item[1], item[0]))
    return [
        {"value": original_text(facet, form, reader.all_numbers(), reader), "count": count}
        for form, count in found[: reader.settings.max_values_per_facet]
    ]
