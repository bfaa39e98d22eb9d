"""Refunds: money on its way back."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import refunds
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref

#: On their way: few at any moment, and looked for often.
_OPEN = "('pending', 'processing', 'requires_action')"

#: Who made a refund that nobody asked us for.
BY_GATEWAY = "gateway"


class Refund(Owned, Timestamped, Stateful, Base):
    """A refund; its amount is reserved on the intent from birth until it fails.

    What was asked of a split payment goes back by its charges: those refunds have the same `group_id`.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        Index("ix_refunds_tenant", "tenant_id", "mode", "id"),
        Index(
            "uq_refunds_nonce",
            "nonce",
            unique=True,
            sqlite_where=text("nonce IS NOT NULL"),
            postgresql_where=text("nonce IS NOT NULL"),
        ),
        Index("ix_refunds_status", "tenant_id", "mode", "status", "id"),
        Index("ix_refunds_intent", "intent_id", "id"),
        Index("ix_refunds_time", "tenant_id", "mode", "created_at", "id"),
        Index(
            "ix_refunds_open",
            "tenant_id",
            "mode",
            "created_at",
            sqlite_where=text(f"status IN {_OPEN}"),
            postgresql_where=text(f"status IN {_OPEN}"),
        ),
        Index(
            "ix_refunds_sweep",
            "next_query_at",
            sqlite_where=text("next_query_at IS NOT NULL"),
            postgresql_where=text("next_query_at IS NOT NULL"),
        ),
        Index(
            "ix_refunds_succeeded",
            "tenant_id",
            "mode",
            "succeeded_at",
            "id",
            sqlite_where=text("succeeded_at IS NOT NULL"),
            postgresql_where=text("succeeded_at IS NOT NULL"),
        ),
    )
    lifecycle = refunds.LIFECYCLE

    id: Mapped[PrimaryId]
    intent_id: Mapped[Ref] = mapped_column(ForeignKey("payment_intents.id"))
    attempt_id: Mapped[Ref] = mapped_column(ForeignKey("attempts.id"))
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    reason: Mapped[str] = mapped_column(String(24), default="other")
    reason_text: Mapped[str | None]
    refund_method: Mapped[str] = mapped_column(String(32), default="original_payment_method")
    gateway_reference: Mapped[str | None] = mapped_column(String(128), index=True)
    failure_reason: Mapped[str | None] = mapped_column(String(64))
    actions: Mapped[list[Any]] = mapped_column(default=list)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    credit_note_id: Mapped[str | None] = mapped_column(String(40))
    group_id: Mapped[str | None] = mapped_column(String(40))
    #: Of the call that made it, where that may come again.
    nonce: Mapped[str | None] = mapped_column(String(64))
    created_by: Mapped[str | None] = mapped_column(String(40))
    next_query_at: Mapped[datetime | None]
    queries: Mapped[int] = mapped_column(Integer, default=0)
    succeeded_at: Mapped[datetime | None]
    settlement_id: Mapped[str | None] = mapped_column(String(40))
    settlement_date: Mapped[date | None]

    @property
    def is_foreign(self) -> bool:
        """Whether the gateway made it without us."""
        return self.created_by == BY_GATEWAY

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "refund_id": self.id,
            "payment_intent_id": self.intent_id,
            "charge_id": self.attempt_id,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "reason": self.reason,
            "refund_method": self.refund_method,
            "failure_reason": self.failure_reason,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": self.intent_id}
