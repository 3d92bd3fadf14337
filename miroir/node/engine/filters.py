"""A request's filter to its tree, refused in the embedded node's errors.

What always holds: what comes out needs no feature that is off. Who calls it: searches, document routes, deletions.
"""

from typing import Any

from miroir.node.protocol.errors import ApiError, feature_not_enabled
from schemas import filter_grammar
from schemas.errors import InvalidSearchError
from schemas.filter_tree import Condition, Filter, fields_last_first

_CONTAINS_DISCUSSION = 763


def parse_filter(value: Any, code: str = "invalid_search_filter") -> tuple[Filter | None, str]:
    """Return the tree of a filter and the text its spans refer to; see ``schemas.filter_grammar``.

    Raises:
        ApiError: the value is no filter, or it uses ``CONTAINS``.
    """
    try:
        tree, text = filter_grammar.parse_filter(value, code)
    except InvalidSearchError as error:
        raise ApiError(error.code, str(error)) from None
    for leaf in fields_last_first(tree) if tree is not None else ():
        if isinstance(leaf, Condition) and leaf.operator == "CONTAINS":
            place = f"\n{leaf.at.start + 1}:{leaf.at.end + 1} {text}" if text else ""
            raise feature_not_enabled("Using `CONTAINS` in a filter", "contains filter", _CONTAINS_DISCUSSION, place)
    return tree, text
