"""A circuit breaker: what has just failed several times in a row is left alone for a while."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from app.kit import clock


class Breaker:
    """Counts failures in a row, by name; of this process alone, so that asking costs nothing.

    After `failures` of them a name is open for `seconds`; then one more failure opens it again, and one
    success closes it.
    """

    def __init__(self, failures: int = 5, seconds: float = 30) -> None:
        self._most = failures
        self._pause = timedelta(seconds=seconds)
        self._failed: dict[str, tuple[int, datetime]] = {}
        self._lock = threading.Lock()

    def failed(self, name: str) -> None:
        """Note a failure."""
        with self._lock:
            self._failed[name] = (self._failed.get(name, (0, clock.now()))[0] + 1, clock.now())

    def succeeded(self, name: str) -> None:
        """Note a success: the count begins anew."""
        if name in self._failed:
            with self._lock:
                self._failed.pop(name, None)

    def is_open(self, name: str) -> bool:
        """Whether the name should be left alone now."""
        count, last = self._failed.get(name, (0, None))
        return last is not None and count >= self._most and clock.now() < last + self._pause
