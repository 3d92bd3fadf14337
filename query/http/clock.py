"""The time of day, and ids made of it.

Who calls it: the routes and the views. It must not know: what a time is for.
"""

import random
import time

_RANDOM_BITS = 74


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_uuid7() -> str:
    """Return a UUID of version 7 (RFC 9562, section 5.7): as Meilisearch gives searches."""
    # It tells requests apart and keeps no secret: the system's own chance costs four times as much, twice a search.
    chance = random.getrandbits(_RANDOM_BITS)
    value = (
        (now_ms() & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | chance & ((1 << 62) - 1)
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
