"""What people type into forms and filters, read once for every screen: amounts, numbers, days, words.

A refusal names its field, so that the form can show it where it belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from flask import flash, request

from app.domain import money
from app.domain.errors import DomainError, InvalidRequest
from app.kit.pagination import Page

Errors = list[dict[str, str]]

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


def some(name: str, code: str) -> int:
    """See `amount`; it is more than nothing."""
    return some_of(request.form.get(name, ""), code, name)


def some_of(text: str, code: str, name: str) -> int:
    """See `some`, of a text."""
    found = amount_of(text.strip(), code, name)
    if not 0 < found <= money.MAX_AMOUNT:
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


def shown_percent(value: Decimal) -> str:
    """A percentage as its field shows it."""
    return f"{Decimal(value).normalize():f}"


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


def number(name: str, least: int, most: int) -> int:
    """A whole number within bounds, which may be larger than we count.

    Raises:
        InvalidRequest: it is none.
    """
    text = request.form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 17 and least <= int(text) <= most):
        raise InvalidRequest(f"Enter a whole number from {least} to {most}", field=name)
    return int(text)


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


def needed_moment(name: str) -> datetime:
    """See `moment`; nothing is no instant either."""
    found = moment(name)
    if found is None:
        raise InvalidRequest("Enter a date and a time", field=name)
    return found


def shown_moment(at: datetime | None) -> str:
    """An instant as its field shows it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if at is not None else ""


def days() -> tuple[datetime | None, datetime | None]:
    """What bounds a list in its address: `from` and `to`, whole days in UTC; another word bounds nothing."""
    return day(request.args.get("from", "")), day(request.args.get("to", ""), after=True)


def day(text: str, *, after: bool = False) -> datetime | None:
    """The beginning of a UTC day like `2025-08-29`, or the moment after it; None where it is no day."""
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        return None
    if not 1 < found.year < 9999:
        return None
    return datetime.combine(found, time(), UTC) + timedelta(days=after)


def chosen(among: Mapping[str, Any] | tuple[str, ...], name: str) -> str | None:
    """The filter of that name in the address, if it is one of those that there are."""
    given = request.args.get(name, "")
    return given if given in among else None


def complaint(refused: DomainError, field: str = "") -> Errors:
    """A refusal as a form shows it; `field` is where the form has no field of its name."""
    return [{"field": refused.field or field, "text": refused.message}]


def status(refused: DomainError) -> int:
    """The status of a form that comes back: what is malformed can be mended in it, like anything refused."""
    return 422 if refused.http_status == 400 else refused.http_status


def tell(refused: DomainError) -> None:
    """Say on the next screen why nothing was done; what is not there stays so."""
    if refused.http_status == 404:
        raise refused
    flash(refused.message, "danger")


def next_url(page: Page[Any], **shown: str | None) -> str | None:
    """Where the list goes on, with its filters; None on the last page."""
    if page.next_cursor is None:
        return None
    kept = {name: value for name, value in shown.items() if value}
    return f"{request.path}?{urlencode({**kept, 'cursor': page.next_cursor})}"


def _decimal(text: str) -> Decimal:
    found = Decimal(text.replace(",", "."))
    if not found.is_finite():
        raise ValueError("not a number")
    return found
