"""The rows of a CSV payload, as Meilisearch reads them: cells of any length, and quotes that are right.

What always holds: a cell is bounded by its payload alone. Who calls it: whoever splits a payload into documents. It
must not know: what a row means.
"""

import csv
import io
from collections.abc import Iterator

CELL_CHARS_MAX = 2**31 - 1
"""As many as Python's reader can be told everywhere; its own bound, 128 KiB, is none of Meilisearch's."""

csv.field_size_limit(CELL_CHARS_MAX)


def split_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield row after row.

    Raises:
        csv.Error: a quote is not right; on the way.
    """
    return csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
