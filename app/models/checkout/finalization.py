"""Finalisations: what was asked for, what was sent to the Order Service, what came of it, what was undone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import finalizations
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import PrimaryId, Ref


class Finalization(Owned, Timestamped, Stateful, Base):
    """One run of the last steps of a checkout; the session names its latest.

    `order_draft` is what the Order Service is sent, kept before it is sent: a retry sends the same.
    `sold` says that goods and payment are done with, and that other systems alone are still to be told.
    `keeps_payment` says that the merchant had captured by a call of its own, so that a later failure does not
    undo the capture (OP-31). `steps` are those of a rollback: `step`, `status` and what it did.
    """

    __tablename__ = "finalizations"
    lifecycle = finalizations.LIFECYCLE

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"), index=True)
    payment_intent_id: Mapped[str | None] = mapped_column(String(40))
    create_order: Mapped[bool] = mapped_column(default=True)
    order_hint: Mapped[dict[str, Any] | None]
    order_draft: Mapped[dict[str, Any] | None]
    order_id: Mapped[str | None] = mapped_column(String(64))
    receipt_id: Mapped[str | None] = mapped_column(String(64))
    sold: Mapped[bool] = mapped_column(default=False)
    keeps_payment: Mapped[bool] = mapped_column(default=False)
    failure_reasons: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    steps: Mapped[list[dict[str, Any]]] = mapped_column(default=list)

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "finalization_id": self.id,
            "checkout_id": self.checkout_id,
            "status": self.status,
            "order_id": self.order_id,
            "receipt_id": self.receipt_id,
            "failure_reasons": self.failure_reasons,
            "steps": self.steps,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": self.payment_intent_id}
