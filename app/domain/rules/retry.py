"""When to try again: webhook deliveries, questions to a gateway, failed jobs (sandbox.md, reliability.md)."""

from __future__ import annotations

import random

MINUTE, HOUR = 60, 3600

#: Seconds from one delivery attempt to the next; the first is at once.
DELIVERY_DELAYS = (
    0,
    5,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
#: Seconds from one question about an unknown outcome to the next; then a person has to look.
QUERY_DELAYS = (15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR)
#: How often a job is tried that must not be given up while money is at stake: for more than three days.
COMPENSATION_TRIES = 1000


def delivery_delay(tries: int, jitter: float | None = None) -> int | None:
    """Seconds to wait after `tries` failed attempts, jittered by up to 10 %; None when it is enough."""
    if tries >= len(DELIVERY_DELAYS):
        return None
    share = random.random() if jitter is None else jitter
    return round(DELIVERY_DELAYS[tries] * (1 + 0.1 * share))


def query_delay(queries: int) -> int | None:
    """Seconds until the next question after `queries` unanswered ones; None: `needs_review`."""
    return QUERY_DELAYS[queries] if queries < len(QUERY_DELAYS) else None


def job_delay(tries: int) -> int:
    """Seconds until a failed job runs again: 1, 4, 16, 64, then at most five minutes."""
    return int(min(4 ** max(tries - 1, 0), 300))
