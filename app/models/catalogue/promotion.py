"""Discount codes (OP-77)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped
from app.models.types import PrimaryId


class Coupon(Owned, Timestamped, Base):
    """A code worth a percentage off the goods; `code` is canonical (upper case, trimmed)."""

    __tablename__ = "coupons"
    __table_args__ = (
        UniqueConstraint("tenant_id", "mode", "code"),
        CheckConstraint("percent > 0 AND percent <= 100", name="percent_range"),
        CheckConstraint("usage_limit IS NULL OR used + held <= usage_limit", name="within_limit"),
    )

    id: Mapped[PrimaryId]
    code: Mapped[str] = mapped_column(String(64))
    percent: Mapped[Decimal] = mapped_column(Numeric(6, 3))
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    usage_limit: Mapped[int | None]
    used: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)
