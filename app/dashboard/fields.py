"""What people type into forms and filters: amounts, whole numbers, days; and how a refusal is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from flask import request

from app.domain import money
from app.domain.errors import DomainError, InvalidRequest

Errors = list[dict[str, Any]]


def amount(text: str, currency: str, field: str = "amount") -> int:
    """Minor units of an amount as people write it, like `12.50` or `12,50`.

    Raises:
        InvalidRequest: it is none, or nothing.
    """
    try:
        found = money.from_major(Decimal(text.strip().replace(",", ".")), currency)
    except (InvalidOperation, ValueError):
        found = 0
    if not 0 < found <= money.MAX_AMOUNT:
        raise InvalidRequest("Enter an amount like 12.50", field=field)
    return found


def whole(text: str, field: str, least: int, most: int) -> int:
    """A whole number within bounds.

    Raises:
        InvalidRequest: it is none.
    """
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16 and least <= int(text) <= most):
        raise InvalidRequest(f"Enter a whole number from {least} to {most}", field=field)
    return int(text)


def day(text: str, *, after: bool = False) -> datetime | None:
    """The beginning of a UTC day like `2025-08-29`, or the moment after it; None where it is no day."""
    try:
        found = datetime.combine(date.fromisoformat(text.strip()), time(), UTC)
        return found + timedelta(days=1) if after else found
    except (ValueError, OverflowError):
        return None


def said(refused: DomainError, field: str | None = None) -> Errors:
    """A refusal as the page's list of errors; `field` is where the form has no field of its name."""
    return [{"field": refused.field or field, "text": refused.message}]


def status(refused: DomainError) -> int:
    """The status of a form that comes back: what is malformed can be mended in it, like anything refused."""
    return 422 if refused.http_status == 400 else refused.http_status


def onward(cursor: str | None, **filters: str | None) -> str | None:
    """The address of the list's next page with its filters; None on the last one."""
    if cursor is None:
        return None
    kept = {name: value for name, value in filters.items() if value}
    return f"{request.path}?{urlencode({**kept, 'cursor': cursor})}"


def chosen(among: Mapping[str, Any] | tuple[str, ...], name: str) -> str | None:
    """The filter of that name in the address, if it is one of those that there are."""
    given = request.args.get(name, "")
    return given if given in among else None
