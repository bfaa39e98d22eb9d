"""The payment intent: the single source of a payment's lifecycle."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.domain.lifecycles import intents
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref


class PaymentIntent(Owned, Timestamped, Stateful, Base):
    """What is to be paid, how far it has come, and the sums that bound captures and refunds.

    `amount_refunding` is reserved by refunds that are not failed (including succeeded ones), so that one
    conditional UPDATE keeps Σrefunds + disputes ≤ captured (reliability.md 12).

    One that is `split` has no charge of its own: its parts are intents with `parent_intent_id`, numbered by
    `part` (None: a later try has replaced it), and its sums are theirs (services/payments/parts.py).

    `paid_for` is what it pays for, where that is no checkout: an order (`ord_…`) or a subscription's period
    (`per_…`).
    """

    __tablename__ = "payment_intents"
    __table_args__ = (
        Index("ix_payment_intents_time", "tenant_id", "mode", "created_at", "id"),
        Index("ix_payment_intents_status_time", "tenant_id", "mode", "status", "created_at", "id"),
        Index("ix_payment_intents_amount", "tenant_id", "mode", "amount", "created_at", "id"),
        Index(
            "ix_payment_intents_customer",
            "tenant_id",
            "mode",
            "customer_id",
            "id",
            sqlite_where=text("customer_id IS NOT NULL"),
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
        Index("ix_payment_intents_method", "payment_method_id"),
        Index(
            "ix_payment_intents_checkout",
            "checkout_id",
            sqlite_where=text("checkout_id IS NOT NULL"),
            postgresql_where=text("checkout_id IS NOT NULL"),
        ),
        Index(
            "ix_payment_intents_parts",
            "parent_intent_id",
            "part",
            sqlite_where=text("parent_intent_id IS NOT NULL"),
            postgresql_where=text("parent_intent_id IS NOT NULL"),
        ),
        Index(
            "ix_payment_intents_split",
            "status",
            "updated_at",
            sqlite_where=text("split"),
            postgresql_where=text("split"),
        ),
        CheckConstraint("amount_captured <= amount_authorized", name="captured_within_authorized"),
        CheckConstraint(
            "amount_refunding + amount_disputed <= amount_captured", name="refunds_within_captured"
        ),
    )
    lifecycle = intents.LIFECYCLE

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    customer_id: Mapped[str | None] = mapped_column(String(64))
    payment_method_id: Mapped[str | None] = mapped_column(String(40))
    method_types: Mapped[list[str]] = mapped_column(default=list)
    capture_mode: Mapped[str] = mapped_column(String(6), default="auto")
    description: Mapped[str | None]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    payment_method_options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    merchant_account_id: Mapped[str | None] = mapped_column(String(40))
    request_id: Mapped[str | None] = mapped_column(String(128))
    next_action: Mapped[dict[str, Any] | None]
    last_error: Mapped[dict[str, Any] | None]
    risk: Mapped[dict[str, Any] | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer, default=5)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    cancel_reason: Mapped[str | None] = mapped_column(String(20))
    settles_with_checkout: Mapped[bool] = mapped_column(default=False)
    split: Mapped[bool] = mapped_column(default=False)
    parent_intent_id: Mapped[str | None] = mapped_column(String(40))
    part: Mapped[int | None] = mapped_column(Integer)
    paid_for: Mapped[str | None] = mapped_column(String(40))
    amount_authorized: Mapped[int] = mapped_column(default=0)
    amount_captured: Mapped[int] = mapped_column(default=0)
    amount_refunding: Mapped[int] = mapped_column(default=0)
    amount_refunded: Mapped[int] = mapped_column(default=0)
    amount_disputed: Mapped[int] = mapped_column(default=0)
    needs_review: Mapped[bool] = mapped_column(default=False)
    succeeded_at: Mapped[datetime | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "payment_intent_id": self.id,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "amount_authorized": self.amount_authorized,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "capture_mode": self.capture_mode,
            "cancel_reason": self.cancel_reason,
            "payment_method_id": self.payment_method_id,
            "customer_id": self.customer_id,
            "last_error": self.last_error,
            "metadata": self.metadata_,
            "version": self.version,
        }

    def _journal(self, session: Session, event: str | None, cause: str, **facts: Any) -> None:
        """A part tells of itself under names of its own: a merchant acts on the whole payment."""
        told = event if self.parent_intent_id is None else f"payment_part.{self.status}"
        super()._journal(session, told, cause, **facts)

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": self.id}
