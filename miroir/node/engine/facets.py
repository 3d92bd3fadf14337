"""Facets: counts of values among the candidates, stats of numbers, search in values.

What always holds: a document counts once per value. Source: ``ranking.md`` section 6. Who calls it: searches.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from miroir.node.engine import bitmaps
from miroir.node.engine.entries import EXISTS, NUMBER, STATE, STRING
from miroir.node.engine.facet_tree import by_count
from miroir.node.engine.flatten import flatten
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.tokens import facet_form
from miroir.node.protocol.errors import ApiError
from schemas.attribute_patterns import is_within, matches

TEXT_ORDER_MAX = 3000
"""Up to so many candidates the real node walks documents and orders numbers as text."""


def check_facets(names: Sequence[str], reader: IndexReader, prefix: str = "") -> None:
    """Refuse facets that are not filterable.

    Raises:
        ApiError: no entry of ``filterableAttributes`` and the facet may stand for a same field.
    """
    entries = reader.settings.filterable
    for name in names:
        refused = next((at for at, entry in enumerate(entries) if entry.is_filterable and entry.meets(name)), None)
        if refused is None:
            closed = (at for at, entry in enumerate(entries) if not entry.is_filterable and entry.covers(name))
            raise _not_filterable(name, next(closed, None), reader, prefix)


def _not_filterable(name: str, place: int | None, reader: IndexReader, prefix: str) -> ApiError:
    listed = sorted({p for entry in reader.settings.filterable if entry.is_filterable for p in entry.patterns})
    if place is not None:
        reason = (
            f"Attribute `{name}` matched rule #{place} in filterableAttributes, but this rule does not enable"
            " filtering.\n"
            f"Hint: enable filtering in rule #{place} by modifying the features.filter object\n"
            f"Hint: prepend another rule matching `{name}` with appropriate filter features before rule #{place}"
        )
    elif listed:
        known = ", ".join(listed)
        reason = f"Pattern `{name}` is not filterable. Available filterable attributes patterns are: `{known}`."
    else:
        reason = f"Pattern `{name}` is not filterable. This index does not have configured filterable attributes."
    return ApiError("invalid_search_facets", f"{prefix}Invalid facet distribution: {reason}")


def facet_orders(names: Sequence[str], reader: IndexReader) -> dict[str, str]:
    """Return the fields that facet names and patterns stand for, rising, with the order of their values.

    A field nested in a named one comes with it, in the order of all fields.
    """
    settings = reader.settings
    usual = settings.facet_orders.get("*", "alpha")
    fields = [
        name
        for name in reader.fields_with_facets()
        if (entry := settings.filter_pattern(name)) is not None and entry.is_filterable
    ]
    named = {name for name in fields if any(matches(name, pattern) for pattern in names)}
    return {
        name: settings.facet_order(name) if name in named else usual
        for name in fields
        if any(is_within(name, parent) for parent in named)
    }


def distribution(
    names: Sequence[str], candidates: int, reader: IndexReader
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Return counts and stats of the named facets over ``candidates``."""
    limit = reader.settings.max_values_per_facet
    counts: dict[str, dict[str, int]] = {}
    stats: dict[str, dict[str, float]] = {}
    for field, order in facet_orders(names, reader).items():
        # By count the values are asked for again, in another order.
        numbers, texts = _counts(field, candidates, reader, 0 if order == "count" else limit)
        if numbers:
            stats[field] = {"min": min(numbers), "max": max(numbers)}
        if not reader.facet(field, STATE, EXISTS):
            continue
        counts[field] = _cut(field, order, candidates, numbers, texts, reader, limit)
    return counts, stats


def _counts(
    field: str, candidates: int, reader: IndexReader, texts_max: int
) -> tuple[dict[float, int], dict[str, int]]:
    """Return the counts of a field's numbers, and of its first texts."""
    if candidates.bit_count() <= _WALK_MAX:
        return _walk(field, candidates, reader)
    numbers = {}
    for value, documents in reader.facet_values(field, NUMBER):
        if count := (documents & candidates).bit_count():
            numbers[value] = count
    texts = ((value, (documents & candidates).bit_count()) for value, documents in reader.facet_values(field, STRING))
    return numbers, dict(islice(((value, count) for value, count in texts if count), texts_max))


_WALK_MAX = 100
"""Up to so many candidates reading the documents beats reading all values."""


def _walk(field: str, candidates: int, reader: IndexReader) -> tuple[dict[float, int], dict[str, int]]:
    numbers: dict[float, int] = {}
    texts: dict[str, int] = {}
    for number in bitmaps.members(candidates):
        own_numbers, own_texts = set(), set()
        for leaf in _leaves(reader.document(number), field):
            if isinstance(leaf, bool):
                own_texts.add("true" if leaf else "false")
            elif isinstance(leaf, str):
                if form := facet_form(leaf):
                    own_texts.add(form)
            elif leaf is not None:
                own_numbers.add(float(leaf))
        for value in own_numbers:
            numbers[value] = numbers.get(value, 0) + 1
        for text in own_texts:
            texts[text] = texts.get(text, 0) + 1
    return dict(sorted(numbers.items())), dict(sorted(texts.items(), key=lambda item: item[0].encode()))


def _leaves(document: dict[str, Any], field: str) -> Sequence[Any]:
    top = field.split(".", maxsplit=1)[0]
    if top in document:
        return flatten({top: document[top]}).get(field, ())
    return flatten(document).get(field, ())


def _cut(
    field: str,
    order: str,
    candidates: int,
    numbers: dict[float, int],
    texts: dict[str, int],
    reader: IndexReader,
    limit: int,
) -> dict[str, int]:
    if order == "count":
        number_items = list(islice(by_count(reader.facet_values(field, NUMBER), candidates), limit))
        # The real node forgets the limit for texts where numbers alone reach it.
        room = limit - len(number_items) if len(number_items) < limit else None
        text_items = list(islice(by_count(reader.facet_values(field, STRING), candidates), room))
    else:
        number_items = list(numbers.items())
        if candidates.bit_count() <= TEXT_ORDER_MAX:
            number_items.sort(key=lambda item: facet_number_text(item[0]))
        number_items = number_items[:limit]
        text_items = list(texts.items())[: limit - len(number_items)]
    shown = {facet_number_text(value): count for value, count in number_items}
    for form, count in text_items:
        shown[original_text(field, form, candidates, reader)] = count
    return shown


def original_text(field: str, form: str, among: int, reader: IndexReader) -> str:
    """Return a facet value as its lowest-numbered document among ``among`` spells it."""
    found = reader.facet(field, STRING, form) & among
    if found:
        number = (found & -found).bit_length() - 1
        leaves = _leaves(reader.document(number), field)
        # Of several spellings in one document the real node keeps the last.
        return next((leaf for leaf in reversed(leaves) if isinstance(leaf, str) and facet_form(leaf) == form), form)
    return form


def facet_number_text(number: float) -> str:
    """Return the shortest text of a number, never with an exponent: ``1999``, ``9.5``."""
    text = format(Decimal(repr(number)), "f")
    return text.removesuffix(".0")
