"""Step-up challenges of the API: a few guesses each, answered once (OP-08)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.types import PrimaryId, Ref


class MfaChallenge(Base):
    """A question to one person about one action; `tries` counts the answers that it was given."""

    __tablename__ = "mfa_challenges"
    __table_args__ = (Index("ix_mfa_challenges_expires_at", "expires_at"),)

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref]
    user_id: Mapped[Ref] = mapped_column(ForeignKey("users.id"))
    action: Mapped[str] = mapped_column(String(40))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
