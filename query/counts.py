"""A number of things, or of one of them, as text in an address or a header.

What always holds: what passes fits 64 bits, as in Meilisearch, and so any answer that repeats it. Who calls it: whoever
reads parameters. It must not know: which parameter it is, or what is said where it is none.
"""

COUNT_MAX = 2**64 - 1
"""Meilisearch's own; nothing larger can be written into an answer."""


def parse_count(text: str) -> int | None:
    """Return the number, or None where the text is none, or a larger one."""
    # The length first: Python refuses to read thousands of digits.
    if len(text) <= len(str(COUNT_MAX)) and text.isascii() and text.isdigit() and int(text) <= COUNT_MAX:
        return int(text)
    return None
