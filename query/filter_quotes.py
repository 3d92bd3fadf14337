"""What nodes say of a filter, in the words of whoever wrote it.

Searches are answered with the filter as Meilisearch prints it again; other routes quote a filter that is one text as it
was written. Nodes are asked a list, of it and of the shards', and so print it again there, too. What always holds: what
is not surely a print of this filter stays as it is. Who calls it: the routes that quote. It must not know: which.
"""

import re

from schemas.errors import InvalidSearchError
from schemas.filter_grammar import parse_filter
from schemas.filter_tree import print_filter

_PLACE = re.compile(r"(\d+):(\d+) \Z")


def quote_users(message: str, condition: object) -> str:
    """Return the message with the filter as it was written, and the place of its fault there.

    Args:
        message: a node's, without a trace of the shards' filter.
        condition: the user's filter.
    """
    if not isinstance(condition, str):
        return message
    try:
        tree, _ = parse_filter(condition)
    except InvalidSearchError:
        # Only nodes know a condition of it.
        return message
    if tree is None:
        return message
    printed = print_filter(tree)
    told = message.removesuffix(printed.text)
    place = _PLACE.search(told)
    if told == message or place is None:
        return message
    span = (int(place[1]) - 1, int(place[2]) - 1)
    word = next((word for word, found in printed.places.items() if found == span), None)
    return message if word is None else f"{told[: place.start()]}{word[0] + 1}:{word[1] + 1} {condition}"
