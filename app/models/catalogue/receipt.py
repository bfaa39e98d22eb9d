"""Receipts of the built-in billing: what a buyer is given for a payment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import CurrencyCode


class Receipt(Owned, Base):
    """A receipt as it was issued; `content` holds seller, buyer, lines, totals and payment of that moment.

    `source` (`checkout:chk_…`) has one receipt that is not void. Whoever knows `token` may read it.
    """

    __tablename__ = "receipts"
    __table_args__ = (
        Index(
            "uq_receipts_live",
            "tenant_id",
            "mode",
            "source",
            unique=True,
            sqlite_where=text("voided_at IS NULL"),
            postgresql_where=text("voided_at IS NULL"),
        ),
    )

    #: The database counts; nobody computes the next number.
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[str] = mapped_column(String(80))
    payment_intent_id: Mapped[str | None] = mapped_column(String(40))
    order_id: Mapped[str | None] = mapped_column(String(64))
    currency: Mapped[CurrencyCode]
    amount: Mapped[int]
    content: Mapped[dict[str, Any]]
    issued_at: Mapped[datetime]
    voided_at: Mapped[datetime | None]

    @property
    def public_number(self) -> str:
        """The number as people read it."""
        return f"R-{self.number:06d}"
