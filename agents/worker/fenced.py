"""How long a controller stands back after Kafka has shut it out.

Kafka says the same to a writer whom another has shut out, and to one whose transaction took too long. The second one is
still the controller, and nobody else leads in its stead: it must lead again. The first one has lost the requests
partition to whoever shut it out. It hears so at its next heartbeat, or soon after it wakes, and is cancelled while it
stands back. Only a worker that reaches the log, but not the broker that keeps its group, does not hear it: while that
lasts, it and the new owner shut out each other, in turns that grow.

What always holds: a request is answered once all the same, since only who was not shut out can commit. Who calls it:
the controller. It must not know: partitions and groups.
"""

FENCED_S = 15.0
"""The first pause, doubled each time: above a worker's session (``session_timeout_s``, 10 s unless set)."""

FENCED_S_MAX = 600.0
"""The longest pause: turns of this length leave the time to see that a node has failed (``node_failed_after_s``, 300 s
unless set)."""


def count_fenced(before: int, led_s: float) -> int:
    """Return how often in a row a controller was shut out, now that it is once more.

    Args:
        before: how often before.
        led_s: how long it led since, in seconds. Longer than two taking turns ever do, and the row begins anew.
    """
    return 1 if led_s > 2 * FENCED_S_MAX else before + 1


def fenced_pause_s(first_s: float, times: int) -> float:
    """Return how long to stand back after being shut out so often in a row, at least once; seconds."""
    return min(FENCED_S_MAX, first_s * 2.0 ** min(times - 1, 16))
