"""Payouts: settled money on its way from a gateway to the merchant's bank."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import payouts
from app.models.base import Base, Owned, Timestamped
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref


class Payout(Owned, Timestamped, Stateful, Base):
    """A payout; its amount has left the available balance from its birth until it fails."""

    __tablename__ = "payouts"
    __table_args__ = (
        Index("ix_payouts_tenant", "tenant_id", "mode", "id"),
        Index(
            "ix_payouts_sweep",
            "next_query_at",
            sqlite_where=text("next_query_at IS NOT NULL"),
            postgresql_where=text("next_query_at IS NOT NULL"),
        ),
        Index("ix_payouts_reference", "gateway_reference"),
        CheckConstraint("amount > 0", name="amount_is_positive"),
    )
    lifecycle = payouts.LIFECYCLE

    id: Mapped[PrimaryId]
    connector: Mapped[str] = mapped_column(String(40))
    connector_id: Mapped[Ref]
    merchant_account_id: Mapped[str | None] = mapped_column(String(64))
    amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    destination: Mapped[str] = mapped_column(String(128))
    gateway_reference: Mapped[str | None] = mapped_column(String(128))
    failure_reason: Mapped[str | None] = mapped_column(String(64))
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_by: Mapped[str | None] = mapped_column(String(64))
    next_query_at: Mapped[datetime | None]
    queries: Mapped[int] = mapped_column(Integer, default=0)
    needs_review: Mapped[bool] = mapped_column(default=False)
    paid_at: Mapped[datetime | None]

    @property
    def gateway_key(self) -> str:
        """The gateway's idempotency key: ours, never the client's (reliability.md 4)."""
        return f"payout_{self.id}"

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "payout_id": self.id,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "connector_id": self.connector_id,
            "merchant_account_id": self.merchant_account_id,
            "gateway_reference": self.gateway_reference,
            "failure_reason": self.failure_reason,
            "version": self.version,
        }
