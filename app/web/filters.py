"""What templates call: money, percentages, places, dates, static files."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_percent
from flask import Flask

from app.domain import money
from app.web.languages import direction, language, picker, tag
from app.web.refusals import words
from app.web.slots import Slot

_locale = language


def _money(minor: Any, currency: str) -> str:
    return minor if isinstance(minor, Slot) else money.format_money(int(minor), currency, _locale())


def install(app: Flask) -> None:
    """Register the filters."""
    app.jinja_env.filters.update(
        money=_money,
        datetime=lambda at: format_datetime(at, "medium", locale=_locale()) if at else "",
        date=lambda at: format_date(at, "medium", locale=_locale()) if at else "",
        percentage=lambda percent: format_percent(Decimal(percent) / 100, "#,##0.####%", locale=_locale()),
        country_name=lambda code: Locale.parse(_locale()).territories.get(code, code),
        refusal=words,
        iso=lambda at: at.isoformat() if isinstance(at, datetime) else "",
    )
    app.context_processor(_speech)


def _speech() -> dict[str, Any]:
    """The page's language and writing direction, for <html>, and the languages that it can be had in."""
    chosen = language()
    return {"lang": tag(chosen), "dir": direction(chosen), "languages": picker()}
