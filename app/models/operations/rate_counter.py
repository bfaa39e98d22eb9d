"""Counters of the general rate limits, where the installation keeps them in the database."""

from __future__ import annotations

from sqlalchemy import Float, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class RateCounter(Base):
    """The calls of one caller in the window that ends at `ends_at` (seconds of the epoch)."""

    __tablename__ = "rate_counters"
    __table_args__ = (Index("ix_rate_counters_ends", "ends_at"),)

    bucket: Mapped[str] = mapped_column(String(64), primary_key=True)
    ends_at: Mapped[float] = mapped_column(Float(53))
    calls: Mapped[int] = mapped_column(Integer)
