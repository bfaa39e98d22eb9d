"""What measures over a span share: the span itself, conditional counts, and durations on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, extract, func, literal
from sqlalchemy.orm import Session

from app.domain.errors import InvalidRequest
from app.kit import clock

DEFAULT_DAYS, MAX_DAYS = 30, 732


def span(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """From when, and until before when, something is measured; by default the last 30 days.

    Raises:
        InvalidRequest: the span is empty or longer than two years.
    """
    end = until or clock.now()
    start = since or end - timedelta(days=DEFAULT_DAYS)
    if not timedelta(0) < end - start <= timedelta(days=MAX_DAYS):
        raise InvalidRequest(
            f"`from` is before `to`, at most {MAX_DAYS} days", code="invalid_range", field="from"
        )
    return start, end


def times(condition: Any, name: str) -> Any:
    """How often a condition holds."""
    return func.coalesce(func.sum(case((condition, literal(1)), else_=literal(0))), 0).label(name)


def seconds(db: Session, start: Any, end: Any) -> Any:
    """The seconds from one instant to another."""
    if db.get_bind().dialect.name == "postgresql":
        return extract("epoch", end - start)
    return (func.julianday(end) - func.julianday(start)) * 86_400.0
