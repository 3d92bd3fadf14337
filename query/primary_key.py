"""Inference of the primary key from a first document, as Meilisearch infers it.

What always holds: made once for an index, by whoever posts first through the HTTP API, and then asked for as a request;
documents produced straight to Kafka wait until it is known. Who calls it: the document routes,
``miroir produce``. It must not know: the log.
"""

from collections.abc import Iterable

from schemas.errors import InvalidRequestError

ADVICE = "Please specify the primary key manually using the `primaryKey` query parameter."
"""What to do through the HTTP API; the words are Meilisearch's."""


def infer_primary_key(names: Iterable[str], *, advice: str = ADVICE) -> str:
    """Return the one field of a document whose name ends with ``id``, in any case.

    Args:
        names: the document's fields.
        advice: what to do where none is found, in a sentence.

    Raises:
        InvalidRequestError: there is none, or more than one.
    """
    candidates = sorted(name for name in names if name.lower().endswith("id"))
    match candidates:
        case [only]:
            return only
        case []:
            found = "the engine did not find any field ending with `id` in its name."
            code = "index_primary_key_no_candidate_found"
        case [first, second, *_]:
            count = len(candidates)
            found = f"the engine found {count} fields ending with `id` in their names: '{first}' and '{second}'."
            code = "index_primary_key_multiple_candidates_found"
    raise InvalidRequestError(code, f"The primary key inference failed as {found} {advice}")
