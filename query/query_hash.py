"""Which of an index's covers a search falls on.

What always holds: the same on every query service, and the same for every page of one search. Who calls it: the search
path. It must not know: nodes.
"""

import xxhash

from query.search import SearchRequest
from schemas.ids import IndexUid


def hash_query(index: IndexUid, search: SearchRequest) -> int:
    """Return a number that depends on what is searched, not on which window of it is wanted, nor how it is shown."""
    identity: tuple[object, ...] = (
        *(index, search.q, search.filter, search.sort, search.distinct, search.matching_strategy),
        *(() if search.vector is None else (search.vector,)),
    )
    return xxhash.xxh3_64_intdigest(repr(identity).encode("utf-8", "surrogatepass"))
