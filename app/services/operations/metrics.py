"""Figures for the dashboard's home screen: a span of days, the one before it, and what to draw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta

from app.domain.actor import Actor
from app.kit import clock
from app.services.operations import day_figures
from app.services.operations.day_figures import Figures

#: The longest span that is looked at, in days.
MAX_DAYS = 732
#: Up to so many days a point of a chart is a day; up to so many a week; else a month.
DAILY, WEEKLY = 62, 200


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the charts: a day, or the days from `first` to `last`."""

    first: date
    last: date
    figures: Figures


@dataclass(frozen=True, slots=True)
class Overview:
    """What a span came to. Amounts are minor units of `currency`; `currencies` has those with money in it."""

    first: date
    last: date
    currency: str
    currencies: list[str]
    total: Figures
    before: Figures
    points: list[Point]


def today() -> date:
    """The UTC day that it is."""
    return clock.now().astimezone(UTC).date()


def overview(actor: Actor, first: date, last: date, currency: str | None = None) -> Overview:
    """The figures of some days, both ends included, beside those of as many days before.

    Without `currency` it is the one in which most was taken (counted in payments).
    """
    days = (last - first).days + 1
    found = day_figures.between(actor, first - timedelta(days=days), last)
    total, before = Figures(), Figures()
    for day, figures in found.items():
        (total if day >= first else before).add(figures)
    currencies = sorted(total.money, key=lambda name: -total.of(name, "captures"))
    chosen = currency if currency in currencies else next(iter(currencies), actor.tenant.default_currency)
    of_span = {day: figures for day, figures in found.items() if day >= first}
    return Overview(first, last, chosen, currencies, total, before, _points(of_span, days))


def rate(part: int, whole: int) -> float | None:
    """Percent with one decimal, at most 100; None of nothing."""
    return min(round(100 * part / whole, 1), 100.0) if whole else None


def change(now: float | None, before: float | None) -> float | None:
    """By how many percent something has changed; None where there is nothing to compare with."""
    return round(100 * (now - before) / before, 1) if before and now is not None else None


def _points(found: dict[date, Figures], days: int) -> list[Point]:
    """The points of a chart, the earliest first."""
    points: list[Point] = []
    for day, figures in sorted(found.items()):
        starts = days <= DAILY or (day.weekday() == 0 if days <= WEEKLY else day.day == 1)
        if starts or not points:
            points.append(Point(day, day, Figures()))
        latest = points[-1]
        latest.figures.add(figures)
        points[-1] = Point(latest.first, day, latest.figures)
    return points
