"""What browsers report of pages that broke their Content-Security-Policy, counted by day."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.types import PrimaryId


class CspReport(Base):
    """One violation as often as it was reported on a day.

    `route` is the route of the page and never its address, which is a secret of the shopper's; `blocked` is
    an origin or a keyword (`inline`, `eval`).
    """

    __tablename__ = "csp_reports"
    __table_args__ = (UniqueConstraint("day", "route", "directive", "blocked"),)

    id: Mapped[PrimaryId]
    day: Mapped[date] = mapped_column(Date)
    route: Mapped[str] = mapped_column(String(120))
    directive: Mapped[str] = mapped_column(String(40))
    blocked: Mapped[str] = mapped_column(String(120))
    count: Mapped[int] = mapped_column(Integer, default=1)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
