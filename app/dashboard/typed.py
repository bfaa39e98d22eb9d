"""What people type into forms, read once for every screen: amounts, numbers, days and times, words.

A refusal names its field, so that the form can show it where it belongs.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from flask import flash, request

from app.domain import money
from app.domain.errors import DomainError, InvalidRequest
from app.kit.pagination import Page

_LARGEST = 2**31 - 1


def words(name: str, limit: int = 200) -> str:
    """A text without the spaces around it.

    Raises:
        InvalidRequest: it is longer than `limit`.
    """
    text = request.form.get(name, "").strip()
    if len(text) > limit:
        raise InvalidRequest(f"Use at most {limit} characters", field=name)
    return text


def currency(name: str = "currency") -> str:
    """A currency's code.

    Raises:
        InvalidRequest: there is no such currency.
    """
    code = request.form.get(name, "").strip().upper()
    if not money.is_currency(code):
        raise InvalidRequest("Enter a currency like GBP", field=name)
    return code


def amount(name: str, code: str) -> int | None:
    """Minor units of what was typed in major ones; None where nothing was.

    Raises:
        InvalidRequest: it is no amount of that currency.
    """
    text = request.form.get(name, "").strip()
    return amount_of(text, code, name) if text else None


def amount_of(text: str, code: str, name: str) -> int:
    """See `amount`, of a text."""
    try:
        return money.from_major(_decimal(text), code)
    except (InvalidOperation, ValueError) as error:
        raise InvalidRequest("Enter an amount like 12.50", field=name) from error


def needed_amount(name: str, code: str) -> int:
    """See `amount`; nothing is no amount either."""
    found = amount(name, code)
    if found is None:
        raise InvalidRequest("Enter an amount like 12.50", field=name)
    return found


def percent(name: str) -> Decimal:
    """A percentage.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return _decimal(request.form.get(name, "").strip().removesuffix("%").strip())
    except (InvalidOperation, ValueError) as error:
        raise InvalidRequest("Enter a percentage like 12.5", field=name) from error


def whole(name: str) -> int | None:
    """A whole number, which may have a sign; None where nothing was typed.

    Raises:
        InvalidRequest: it is none, or larger than we count.
    """
    text = request.form.get(name, "").strip()
    if not text:
        return None
    digits = text.removeprefix("+").removeprefix("-").removeprefix("\N{MINUS SIGN}")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and int(digits) <= _LARGEST):
        raise InvalidRequest("Enter a whole number", field=name)
    return -int(digits) if text[0] in "-\N{MINUS SIGN}" else int(digits)


def needed_whole(name: str) -> int:
    """See `whole`; nothing is no number either."""
    found = whole(name)
    if found is None:
        raise InvalidRequest("Enter a whole number", field=name)
    return found


def moment(name: str) -> datetime | None:
    """An instant that was typed in UTC; None where nothing was.

    Raises:
        InvalidRequest: it is none.
    """
    text = request.form.get(name, "").strip()
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidRequest("Enter a date and a time", field=name) from error


def shown_moment(at: datetime | None) -> str:
    """An instant as its field shows it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if at is not None else ""


def days() -> tuple[datetime | None, datetime | None]:
    """What bounds a list in its address: `from` and `to`, whole days in UTC; another word bounds nothing."""
    first, last = _day("from"), _day("to")
    return first, last + timedelta(days=1) if last is not None else None


def complaint(refused: DomainError) -> list[dict[str, str]]:
    """A refusal as a form shows it."""
    return [{"field": refused.field or "", "text": refused.message}]


def tell(refused: DomainError) -> None:
    """Say on the next screen why nothing was done; what is not there stays so."""
    if refused.http_status == 404:
        raise refused
    flash(refused.message, "danger")


def next_url(page: Page[Any], **shown: str) -> str | None:
    """Where the list goes on, with its filters; None on the last page."""
    if page.next_cursor is None:
        return None
    kept = {name: value for name, value in shown.items() if value}
    return f"{request.path}?{urlencode({**kept, 'cursor': page.next_cursor})}"


def _day(name: str) -> datetime | None:
    try:
        found = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return datetime.combine(found, time(), UTC) if 1 < found.year < 9999 else None


def _decimal(text: str) -> Decimal:
    found = Decimal(text.replace(",", "."))
    if not found.is_finite():
        raise ValueError("not a number")
    return found
