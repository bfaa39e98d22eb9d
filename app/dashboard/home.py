"""Home: how the shop is doing, over a span of days that is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from babel.dates import format_date
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen
from app.domain import money
from app.services.events import failing, webhooks
from app.services.operations import metrics
from app.services.operations.metrics import Overview, Point
from app.services.payments import dispute_lookups, listing
from app.web.languages import language

blueprint = Blueprint("home", __name__, url_prefix="/dashboard")

#: Spans that are offered: days → words.
SPANS = {7: "7 days", 30: "30 days", 90: "90 days", 365: "12 months"}
DEFAULT_DAYS = 30


@blueprint.get("")
@blueprint.get("/")
@screen()
def start() -> AnyResponse:
    """The front door."""
    return redirect("/dashboard/test", 303)


@blueprint.get("/<any(test, live):mode>")
@screen()
def show(mode: str) -> Response:
    """Charts of the chosen span, what waits for somebody, the latest payments: for those who may see each."""
    who, span = actor(), _span()
    since = datetime.combine(span.first, time(), UTC)
    until = datetime.combine(span.last + timedelta(days=1), time(), UTC)
    figures = None
    if who.can("reports:read"):
        figures = metrics.overview(who, span.first, span.last, request.args.get("currency"))
    webhooks_told = who.can("webhooks:read")
    return render(
        "dashboard/home/show.html",
        figures=figures,
        span=span,
        spans=SPANS,
        stats=_stats(figures) if figures else None,
        charts=_charts(figures) if figures else None,
        due=dispute_lookups.waiting(who) if who.can("disputes:read") else None,
        failing=failing.endpoints(who, since, until) if webhooks_told else None,
        latest=listing.page(who, listing.Filters(), limit=6).data if who.can("intents:read") else None,
        troubled=webhooks.in_trouble(who) if webhooks_told else [],
    )


@dataclass(frozen=True, slots=True)
class Span:
    """The days that are looked at; `days` is None unless they are on offer, `problem` says what is wrong."""

    first: date
    last: date
    days: int | None
    problem: str | None = None


def _span() -> Span:
    """What the address asks for: `range` in days, or `from` and `to`."""
    today = metrics.today()
    usual = Span(today - timedelta(days=DEFAULT_DAYS - 1), today, DEFAULT_DAYS)
    text = request.args.get("range", "")
    if text.isascii() and text.isdigit() and int(text[:6]) in SPANS:
        return Span(today - timedelta(days=int(text) - 1), today, int(text))
    since, until = request.args.get("from", ""), request.args.get("to", "")
    if not (since or until):
        return usual
    try:
        last = date.fromisoformat(until) if until else today
        first = date.fromisoformat(since) if since else last - timedelta(days=DEFAULT_DAYS - 1)
        fits = first <= last <= today and (last - first).days < metrics.MAX_DAYS and first.year >= 2000
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        words = "Choose two days, the first before the last, at most two years apart and not in the future."
        return Span(usual.first, usual.last, usual.days, words)
    return Span(first, last, None)


def _stats(figures: Overview) -> dict[str, Any]:
    """The figures in words, each beside the span before."""
    now, before, currency = figures.total, figures.before, figures.currency
    success = [metrics.rate(part.paid, part.paid + part.declined) for part in (now, before)]
    conversion = [metrics.rate(part.completed, part.begun) for part in (now, before)]
    taken = [part.of(currency, "captured") for part in (now, before)]
    back = [part.of(currency, "refunded") for part in (now, before)]
    return {
        "volume": (_money(taken[0], currency), _compared(metrics.change(*taken)), _better(*taken)),
        "success": (_percent(success[0]), _points_apart(*success), _better(*success)),
        "conversion": (_percent(conversion[0]), _points_apart(*conversion), _better(*conversion)),
        "refunded": (_money(back[0], currency), _compared(metrics.change(*back)), None),
    }


def _charts(figures: Overview) -> dict[str, list[dict[str, Any]]]:
    """Points of the charts: label, value, and the value as people read it."""
    currency, total = figures.currency, figures.total
    drawn: dict[str, list[dict[str, Any]]] = {"volume": [], "success": [], "refunds": []}
    for point in figures.points:
        label = _label(point, figures)
        taken, back = point.figures.of(currency, "captured"), point.figures.of(currency, "refunded")
        known = point.figures.paid + point.figures.declined
        rate = metrics.rate(point.figures.paid, known)
        drawn["volume"].append({"label": label, "value": taken, "text": _money(taken, currency)})
        drawn["success"].append({"label": label, "value": rate or 0, "text": _percent(rate)})
        drawn["refunds"].append({"label": label, "value": max(back, 0), "text": _money(back, currency)})
    steps = (("Begun", total.begun), ("Tried to pay", total.paying), ("Completed", total.completed))
    drawn["funnel"] = [
        {"label": words, "value": number, "text": _of(number, total.begun)} for words, number in steps
    ]
    return drawn


def _label(point: Point, figures: Overview) -> str:
    """`3 Jul`, `3–9 Jul` for a week, `Jul 2026` for a month."""
    days = (figures.last - figures.first).days + 1
    if days > metrics.WEEKLY:
        return format_date(point.first, "MMM y", locale=language())
    last = format_date(point.last, "d MMM", locale=language())
    if point.first == point.last:
        return last
    return f"{format_date(point.first, 'd MMM', locale=language())} – {last}"


def _money(minor: int, currency: str) -> str:
    return money.format_money(minor, currency, language())


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:g} %"


def _of(number: int, whole: int) -> str:
    rate = metrics.rate(number, whole)
    return f"{number:,}" if rate is None else f"{number:,} · {rate:g} %"


def _compared(change: float | None) -> str | None:
    return None if change is None else f"{change:+g} % on the days before"


def _points_apart(now: float | None, before: float | None) -> str | None:
    if now is None or before is None:
        return None
    return f"{now - before:+.1f} points on the days before"


def _better(now: float | None, before: float | None) -> bool | None:
    """Whether more is better than before; None where nothing moved, or nothing can be said."""
    if not before or now is None or now == before:
        return None
    return now > before
