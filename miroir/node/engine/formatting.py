"""``_formatted`` and ``_matchesPosition`` of a hit.

What always holds: texts are marked and cropped one leaf at a time; numbers become text, booleans and null stay. Source:
``ranking.md`` section 7. Who calls it: searches.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from miroir.node.engine.cropping import crop_window
from miroir.node.engine.display import select
from miroir.node.engine.flatten import leaf_text
from miroir.node.engine.marks import Matcher, build_matcher, marking_tokenizer
from miroir.node.engine.ranking.matching import Match
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.search_request import SearchRequest
from miroir.node.protocol.values import SIZE_MAX, parse_digits
from schemas.attribute_patterns import is_within


class Format(NamedTuple):
    """What happens to a field's text: ``crop`` is a number of words, or None."""

    highlight: bool
    crop: int | None


class Formatter:
    """Formats the hits of one search."""

    def __init__(
        self, reader: IndexReader, request: SearchRequest, names: Sequence[str] | None, match: Match | None
    ) -> None:
        self._request = request
        self._names = names
        self._matcher: Matcher = build_matcher(match)
        self._tokenizer = marking_tokenizer(reader)
        self._displayed = reader.settings.displayed
        self._formats = _formats(reader, request)

    def format(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields to add to a hit."""
        added: dict[str, Any] = {}
        if self._formats:
            names = None if self._names is None else (*self._names, *self._formats)
            shown = select(document, names, strict=True)
            added["_formatted"] = {key: self._format_value(value, key) for key, value in shown.items()}
        if self._request.show_positions:
            positions: dict[str, list[dict[str, Any]]] = {}
            displayed = select(document, None if "*" in self._displayed else self._displayed)
            for key, value in displayed.items():
                self._collect(value, key, (), positions)
            added["_matchesPosition"] = positions
        return added

    def _format_value(self, value: Any, path: str) -> Any:
        match value:
            case dict():
                return {key: self._format_value(item, f"{path}.{key}") for key, item in value.items()}
            case list():
                return [self._format_value(item, path) for item in value]
            case None | bool():
                return value
            case _:
                text = leaf_text(value) or ""
                return self._format_text(text, self._format_of(path))

    def _format_of(self, path: str) -> Format:
        highlight, crop = False, None
        for name, own in self._formats.items():
            if is_within(path, name) or is_within(name, path):
                highlight = highlight or own.highlight
                crop = own.crop if crop is None else crop
        return Format(highlight, crop)

    def _format_text(self, text: str, how: Format) -> str:
        if not how.highlight and not how.crop:
            return text
        tokens = list(self._tokenizer.tokens(text))
        marks = self._matcher.marks(tokens, text)
        start, end = 0, len(text)
        if how.crop:
            start, end = crop_window(tokens, marks, how.crop, len(text))
        pieces = [self._request.crop_marker if start > 0 else ""]
        place = start
        for mark in marks if how.highlight else ():
            token_end = tokens[mark.last_token].end
            if mark.start < start or token_end > end:
                continue
            pieces += [text[place : mark.start], self._request.pre_tag, text[mark.start : mark.end]]
            pieces += [self._request.post_tag, text[mark.end : token_end]]
            place = token_end
        pieces += [text[place:end], self._request.crop_marker if end < len(text) else ""]
        return "".join(pieces)

    def _collect(self, value: Any, path: str, indices: tuple[int, ...], found: dict[str, list[dict[str, Any]]]) -> None:
        match value:
            case dict():
                for key, item in value.items():
                    self._collect(item, f"{path}.{key}", indices, found)
            case list():
                for place, item in enumerate(value):
                    self._collect(item, path, (*indices, place), found)
            case None | bool():
                return
            case _:
                text = leaf_text(value) or ""
                own: list[dict[str, Any]] = []
                for mark in self._matcher.marks(list(self._tokenizer.tokens(text)), text):
                    start = len(text[: mark.start].encode())
                    entry: dict[str, Any] = {"start": start, "length": len(text[mark.start : mark.end].encode())}
                    if indices:
                        entry["indices"] = list(indices)
                    own.append(entry)
                if own:
                    # Each element of an array takes the place of the one before it, as on the real node.
                    found[path] = own


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _formats(reader: IndexReader, request: SearchRequest) -> dict[str, Format]:
    """Return what happens to which field, by its name in the index."""
    displayed = reader.settings.displayed
    names = {*reader.field_numbers, *reader.fields_with_facets()}
    names |= {parent for name in tuple(names) for parent in _parents(name)}
    known = [name for name in sorted(names) if "*" in displayed or name in displayed]
    formats: dict[str, Format] = {}
    for name in request.highlight or ():
        for field in known if name == "*" else [name] if name in known else ():
            formats[field] = Format(highlight=True, crop=None)
    for entry in request.crop or ():
        name, separator, length = entry.rpartition(":")
        if not separator:
            name = entry
        own = parse_digits(length, SIZE_MAX) if separator else None
        words = request.crop_length if own is None else own
        for field in known if name == "*" else [name] if name in known else ():
            formats[field] = formats.get(field, Format(highlight=False, crop=None))._replace(crop=words)
    return formats
