"""Keys of nodes: what each may do, and how it follows from its uid.

A Meilisearch key is HMAC-SHA256 of the node's master key and the key's uid, so that no secret stands in the log:
whoever has the master key derives it. What always holds: from a node's joining on, nobody but the controller uses its
master key. The worker's key lacks ``indexes.create``: a post to an index that is not there fails instead of giving
birth to one. Who calls it: the controller makes keys, workers and query services derive them. It must not know: any
client library.
"""

import hashlib
import hmac

WORKER_ACTIONS = (
    "documents.add",
    "documents.delete",
    "documents.get",
    "indexes.get",
    "settings.get",
    "stats.get",
    "tasks.get",
    "version",
)
"""All that applying the log needs."""

SEARCH_ACTIONS = ("search", "documents.get", "indexes.get", "stats.get", "settings.get", "version")
"""All that answering searches needs. Replacing this key shuts out every query service that lives in the past."""


def derive_key(master_key: str, uid: str) -> str:
    """Return the key with this uid (a hyphenated UUID) on a node with this master key."""
    return hmac.new(master_key.encode(), uid.encode(), hashlib.sha256).hexdigest()
