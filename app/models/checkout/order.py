"""Orders: what a completed checkout (or the orders surface) leaves behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import orders
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import CurrencyCode

#: Its receipt is promised and not issued yet.
_RECEIPT_DUE = "receipt_id IS NOT NULL AND receipt_issued_at IS NULL AND status <> 'cancelled'"

_UNPAID = "status = 'pending' AND expires_at IS NOT NULL"


class Order(Owned, Timestamped, Stateful, Base):
    """An order. `number` is the integer id of the orders surface, `order_<n>` elsewhere (OP-75).

    One order per session that is not cancelled: `checkout_id` is unique among them (reliability.md 18).
    `user_number` is the person who made it, on the orders surface; `code_held` says that a use of its
    discount code is promised to it; one that is not paid until `expires_at` is cancelled. `hint` is what the
    merchant had to tell the Order Service. `receipt_id` is promised with the order, and the receipt is issued
    at `receipt_issued_at`.
    """

    __tablename__ = "orders"
    __table_args__ = (
        Index(
            "uq_orders_live",
            "checkout_id",
            unique=True,
            sqlite_where=text("status <> 'cancelled'"),
            postgresql_where=text("status <> 'cancelled'"),
        ),
        Index(
            "ix_orders_receipt_due",
            "number",
            sqlite_where=text(_RECEIPT_DUE),
            postgresql_where=text(_RECEIPT_DUE),
        ),
        Index(
            "ix_orders_expiry",
            "expires_at",
            sqlite_where=text(_UNPAID),
            postgresql_where=text(_UNPAID),
        ),
        Index("ix_orders_tenant", "tenant_id", "mode", "number"),
        Index("ix_orders_status", "tenant_id", "mode", "status", "number"),
        Index("ix_orders_user", "tenant_id", "mode", "user_number", "number"),
    )
    lifecycle = orders.LIFECYCLE

    #: The database counts; nobody computes the next number.
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    payment_intent_id: Mapped[str | None] = mapped_column(String(40))
    user_number: Mapped[int | None] = mapped_column(Integer)
    currency: Mapped[CurrencyCode]
    sub_total: Mapped[int]
    discount_total: Mapped[int]
    tax_total: Mapped[int]
    shipping_total: Mapped[int] = mapped_column(default=0)
    fee_total: Mapped[int] = mapped_column(default=0)
    grand_total: Mapped[int]
    discount_code: Mapped[str | None] = mapped_column(String(64))
    code_held: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime | None]
    lines: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    hint: Mapped[dict[str, Any] | None]
    receipt_id: Mapped[str | None] = mapped_column(String(40))
    receipt_issued_at: Mapped[datetime | None]
    shipment_plan_id: Mapped[str | None] = mapped_column(String(40))
    #: Parcels with their places, goods and totals, where the buyer chose a plan.
    shipments: Mapped[list[dict[str, Any]] | None]

    @property
    def public_number(self) -> str:
        """`order_<n>`, as the checkout surface shows it."""
        return f"order_{self.number}"

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "order_id": self.public_number,
            "status": self.status,
            "currency": self.currency,
            "grand_total": self.grand_total,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": self.payment_intent_id}
