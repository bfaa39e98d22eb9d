"""Orders: what a completed checkout (or the orders surface) leaves behind."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import orders
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import CurrencyCode


class Order(Owned, Timestamped, Stateful, Base):
    """An order. `number` is the integer id of the orders surface, `order_<n>` elsewhere (OP-75).

    One order per session: `checkout_id` is unique (reliability.md 18).
    """

    __tablename__ = "orders"
    __table_args__ = (UniqueConstraint("checkout_id"),)
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
    lines: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    receipt_id: Mapped[str | None] = mapped_column(String(40))

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
