"""Disputes: a bank asks for its cardholder's money back; what the merchant answered; the note at the end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import disputes
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref

#: These the merchant may answer.
_WAITING = "status IN ('warning', 'needs_response')"
_PENDING = "sent_at IS NULL AND refusal IS NULL"


class Dispute(Owned, Timestamped, Stateful, Base):
    """A dispute of a charge, told by its gateway or entered by hand (then it has no `gateway_reference`).

    `amount_reserved` is its part of the intent's `amount_disputed`: all of `amount` while the money is held
    or lost, less while refunds that came before have some of it, nothing for a warning or once it is won.
    `opened_at` is when the money was taken back. Amounts and `fee` are minor units.
    """

    __tablename__ = "disputes"
    __table_args__ = (
        UniqueConstraint("tenant_id", "mode", "connector", "gateway_reference"),
        Index("ix_disputes_tenant", "tenant_id", "mode", "received_at", "id"),
        Index("ix_disputes_status", "tenant_id", "mode", "status", "received_at", "id"),
        Index("ix_disputes_due", "tenant_id", "mode", "status", "evidence_due_at", "id"),
        Index("ix_disputes_account", "tenant_id", "mode", "merchant_account_id", "received_at", "id"),
        Index(
            "ix_disputes_waiting",
            "tenant_id",
            "mode",
            "evidence_due_at",
            "id",
            sqlite_where=text(_WAITING),
            postgresql_where=text(_WAITING),
        ),
        Index(
            "ix_disputes_sweep",
            "next_query_at",
            sqlite_where=text("next_query_at IS NOT NULL"),
            postgresql_where=text("next_query_at IS NOT NULL"),
        ),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("amount_reserved >= 0 AND amount_reserved <= amount", name="reserved_within_amount"),
    )
    lifecycle = disputes.LIFECYCLE

    id: Mapped[PrimaryId]
    intent_id: Mapped[Ref] = mapped_column(ForeignKey("payment_intents.id"), index=True)
    attempt_id: Mapped[Ref] = mapped_column(ForeignKey("attempts.id"))
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    connector: Mapped[str] = mapped_column(String(40))
    gateway_reference: Mapped[str | None] = mapped_column(String(128), index=True)
    kind: Mapped[str] = mapped_column(String(24))
    amount: Mapped[int]
    amount_reserved: Mapped[int] = mapped_column(default=0)
    currency: Mapped[CurrencyCode]
    fee: Mapped[int] = mapped_column(default=0)
    reason_code: Mapped[str] = mapped_column(String(40))
    merchant_account_id: Mapped[str | None] = mapped_column(String(40))
    received_at: Mapped[datetime]
    evidence_due_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(8))
    decided_at: Mapped[datetime | None]
    close_requested_at: Mapped[datetime | None]
    closing_note: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    credit_note_id: Mapped[str | None] = mapped_column(String(40))
    created_by: Mapped[str | None] = mapped_column(String(40))
    next_query_at: Mapped[datetime | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "dispute_id": self.id,
            "payment_intent_id": self.intent_id,
            "charge_id": self.attempt_id,
            "kind": self.kind,
            "status": self.status,
            "outcome": self.outcome,
            "amount": self.amount,
            "currency": self.currency,
            "fee": self.fee,
            "reason_code": self.reason_code,
            "merchant_account_id": self.merchant_account_id,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": self.intent_id}


class EvidenceSubmission(Owned, Timestamped, Base):
    """Evidence handed in at one time: on its way until the gateway has taken it (`sent_at`) or refused it."""

    __tablename__ = "evidence_submissions"
    __table_args__ = (
        Index(
            "uq_evidence_submissions_pending",
            "dispute_id",
            unique=True,
            sqlite_where=text(_PENDING),
            postgresql_where=text(_PENDING),
        ),
    )

    id: Mapped[PrimaryId]
    dispute_id: Mapped[Ref] = mapped_column(ForeignKey("disputes.id"), index=True)
    created_by: Mapped[str | None] = mapped_column(String(40))
    sent_at: Mapped[datetime | None]
    refusal: Mapped[str | None] = mapped_column(String(64))

    @property
    def state(self) -> str:
        """`pending`, `submitted` or `refused`."""
        if self.sent_at is not None:
            return "submitted"
        return "pending" if self.refusal is None else "refused"


class DisputeEvidence(Owned, Base):
    """One item of evidence, as it was handed in; rows are only ever added (models/append_only.py).

    Either `text`, or a document that we keep (`upload_id`, with its hash), or the merchant's own `url`.
    """

    __tablename__ = "dispute_evidence"

    id: Mapped[PrimaryId]
    submission_id: Mapped[Ref] = mapped_column(ForeignKey("evidence_submissions.id"), index=True)
    dispute_id: Mapped[Ref] = mapped_column(ForeignKey("disputes.id"), index=True)
    line: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(32))
    text: Mapped[str | None]
    url: Mapped[str | None]
    upload_id: Mapped[str | None] = mapped_column(String(40), ForeignKey("uploads.id"))
    filename: Mapped[str | None] = mapped_column(String(120))
    content_type: Mapped[str | None] = mapped_column(String(40))
    size: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]

    def facts(self) -> dict[str, Any]:
        """What the journal keeps: proof of what was handed in, without its words or a link's signature."""
        return {
            "id": self.id,
            "type": self.type,
            "url": self.url.partition("?")[0] if self.url else None,
            "upload_id": self.upload_id,
            "sha256": self.sha256,
            "size": self.size,
        }


class AccountingNote(Owned, Base):
    """What the books are told when a dispute is closed; one a dispute, only ever added."""

    __tablename__ = "accounting_notes"

    id: Mapped[PrimaryId]
    dispute_id: Mapped[Ref] = mapped_column(ForeignKey("disputes.id"), unique=True)
    outcome: Mapped[str] = mapped_column(String(12))
    amount: Mapped[int]
    fee: Mapped[int]
    currency: Mapped[CurrencyCode]
    text: Mapped[str]
    credit_note_id: Mapped[str | None] = mapped_column(String(40))
    created_by: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
