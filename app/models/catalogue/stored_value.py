"""Stored value: gift cards and store credit, with what is held of each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped
from app.models.types import CurrencyCode, PrimaryId


class GiftCard(Owned, Timestamped, Base):
    """A code with a balance; `held` is promised to open checkouts (reliability.md 17).

    One that is blocked is not taken; what it was promised to before goes on.
    """

    __tablename__ = "gift_cards"
    __table_args__ = (
        UniqueConstraint("tenant_id", "mode", "code"),
        Index("ix_gift_cards_tenant", "tenant_id", "mode", "id"),
        CheckConstraint("held >= 0 AND held <= balance", name="held_within_balance"),
    )

    id: Mapped[PrimaryId]
    code: Mapped[str] = mapped_column(String(64))
    currency: Mapped[CurrencyCode]
    balance: Mapped[int]
    held: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime | None]
    blocked_at: Mapped[datetime | None]


class StoreCredit(Owned, Timestamped, Base):
    """What a merchant owes one customer, per currency."""

    __tablename__ = "store_credits"
    __table_args__ = (
        UniqueConstraint("tenant_id", "mode", "customer_id", "currency"),
        CheckConstraint("held >= 0 AND held <= balance", name="held_within_balance"),
    )

    id: Mapped[PrimaryId]
    customer_id: Mapped[str] = mapped_column(String(64))
    currency: Mapped[CurrencyCode]
    balance: Mapped[int]
    held: Mapped[int] = mapped_column(default=0)
