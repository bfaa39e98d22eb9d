"""Counters of this process for the general rate limits.

The library's own memory storage starts a thread every ten milliseconds under load to drop what has expired
(about 6 % of the CPU of a session read, and more of its time where the machine is busy); this one looks at
the time when it counts.
"""

from __future__ import annotations

import threading

from limits.storage import Storage

from app.kit import clock

#: With so many callers at once those whose window is over are dropped.
_CROWD = 10_000


class ProcessCounters(Storage):
    """Fixed windows in memory, behind the interface of the limits library."""

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing outside can fail."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and start a window of `expiry` seconds where none is open."""
        now = clock.now().timestamp()
        with self._lock:
            count, ends = self._windows.get(key, (0, 0.0))
            if ends <= now:
                count, ends = 0, now + expiry
                if len(self._windows) >= _CROWD:
                    self._windows = {
                        name: window for name, window in self._windows.items() if window[1] > now
                    }
            self._windows[key] = (count + amount, ends)
        return count + amount

    def get(self, key: str) -> int:
        """The count of the open window."""
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > clock.now().timestamp() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, in unix seconds; now where none is open."""
        return max(self._windows.get(key, (0, 0.0))[1], clock.now().timestamp())

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget everything; how many windows there were."""
        with self._lock:
            forgotten, self._windows = len(self._windows), {}
        return forgotten

    def clear(self, key: str) -> None:
        """Forget one window."""
        with self._lock:
            self._windows.pop(key, None)
