"""Rate limits on the client's side, so that the API need not refuse: sliding windows, shared by all threads.

A call books its place before it goes out. Who comes too early waits for their place, in order; who would
have to wait for longer than they want to is told so at once, and takes no place.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from payment_sdk import _clock


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How fast one client may call; 0 means as fast as it likes.

    The defaults are what Till allows one key. `stated` also keeps to the limits per minute that the API
    states for single endpoints (10 sessions per minute, for example).
    """

    reads_per_second: int = 100
    writes_per_second: int = 25
    stated: bool = True


class Window:
    """So many calls in any span of so many seconds."""

    def __init__(self, count: int, seconds: float) -> None:
        self._count, self._seconds = count, seconds
        self._booked: deque[float] = deque(maxlen=count)
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def book(self, longest: float) -> float:
        """Seconds to wait for the place that is now booked; negative, without a place, when over `longest`.

        A negative answer is minus the seconds after which there is one.
        """
        with self._lock:
            now = _clock.now()
            start = max(now, self._closed_until, self._booked[-1] if self._booked else 0.0)
            if len(self._booked) == self._count:
                start = max(start, self._booked[0] + self._seconds)
            if start - now > longest:
                return now - start
            self._booked.append(start)
            return start - now

    def close(self, seconds: float) -> None:
        """Let nobody through for so long: the API has said so."""
        with self._lock:
            self._closed_until = max(self._closed_until, _clock.now() + seconds)


class Limiter:
    """All windows of one client and of its copies."""

    def __init__(self, limits: RateLimits | None) -> None:
        self._limits = limits
        self._windows: dict[str, Window] = {}
        self._lock = threading.Lock()

    def windows(self, operation_id: str, *, reads: bool, per_minute: int | None) -> list[Window]:
        """The windows that a call has to pass, the strictest first."""
        if self._limits is None:
            return []
        found = []
        if per_minute and self._limits.stated:
            found.append(self._window(operation_id, per_minute, 60.0))
        rate = self._limits.reads_per_second if reads else self._limits.writes_per_second
        if rate:
            found.append(self._window("reads" if reads else "writes", rate, 1.0))
        return found

    def _window(self, name: str, count: int, seconds: float) -> Window:
        with self._lock:
            return self._windows.setdefault(name, Window(count, seconds))
