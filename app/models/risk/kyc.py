"""Identity checks (KYC) of the buyers of checkouts; their documents are uploads (CK-047, CK-048)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import kyc
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import PrimaryId, Ref


class KycRequest(Owned, Timestamped, Stateful, Base):
    """One check; a checkout has at most one that is not decided. `documents` is how many have come in.

    `provider_reference` and `provider_url` are those of a provider that examines documents on pages of its
    own. No fact about it says what is in a document, or what a file was called.
    """

    __tablename__ = "kyc_requests"
    __table_args__ = (
        Index("ix_kyc_requests_checkout", "checkout_id", "id"),
        Index("ix_kyc_requests_queue", "tenant_id", "mode", "status", "id"),
        Index(
            "uq_kyc_requests_open",
            "checkout_id",
            unique=True,
            sqlite_where=text("status IN ('pending', 'submitted')"),
            postgresql_where=text("status IN ('pending', 'submitted')"),
        ),
    )
    lifecycle = kyc.LIFECYCLE

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"))
    provider: Mapped[str] = mapped_column(String(24))
    provider_reference: Mapped[str | None] = mapped_column(String(128))
    provider_url: Mapped[str | None]
    documents: Mapped[int] = mapped_column(Integer, default=0)
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decided_at: Mapped[datetime | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "checkout_id": self.checkout_id,
            "status": self.status,
            "provider": self.provider,
            "documents": self.documents,
            "version": self.version,
        }

    def told(self) -> dict[str, Any]:
        """What the session shows of it."""
        return {"kyc_id": self.id, "status": self.status}

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": None}
