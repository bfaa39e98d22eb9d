"""Instants and days in requests: RFC 3339 with a zone; in filters also whole days in UTC and `from..to`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

#: Nothing that is paid for lies outside.
_YEARS = range(1970, 2200)
_SEPARATOR = re.compile(r"\.\.|,|/")


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a text like 2025-08-29T12:00:00Z")
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("must name its zone, like 2025-08-29T12:00:00Z")
    return _within(at).astimezone(UTC)


def _within(at: datetime) -> datetime:
    if at.year not in _YEARS:
        raise ValueError("must lie between 1970 and 2200")
    return at


def _edge(text: str, *, end: bool) -> datetime:
    """The start of a day or instant, or the first moment after it."""
    if len(text) > 10:
        at: datetime = _moment(text)
        return at + timedelta(seconds=1) if end else at
    day = _within(datetime.combine(date.fromisoformat(text), time(), UTC))
    return day + timedelta(days=1) if end else day


def _before(text: str) -> datetime:
    """A moment that is left out, or the one after a day."""
    return _edge(text, end=len(text) <= 10)


def _range(value: Any) -> Any:
    edges = _SEPARATOR.split(value) if isinstance(value, str) else []
    if len(edges) != 2:
        raise ValueError("must be two days or instants, like 2025-08-01..2025-08-31")
    first, last = (edge.strip() for edge in edges)
    return (_edge(first, end=False) if first else None, _edge(last, end=True) if last else None)


_DAY = WithJsonSchema({"type": "string", "examples": ["2025-08-29", "2025-08-29T12:00:00Z"]})

#: An instant in a body.
Moment = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
#: The first day or instant of a filter.
Since = Annotated[datetime, BeforeValidator(lambda value: _edge(str(value), end=False)), _DAY]
#: The last one, which is included: the moment after it.
Until = Annotated[datetime, BeforeValidator(lambda value: _edge(str(value), end=True)), _DAY]
#: The moment before which a span ends; as a day it is included.
Before = Annotated[datetime, BeforeValidator(lambda value: _before(str(value))), _DAY]
#: Both in one; either may be left out.
Range = Annotated[
    tuple[datetime | None, datetime | None],
    BeforeValidator(_range),
    WithJsonSchema({"type": "string", "examples": ["2025-08-01..2025-08-31"]}),
]
