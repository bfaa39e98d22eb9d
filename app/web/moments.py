"""Spans of time in requests: `from` and `to` as a day or as an instant, whichever the caller has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "description": "A day (2025-08-29, UTC) or an instant of RFC 3339",
        "examples": ["2025-08-29", "2025-08-29T12:00:00Z"],
    }
)


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or not 10 <= len(value) <= 40:
        raise ValueError("must be a day or an instant")
    try:
        read = datetime.fromisoformat(value.replace(" ", "+"))  # a + that was not escaped in a query
        made = read if read.tzinfo else read.replace(tzinfo=UTC)
        return made.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a day or an instant") from error


def _end(value: Any) -> datetime:
    read = _instant(value)
    try:
        return read + timedelta(days=1) if len(value) == 10 else read
    except OverflowError as error:
        raise ValueError("must be a day or an instant") from error


#: The beginning of a span, which belongs to it.
Since = Annotated[datetime, BeforeValidator(_instant), _SCHEMA]
#: The end of a span: an instant does not belong to it, a day does.
Until = Annotated[datetime, BeforeValidator(_end), _SCHEMA]
