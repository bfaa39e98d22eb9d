"""The counters of one process behind the general rate limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
from limits import RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from app.kit import clock
from app.web import counters
from app.web.counters import ProcessCounters


def at(seconds: float) -> AbstractContextManager[None]:
    return clock.frozen(datetime.fromtimestamp(1000 + seconds, UTC))


def test_a_window_counts_and_starts_anew_when_it_is_over() -> None:
    kept = ProcessCounters()
    with at(0):
        assert [kept.incr("a", 1), kept.incr("a", 1), kept.incr("b", 1)] == [1, 2, 1]
        assert (kept.get("a"), kept.get_expiry("a")) == (2, 1001.0)
    with at(0.99):
        assert kept.incr("a", 1) == 3
    with at(1):
        assert kept.get("a") == 0
        assert kept.get_expiry("a") == 1001.0
        assert kept.incr("a", 1) == 1


def test_many_at_once_are_all_counted() -> None:
    kept = ProcessCounters()
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: kept.incr("a", 60), range(2000)))
    assert sorted(seen) == list(range(1, 2001))


def test_those_who_have_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_CROWD", 10)
    kept = ProcessCounters()
    with at(0):
        for number in range(10):
            kept.incr(f"caller-{number}", 1 if number else 60)
    with at(5):
        kept.incr("late", 1)
        assert len(kept._windows) == 2
        assert kept.get("caller-0") == 1
    assert kept.reset() == 2
    kept.incr("a", 60)
    kept.clear("a")
    assert kept.get("a") == 0


def test_the_librarys_limiter_works_over_them() -> None:
    limiter, item = FixedWindowRateLimiter(ProcessCounters()), RateLimitItemPerSecond(2)
    with at(0):
        assert [limiter.hit(item, "reads", "key") for _ in range(3)] == [True, True, False]
        window = limiter.get_window_stats(item, "reads", "key")
        assert (window.remaining, window.reset_time) == (0, 1001.0)
    with at(1):
        assert limiter.hit(item, "reads", "key")
