"""Subscriptions and their periods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import subscription_periods, subscriptions
from app.kit.clock import to_rfc3339
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref


class Subscription(Owned, Timestamped, Stateful, Base):
    """What a buyer agreed to be charged for again; `unit_amount` in minor units, periods from `anchor_at`.

    `public_id` is the UUID of the sessions surface. `periods` counts those that were opened or bought;
    `open_period_id` is the one that is owed. `next_query_at` is when the worker looks at it next.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("ix_subscriptions_tenant", "tenant_id", "mode", "id"),
        Index("ix_subscriptions_status", "tenant_id", "mode", "status", "id"),
        Index("ix_subscriptions_customer", "tenant_id", "mode", "customer_id", "id"),
        Index(
            "ix_subscriptions_due",
            "next_query_at",
            sqlite_where=text("next_query_at IS NOT NULL"),
            postgresql_where=text("next_query_at IS NOT NULL"),
        ),
    )
    lifecycle = subscriptions.LIFECYCLE

    id: Mapped[PrimaryId]
    public_id: Mapped[str] = mapped_column(String(36), unique=True)
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    #: The sale that began it.
    checkout_id: Mapped[str] = mapped_column(String(40), unique=True)
    customer_id: Mapped[str | None] = mapped_column(String(64))
    customer: Mapped[dict[str, Any]] = mapped_column(default=dict)
    price_id: Mapped[str | None] = mapped_column(String(36))
    title: Mapped[str]
    quantity: Mapped[int]
    unit_amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    interval: Mapped[str] = mapped_column(String(10))
    interval_count: Mapped[int] = mapped_column(Integer)
    anchor_at: Mapped[datetime]
    periods: Mapped[int] = mapped_column(Integer, default=1)
    open_period_id: Mapped[str | None] = mapped_column(String(40))
    current_period_start: Mapped[datetime]
    current_period_end: Mapped[datetime]
    payment_method_id: Mapped[str] = mapped_column(String(40))
    cancel_at_period_end: Mapped[bool] = mapped_column(default=False)
    cancel_reason: Mapped[str | None] = mapped_column(String(40))
    canceled_at: Mapped[datetime | None]
    next_query_at: Mapped[datetime | None]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)

    @property
    def amount(self) -> int:
        """What a period costs, minor units."""
        return self.quantity * self.unit_amount

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "subscription_id": self.public_id,
            "status": self.status,
            "customer_id": self.customer_id,
            "price_id": self.price_id,
            "amount": self.amount,
            "currency": self.currency,
            "current_period_end": to_rfc3339(self.current_period_end),
            "payment_method_id": self.payment_method_id,
            "cancel_at_period_end": self.cancel_at_period_end,
            "cancel_reason": self.cancel_reason,
            "metadata": self.metadata_,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": None}


class SubscriptionPeriod(Owned, Timestamped, Stateful, Base):
    """A period that is owed, or paid: by a payment of its own, or by the checkout that bought it.

    Its number is unique in its subscription, so that nobody pays for one twice. `refused_method_id` is the
    method that was declined for good, which is not asked again.
    """

    __tablename__ = "subscription_periods"
    __table_args__ = (UniqueConstraint("subscription_id", "number"),)
    lifecycle = subscription_periods.LIFECYCLE

    id: Mapped[PrimaryId]
    subscription_id: Mapped[Ref] = mapped_column(ForeignKey("subscriptions.id"))
    number: Mapped[int] = mapped_column(Integer)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    payment_intent_id: Mapped[str | None] = mapped_column(String(40))
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(48))
    refused_method_id: Mapped[str | None] = mapped_column(String(40))
    paid_at: Mapped[datetime | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "subscription_id": self.subscription_id,
            "number": self.number,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "tries": self.tries,
            "last_error": self.last_error,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": self.payment_intent_id}
