"""Manual reviews of checkouts: who looks at one, why, and what they decided (CK-049)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import reviews
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import PrimaryId, Ref


class Review(Owned, Timestamped, Stateful, Base):
    """One review of one checkout, which has at most one that is pending; `source` says who asked for it.

    The session keeps a copy of what matters (`told`), so that paying asks no further table.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        Index("ix_reviews_checkout", "checkout_id", "id"),
        Index("ix_reviews_queue", "tenant_id", "mode", "status", "id"),
        Index(
            "uq_reviews_pending",
            "checkout_id",
            unique=True,
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
    )
    lifecycle = reviews.LIFECYCLE

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"))
    source: Mapped[str] = mapped_column(String(20))
    assignee_id: Mapped[str | None] = mapped_column(String(40))
    assigned_by: Mapped[str | None] = mapped_column(String(64))
    assignment_note: Mapped[str | None] = mapped_column(String(2000))
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decided_at: Mapped[datetime | None]
    decision_note: Mapped[str | None] = mapped_column(String(2000))

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "checkout_id": self.checkout_id,
            "status": self.status,
            "source": self.source,
            "assignee_id": self.assignee_id,
            "note": self.assignment_note,
            "decision_note": self.decision_note,
            "version": self.version,
        }

    def told(self) -> dict[str, Any]:
        """What the session shows of it."""
        return {
            "review_id": self.id,
            "status": self.status,
            "source": self.source,
            "assignee_id": self.assignee_id,
            "note": self.assignment_note,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": None}
