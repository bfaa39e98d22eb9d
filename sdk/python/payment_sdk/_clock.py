"""Time as the client sees it, in one place, so that tests need not wait."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds on a clock that never goes back."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)
