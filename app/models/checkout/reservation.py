"""Reservations: stock held for one checkout until it is captured, released or lapses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import reservations
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import PrimaryId, Ref


class Reservation(Owned, Timestamped, Stateful, Base):
    """Stock holds of one session. Each line: `line_id sku location requested_qty reserved_qty`."""

    __tablename__ = "reservations"
    __table_args__ = (
        Index(
            "uq_reservations_live",
            "checkout_id",
            unique=True,
            sqlite_where=text("status = 'active'"),
            postgresql_where=text("status = 'active'"),
        ),
        Index(
            "ix_reservations_expiry",
            "expires_at",
            sqlite_where=text("status = 'active'"),
            postgresql_where=text("status = 'active'"),
        ),
    )
    lifecycle = reservations.LIFECYCLE

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"))
    allocation_strategy: Mapped[str] = mapped_column(String(20), default="best_fit")
    partial: Mapped[bool] = mapped_column(default=False)
    lines: Mapped[list[dict[str, Any]]]
    coupons: Mapped[list[str]] = mapped_column(default=list)
    #: Where remote providers hold it: `key`, and the addresses of `inventory` and `promotions` among them.
    held_by: Mapped[dict[str, Any] | None]
    #: Milliseconds until the goods were held; unknown of holds from before it was measured.
    took_ms: Mapped[float | None]
    expires_at: Mapped[datetime]
    extended_until_at: Mapped[datetime | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "reservation_id": self.id,
            "status": self.status,
            "partial": self.partial,
            "lines": self.lines,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": None}
