"""Proofs that a payment method belongs to the customer; what was deposited is known to the gateway alone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import verifications
from app.models.base import Base, Owned, Timestamped
from app.models.stateful import Stateful
from app.models.types import PrimaryId, Ref


class MethodVerification(Owned, Timestamped, Stateful, Base):
    """One proof of one method; a method has at most one that is pending."""

    __tablename__ = "method_verifications"
    __table_args__ = (
        Index("ix_method_verifications_method", "method_id", "id"),
        Index(
            "uq_method_verifications_pending",
            "method_id",
            unique=True,
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
    )
    lifecycle = verifications.LIFECYCLE

    id: Mapped[PrimaryId]
    method_id: Mapped[Ref] = mapped_column(ForeignKey("payment_methods.id"))
    type: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(40))
    tries_left: Mapped[int | None] = mapped_column(Integer)

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "payment_method_id": self.method_id,
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "tries_left": self.tries_left,
            "version": self.version,
        }
