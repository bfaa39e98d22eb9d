"""The circuit breaker, by a stopped clock."""

from __future__ import annotations

from datetime import timedelta

from app.kit import clock
from app.kit.breaker import Breaker


def test_it_opens_after_so_many_failures_in_a_row_and_only_for_that_name() -> None:
    breaker = Breaker(failures=3, seconds=30)
    for _ in range(2):
        breaker.failed("a")
    assert not breaker.is_open("a")
    breaker.failed("a")
    assert breaker.is_open("a") and not breaker.is_open("b")


def test_a_success_begins_the_count_anew() -> None:
    breaker = Breaker(failures=2, seconds=30)
    for _ in range(3):
        breaker.failed("a")
        breaker.succeeded("a")
    assert not breaker.is_open("a")


def test_after_the_pause_one_failure_is_enough_and_one_success_closes() -> None:
    breaker = Breaker(failures=2, seconds=30)
    start = clock.now()
    with clock.frozen(start):
        breaker.failed("a")
        breaker.failed("a")
        assert breaker.is_open("a")
    with clock.frozen(start + timedelta(seconds=30)):
        assert not breaker.is_open("a")
        breaker.failed("a")
        assert breaker.is_open("a")
    with clock.frozen(start + timedelta(seconds=61)):
        breaker.succeeded("a")
        breaker.failed("a")
        assert not breaker.is_open("a")
