"""What one UTC day came to, for the dashboard's charts: kept once the day is over."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned


class DayFigures(Owned, Base):
    """A day of one merchant and mode: what *happened* on it, which no longer changes.

    `money` is currency → `captured`, `captures`, `refunded`, `refunds` (minor units and how many). `paid` and
    `declined` are payments by what became of them that day, `begun`, `paying` and `completed` are checkouts.
    The days of a merchant follow each other without a gap (services/operations/day_figures.py).
    """

    __tablename__ = "day_figures"

    tenant_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    begun: Mapped[int] = mapped_column(Integer, default=0)
    paying: Mapped[int] = mapped_column(Integer, default=0)
    completed: Mapped[int] = mapped_column(Integer, default=0)
    paid: Mapped[int] = mapped_column(Integer, default=0)
    declined: Mapped[int] = mapped_column(Integer, default=0)
    money: Mapped[dict[str, Any]] = mapped_column(default=dict)
