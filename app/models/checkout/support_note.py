"""Support notes: what a merchant's people write down about a checkout."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import clock
from app.models.base import Base, Owned
from app.models.types import PrimaryId, Ref


class SupportNote(Owned, Base):
    """A note. The journal tells that there is one; its words stand here alone, so that they can be erased."""

    __tablename__ = "support_notes"
    __table_args__ = (Index("ix_support_notes_checkout", "checkout_id", "id"),)

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"))
    text: Mapped[str]
    author: Mapped[str] = mapped_column(String(200))
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
