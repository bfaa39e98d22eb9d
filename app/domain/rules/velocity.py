"""Velocity: how much came by in a window that slides, told from two fixed windows (OP-16).

The window before counts with the share of it that the sliding window still covers. That is what one row a
counter can tell; the error is that of taking what came in the window before as evenly spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

#: Seconds; a moment that falls on a whole second must not be told as the second before.
_ROUNDING = 1e-6


class Scope(StrEnum):
    """Whose tries are counted together."""

    CARD = "card"
    CARD_PREFIX = "card_prefix"
    CUSTOMER = "customer"
    EMAIL = "email"
    ADDRESS = "address"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `max_count` tries, or `max_amount` in minor units of one currency, in `window_seconds`."""

    scope: Scope
    max_count: int | None
    window_seconds: int
    max_amount: int | None = None


def start_of(now: float, window_seconds: int) -> int:
    """When the fixed window began that `now` (seconds of the epoch) is in."""
    return int(now // window_seconds) * window_seconds


def sliding(current: int, before: int, *, now: float, start: int, window_seconds: int) -> int:
    """What the sliding window holds, rounded down."""
    covered = 1 - min(max(now - start, 0) / window_seconds, 1)
    return current + math.floor(before * covered)


def wait_seconds(
    current: int, before: int, limit: int, *, now: float, start: int, window_seconds: int
) -> int:
    """Whole seconds until the sum is below `limit`, at least 1; `current` without the refused try."""
    elapsed = now - start
    room = limit - current
    if room > 0:
        most = max(before, room)
        free_at = window_seconds * (most - room) / most
    else:
        share = (current - limit) / current if current else 0.0
        free_at = window_seconds + window_seconds * share
    return max(1, math.floor(free_at - elapsed + _ROUNDING) + 1)
