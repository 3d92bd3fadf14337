"""A request to swap indexes, checked for its form.

What always holds: what is wrong with it is said with Meilisearch's codes and words. Who calls it: the route of swaps.
It must not know: which indexes there are.
"""

from query.body import read_strings, wrong_type
from schemas.errors import InvalidRequestError
from schemas.near_names import expected_one_of

PAIR = 2
_CODE = "invalid_swap_indexes"
_FIELDS = ("indexes", "rename")


def check_swaps(body: object) -> tuple[tuple[str, str], ...]:
    """Return the pairs to be swapped.

    Raises:
        InvalidSearchError: a value has a wrong type.
        InvalidRequestError: a pair is none, or an index is named twice.
    """
    if not isinstance(body, list):
        raise wrong_type(body, "bad_request", "", "an array")
    pairs = tuple(_pair(swap, number) for number, swap in enumerate(body))
    seen: set[str] = set()
    for uid in (uid for pair in pairs for uid in pair):
        if uid in seen:
            message = f"Indexes must be declared only once during a swap. `{uid}` was specified several times."
            raise InvalidRequestError("invalid_swap_duplicate_index_found", message)
        seen.add(uid)
    return pairs


def _pair(swap: object, number: int) -> tuple[str, str]:
    if not isinstance(swap, dict):
        raise wrong_type(swap, "bad_request", f"[{number}]", "an object")
    for name in swap:
        if name not in _FIELDS:
            message = f"Unknown field `{name}` inside `[{number}]`: {expected_one_of(name, _FIELDS)}"
            raise InvalidRequestError("bad_request", message)
    if "indexes" not in swap:
        raise InvalidRequestError("missing_swap_indexes", f"Missing field `indexes` inside `[{number}]`")
    indexes = read_strings(swap["indexes"], _CODE, f"[{number}].indexes")
    if len(indexes) != PAIR:
        listed = ", ".join(f'"{uid}"' for uid in indexes)
        message = f"Two indexes must be given for each swap. The list `[{listed}]` contains {len(indexes)} indexes."
        raise InvalidRequestError(_CODE, message)
    return indexes[0], indexes[1]
