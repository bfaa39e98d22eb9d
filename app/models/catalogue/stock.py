"""Stock: what is on hand and what of it is held, per SKU and location."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import PrimaryId


class StockItem(Owned, Base):
    """`held` is part of `on_hand`; both change by conditional UPDATE only (reliability.md 16)."""

    __tablename__ = "stock_items"
    __table_args__ = (
        UniqueConstraint("tenant_id", "mode", "sku", "location"),
        CheckConstraint("held >= 0", name="held_not_negative"),
        CheckConstraint("held <= on_hand", name="held_within_on_hand"),
    )

    id: Mapped[PrimaryId]
    sku: Mapped[str] = mapped_column(String(64))
    location: Mapped[str] = mapped_column(String(40), default="main")
    on_hand: Mapped[int]
    held: Mapped[int] = mapped_column(default=0)
    sold: Mapped[int] = mapped_column(default=0)
