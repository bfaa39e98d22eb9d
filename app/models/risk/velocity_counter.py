"""Velocity counters: one row for each card, customer, address … that was seen lately."""

from __future__ import annotations

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class VelocityCounter(Base):
    """What came by in the fixed window that began at `window_start`, and in the one before.

    Times are seconds of the epoch: the row rolls over by arithmetic inside one upsert. `bucket` is a hash
    over merchant, mode, scope, value and window; the value itself is not here.
    """

    __tablename__ = "velocity_counters"
    __table_args__ = (Index("ix_velocity_counters_over", "over_at"),)

    bucket: Mapped[str] = mapped_column(String(64), primary_key=True)
    window_seconds: Mapped[int] = mapped_column(Integer)
    window_start: Mapped[int]
    over_at: Mapped[int]
    tries: Mapped[int] = mapped_column(Integer)
    tries_before: Mapped[int] = mapped_column(Integer)
    declines: Mapped[int] = mapped_column(Integer)
    declines_before: Mapped[int] = mapped_column(Integer)
    amount: Mapped[int]
    amount_before: Mapped[int]
