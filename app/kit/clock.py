"""The one source of time: aware UTC instants, movable by tests and by a merchant's test clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_source: Callable[[], datetime] | None = None


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return _source() if _source is not None else datetime.now(UTC)


def install(source: Callable[[], datetime] | None) -> None:
    """Let `source` tell the time in this process; None goes back to the machine's clock."""
    global _source
    _source = source


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Stop the clock at `at` (tests)."""
    before = _source
    install(lambda: at)
    try:
        yield
    finally:
        install(before)


def to_rfc3339(instant: datetime) -> str:
    """`2025-08-29T12:00:00Z`: UTC, whole seconds (OP-20)."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
