"""Wallet holds: which part of a gift card or of a customer's credit pays for which checkout."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import wallet_holds
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref


class WalletHold(Owned, Timestamped, Stateful, Base):
    """A part of an instrument for one session; `amount` in minor units, once it is taken what was taken.

    `kind` is `gift_card` or `store_credit`, `instrument_id` the row that has the balance, `label` what may be
    shown of it: of a gift card the end of its code.
    """

    __tablename__ = "wallet_holds"
    __table_args__ = (
        Index(
            "uq_wallet_holds_live",
            "checkout_id",
            "instrument_id",
            unique=True,
            sqlite_where=text("status = 'held'"),
            postgresql_where=text("status = 'held'"),
        ),
        Index("ix_wallet_holds_checkout", "checkout_id", "id"),
        Index("ix_wallet_holds_instrument", "instrument_id", "status"),
    )
    lifecycle = wallet_holds.LIFECYCLE

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"))
    kind: Mapped[str] = mapped_column(String(12))
    instrument_id: Mapped[Ref]
    label: Mapped[str | None] = mapped_column(String(12))
    amount: Mapped[int]
    currency: Mapped[CurrencyCode]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "wallet_hold_id": self.id,
            "kind": self.kind,
            "label": self.label,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": None}
