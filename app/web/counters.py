"""Where the general rate limits are counted: in this process, or in a store that is named by its address."""

from __future__ import annotations

import threading
from typing import Protocol, cast

import structlog
from limits.errors import ConfigurationError
from limits.storage import Storage, storage_from_string

from app.kit import clock
from app.services.operations import rate_counters
from app.settings import Settings, SettingsError
from app.web.shared_counters import SharedCounters

log = structlog.get_logger("till.web")

#: With so many callers at once those whose window is over are dropped.
_CROWD = 10_000
#: For so many seconds a store that failed is left alone.
_REST_SECONDS = 10


class Counters(Protocol):
    """Fixed windows, each of which begins with the first call that is counted in it."""

    def count(self, key: str, window_seconds: int) -> tuple[int, float]:
        """Count a call: how many there are in the open window, and when it ends (unix seconds)."""


def make(settings: Settings) -> Counters:
    """The counters that the settings ask for.

    Raises:
        SettingsError: there is no such store, or the package that speaks to it is missing.
    """
    url = settings.rate_limit_storage
    if url == "memory://":
        try:
            return SharedCounters(settings.data_dir / "rate-counters.bin")
        except OSError:
            log.warning("rate_counters_not_shared")
            return ProcessCounters()
    if url == "database://":
        return rate_counters.Counters()
    try:
        return StoreCounters(cast(Storage, storage_from_string(url)))
    except ConfigurationError as error:
        raise SettingsError(f"TILL_RATE_LIMIT_STORAGE: {error}") from error


class ProcessCounters:
    """Counters in the memory of this process.

    The limits library's own start a thread every ten milliseconds under load to drop what has expired (about
    6 % of the CPU of a session read); these look at the time when they count.
    """

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def count(self, key: str, window_seconds: int) -> tuple[int, float]:
        """See `Counters`."""
        now = clock.now().timestamp()
        with self._lock:
            count, ends = self._windows.get(key, (0, 0.0))
            if ends <= now:
                count, ends = 0, now + window_seconds
                if len(self._windows) >= _CROWD:
                    self._windows = {
                        name: window for name, window in self._windows.items() if window[1] > now
                    }
            self._windows[key] = (count + 1, ends)
        return count + 1, ends


class StoreCounters:
    """Counters in a store that the limits library knows (Redis, Memcached …).

    While the store does not answer each process counts for itself: a limit that is too generous for a while
    beats a checkout that is closed.
    """

    def __init__(self, store: Storage) -> None:
        self._store, self._own = store, ProcessCounters()
        self._rests_until = 0.0

    def count(self, key: str, window_seconds: int) -> tuple[int, float]:
        """See `Counters`."""
        now = clock.now().timestamp()
        if now >= self._rests_until:
            try:
                return self._store.incr(key, window_seconds), self._store.get_expiry(key)
            except self._store.base_exceptions:
                self._rests_until = now + _REST_SECONDS
                log.warning("rate_limit_store_failed")
        return self._own.count(key, window_seconds)
