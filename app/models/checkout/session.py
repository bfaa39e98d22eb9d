"""The checkout session: the one row behind all four faces of a session (OP-01)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import checkout_sessions
from app.kit import clock
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.json_text import LoweredText
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref

#: Where sessions are made; an index of them begins with it.
SURFACES = ("checkout", "merchant", "sessions", "link")


class CheckoutSession(Owned, Timestamped, Stateful, Base):
    """A purchase in the making: what is bought, by whom, for how much, and how far it has come.

    `surface` says where it was made (`checkout merchant sessions link`) and so which rules of lifetime it
    has. A `hosted_id` means that a hosted page exists, and that the session finalises by itself (OP-31).
    `finalization_id` is the latest run of the last steps that left a row (models/checkout/finalization.py).
    """

    __tablename__ = "checkout_sessions"
    __table_args__ = (
        Index("ix_checkout_sessions_tenant", "tenant_id", "mode", "id"),
        Index("ix_checkout_sessions_surface", "tenant_id", "mode", "surface", "status", "id"),
        Index(
            "ix_checkout_sessions_expiry",
            "expires_at",
            sqlite_where=text("status IN ('created', 'collecting', 'reserved')"),
            postgresql_where=text("status IN ('created', 'collecting', 'reserved')"),
        ),
        Index(
            "ix_checkout_sessions_email", "tenant_id", "mode", LoweredText(column("customer"), "email"), "id"
        ),
        Index(
            "ix_checkout_sessions_reference",
            "tenant_id",
            "mode",
            "reference",
            sqlite_where=text("reference IS NOT NULL"),
            postgresql_where=text("reference IS NOT NULL"),
        ),
        Index(
            "ix_checkout_sessions_order",
            "tenant_id",
            "mode",
            "order_id",
            sqlite_where=text("order_id IS NOT NULL"),
            postgresql_where=text("order_id IS NOT NULL"),
        ),
        Index(
            "uq_checkout_sessions_copied_from",
            "copied_from",
            unique=True,
            sqlite_where=text("copied_from IS NOT NULL"),
            postgresql_where=text("copied_from IS NOT NULL"),
        ),
        Index(
            "ix_checkout_sessions_failed",
            "tenant_id",
            "mode",
            "failed_at",
            "id",
            sqlite_where=text("failed_at IS NOT NULL"),
            postgresql_where=text("failed_at IS NOT NULL"),
        ),
        Index(
            "ix_checkout_sessions_failed_why",
            "tenant_id",
            "mode",
            "failure_reason",
            "failed_at",
            "id",
            sqlite_where=text("failed_at IS NOT NULL"),
            postgresql_where=text("failed_at IS NOT NULL"),
        ),
    )
    lifecycle = checkout_sessions.LIFECYCLE

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    public_id: Mapped[str] = mapped_column(String(36), unique=True)
    hosted_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    surface: Mapped[str] = mapped_column(String(10))
    cancel_reason: Mapped[str | None] = mapped_column(String(20))
    failure_reason: Mapped[str | None] = mapped_column(String(64))
    #: Since when it has been failed; None while it is not.
    failed_at: Mapped[datetime | None]
    currency: Mapped[CurrencyCode]
    channel: Mapped[str] = mapped_column(String(20), default="web")
    owner_type: Mapped[str] = mapped_column(String(5), default="guest")
    owner_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str | None]
    description: Mapped[str | None]
    reference: Mapped[str | None]
    cart_id: Mapped[str | None] = mapped_column(String(64))
    cart_snapshot: Mapped[dict[str, Any]]
    customer: Mapped[dict[str, Any]] = mapped_column(default=dict)
    contact: Mapped[dict[str, Any]] = mapped_column(default=dict)
    shipping_address: Mapped[dict[str, Any] | None]
    billing_address: Mapped[dict[str, Any] | None]
    selected_shipping: Mapped[dict[str, Any] | None]
    pickup_location: Mapped[dict[str, Any] | None]
    shipment_plan_id: Mapped[str | None] = mapped_column(String(40))
    promotion_codes: Mapped[list[str]] = mapped_column(default=list)
    applied_promotions: Mapped[list[Any]] = mapped_column(default=list)
    #: Discounts that support gave: `id`, and `percent` or `amount` (minor units).
    support_discounts: Mapped[list[dict[str, Any]] | None]
    validation_issues: Mapped[list[Any]] = mapped_column(default=list)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    method_types: Mapped[list[str]] = mapped_column(default=list)
    calculation_id: Mapped[str | None] = mapped_column(String(40))
    totals: Mapped[dict[str, Any] | None]
    calculated_at: Mapped[datetime | None]
    totals_stale: Mapped[bool] = mapped_column(default=False)
    #: Minor units of gift cards and store credit that are held for it, once it is completed that were taken.
    wallet_applied: Mapped[int] = mapped_column(default=0)
    #: Copies of the latest fraud decision, identity check and manual review, so that no call asks for them.
    fraud: Mapped[dict[str, Any] | None]
    kyc: Mapped[dict[str, Any] | None]
    review: Mapped[dict[str, Any] | None]
    reservation_id: Mapped[str | None] = mapped_column(String(40))
    payment_intent_id: Mapped[str | None] = mapped_column(String(40), index=True)
    payment_attempts: Mapped[int] = mapped_column(Integer, default=0)
    finalization_id: Mapped[str | None] = mapped_column(String(40))
    order_id: Mapped[str | None] = mapped_column(String(64))
    receipt_id: Mapped[str | None] = mapped_column(String(64))
    payment_link_id: Mapped[str | None] = mapped_column(String(40), index=True)
    product_id: Mapped[str | None] = mapped_column(String(36))
    price_id: Mapped[str | None] = mapped_column(String(36))
    subscription_id: Mapped[str | None] = mapped_column(String(36))
    #: The session that it is a fresh copy of: of each there is one at most.
    copied_from: Mapped[str | None] = mapped_column(String(40))
    success_url: Mapped[str | None]
    cancel_url: Mapped[str | None]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_by: Mapped[str | None] = mapped_column(String(40))
    expires_at: Mapped[datetime]
    #: When its shopper asked for more time; that can be had once.
    extended_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]

    @property
    def finalises_itself(self) -> bool:
        """Hosted, link and spec 2/3 sessions need no POST finalize (OP-31)."""
        return self.hosted_id is not None

    @property
    def grand_total(self) -> int:
        """The last computed total, minor units; 0 while nothing is computed."""
        return int((self.totals or {}).get("grand_total", 0))

    def advance(self, trigger: Any, *, cause: str, **changes: Any) -> None:
        """See `Stateful.advance`; it is noted since when a session has been failed."""
        super().advance(trigger, cause=cause, **changes)
        self.failed_at = clock.now() if self.status == checkout_sessions.Status.FAILED else None

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "checkout_id": self.id,
            "session_id": self.public_id,
            "status": self.status,
            "cancel_reason": self.cancel_reason,
            "failure_reason": self.failure_reason,
            "currency": self.currency,
            "totals": self.totals,
            "wallet_applied": self.wallet_applied,
            "shipment_plan_id": self.shipment_plan_id,
            "order_id": self.order_id,
            "receipt_id": self.receipt_id,
            "reference": self.reference,
            "payment_link_id": self.payment_link_id,
            "metadata": self.metadata_,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.id, "payment_intent_id": self.payment_intent_id}
