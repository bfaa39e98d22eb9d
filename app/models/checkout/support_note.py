"""Support notes: what a merchant's people write down about a checkout or a payment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import clock
from app.models.base import Base, Owned
from app.models.types import PrimaryId


class SupportNote(Owned, Base):
    """A note about a checkout, a payment, or both.

    The journal tells that there is one; its words stand here alone, so that they can be erased.
    """

    __tablename__ = "support_notes"
    __table_args__ = (
        Index("ix_support_notes_checkout", "checkout_id", "id"),
        Index("ix_support_notes_payment", "payment_intent_id", "id"),
    )

    id: Mapped[PrimaryId]
    checkout_id: Mapped[str | None] = mapped_column(String(40), ForeignKey("checkout_sessions.id"))
    payment_intent_id: Mapped[str | None] = mapped_column(String(40))
    text: Mapped[str]
    author: Mapped[str] = mapped_column(String(200))
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
