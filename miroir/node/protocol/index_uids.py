"""Index names on a node.

What always holds: a name has 1 to 400 bytes out of letters, digits, ``-`` and ``_``. Who calls it: every route that
may bring an index to life.
"""

import re

from miroir.node.protocol.errors import ApiError

BYTES_MAX = 400
"""The real node's own bound, whatever its message says."""

_UID = re.compile(r"[a-zA-Z0-9_-]+")


def is_index_uid(text: str) -> bool:
    """Tell whether an index may be called so."""
    return _UID.fullmatch(text) is not None and len(text) <= BYTES_MAX


def check_index_uid(text: str, path: str = "", *, parameter: bool = False) -> str:
    """Return ``text`` if an index may be called so.

    Args:
        text: the name.
        path: where it stood in a body, such as ``.uid``.
        parameter: it stood in a query string.
    """
    if is_index_uid(text):
        return text
    reason = (
        f"`{text}` is not a valid index uid. Index uid can be an integer or a string containing only alphanumeric"
        " characters, hyphens (-) and underscores (_), and can not be more than 512 bytes."
    )
    prefix = f"Invalid value {'in parameter' if parameter else 'at'} `{path}`: " if path else ""
    raise ApiError("invalid_index_uid", prefix + reason)
