"""What templates call: money, dates, static files."""

from __future__ import annotations

from datetime import datetime

from babel import Locale
from babel.dates import format_date, format_datetime
from flask import Flask
from flask_babel import get_locale

from app.domain import money


def _locale() -> str:
    return str(get_locale() or "en")


def install(app: Flask) -> None:
    """Register the filters."""
    app.jinja_env.filters.update(
        money=lambda minor, currency: money.format_money(int(minor), currency, _locale()),
        datetime=lambda at: format_datetime(at, "medium", locale=_locale()) if at else "",
        date=lambda at: format_date(at, "medium", locale=_locale()) if at else "",
        iso=lambda at: at.isoformat() if isinstance(at, datetime) else "",
    )
    app.context_processor(_direction)


def _direction() -> dict[str, str]:
    """The page's language and writing direction, for <html>."""
    locale = get_locale() or Locale("en")
    return {"lang": str(locale).replace("_", "-"), "dir": locale.text_direction}
