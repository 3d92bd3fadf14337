"""Attributes that are ours: no user's setting may name one.

What always holds: a value that passes names none of them, however deep. Who calls it: the settings of an index. It must
not know: which attributes we add (``streams/node_settings.py``).
"""

from typing import Any

from schemas.documents import RESERVED_PREFIX
from schemas.meilisearch_values import wrong_value


def refuse_reserved(value: Any, code: str, path: str) -> None:
    """Refuse an attribute of ours, wherever in a setting it is named: as a text, in a list, as a key.

    Args:
        value: of the setting, as it was sent.
        code: of the setting's refusals.
        path: where the value stood.

    Raises:
        InvalidRequestError: an attribute begins with ``RESERVED_PREFIX``.
    """
    if isinstance(value, str) and value.startswith(RESERVED_PREFIX):
        raise wrong_value(code, path, f"`{value}` is reserved: no attribute may begin with `{RESERVED_PREFIX}`.")
    if isinstance(value, list):
        for at, item in enumerate(value):
            refuse_reserved(item, code, f"{path}[{at}]")
    if isinstance(value, dict):
        for key, item in value.items():
            refuse_reserved(key, code, path)
            refuse_reserved(item, code, f"{path}.{key}")
