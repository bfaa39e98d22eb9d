"""Counters of the strict rate limits, shared by all processes through the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.types import PrimaryId


class RateHit(Base):
    """One counted request; a sliding window is the number of hits younger than its length."""

    __tablename__ = "rate_hits"
    __table_args__ = (Index("ix_rate_hits_bucket", "bucket", "at"),)

    id: Mapped[PrimaryId]
    bucket: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    weight: Mapped[int] = mapped_column(Integer, default=1)
