"""Credit notes of the built-in billing: what a refund or a lost dispute takes off an invoice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import CurrencyCode, PrimaryId


class CreditNote(Owned, Base):
    """A credit note; `source` (`refund:rf_…`, `dispute:dp_…`) is unique: there is exactly one for each."""

    __tablename__ = "credit_notes"
    __table_args__ = (
        UniqueConstraint("tenant_id", "mode", "source"),
        CheckConstraint("amount > 0", name="amount_positive"),
    )

    id: Mapped[PrimaryId]
    source: Mapped[str] = mapped_column(String(80))
    amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    reason: Mapped[str] = mapped_column(String(40))
    payment_intent_id: Mapped[str] = mapped_column(String(40), index=True)
    order_id: Mapped[str | None] = mapped_column(String(64))
    invoice_id: Mapped[str | None] = mapped_column(String(64))
    issued_at: Mapped[datetime]
    voided_at: Mapped[datetime | None]
