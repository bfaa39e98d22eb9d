"""Reconciliations: what was compared, what came of it for each transaction, and what people decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import CurrencyCode, PrimaryId, Ref


class Reconciliation(Owned, Base):
    """One run; its id is that of its job. `phase` and `cursor` are where a killed worker's successor goes on.

    `summary` has a count and sums for each outcome and currency, once the run is done.
    `from_` and `to` bound the settlement date of lines and the day on which our transactions were captured.
    """

    __tablename__ = "reconciliations"
    __table_args__ = (Index("ix_reconciliations_tenant", "tenant_id", "mode", "id"),)

    id: Mapped[PrimaryId]
    connector_id: Mapped[str | None] = mapped_column(String(40))
    from_: Mapped[datetime] = mapped_column("from")
    to: Mapped[datetime]
    phase: Mapped[str] = mapped_column(String(12))
    cursor: Mapped[str] = mapped_column(String(96), default="")
    summary: Mapped[list[dict[str, Any]] | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ReconciliationItem(Base):
    """One line of the report: a line of a statement, or a transaction of ours that none mentions.

    `subject_id` is the line's id or, for a missing one, the transaction's.
    Amounts are minor units as the merchant sees them: negative where money goes back.
    """

    __tablename__ = "reconciliation_items"
    __table_args__ = (
        Index("ix_reconciliation_items_outcome", "job_id", "outcome", "subject_id"),
        Index("ix_reconciliation_items_transaction", "job_id", "transaction_id"),
    )

    job_id: Mapped[Ref] = mapped_column(ForeignKey("reconciliations.id"), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16))
    type: Mapped[str] = mapped_column(String(12))
    connector: Mapped[str] = mapped_column(String(40))
    connector_id: Mapped[Ref]
    transaction_id: Mapped[str | None] = mapped_column(String(40))
    line_id: Mapped[str | None] = mapped_column(String(40))
    settlement_id: Mapped[str | None] = mapped_column(String(40))
    reference: Mapped[str | None] = mapped_column(String(128))
    currency: Mapped[CurrencyCode]
    expected: Mapped[int | None]
    actual: Mapped[int | None]
    occurred_at: Mapped[datetime]


class Resolution(Owned, Base):
    """What a person decided about a discrepancy; it holds for every later run as well.

    `amount` is what was taken off the gateway's account for it, `matched_to` the other half of a `match`.
    """

    __tablename__ = "reconciliation_resolutions"
    __table_args__ = (Index("ix_reconciliation_resolutions_tenant", "tenant_id", "mode", "subject_id"),)

    subject_id: Mapped[PrimaryId]
    job_id: Mapped[Ref]
    settlement_id: Mapped[str | None] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(String(1000))
    amount: Mapped[int] = mapped_column(default=0)
    matched_to: Mapped[str | None] = mapped_column(String(40))
    final: Mapped[bool]
    decided_by: Mapped[str] = mapped_column(String(64))
    decided_at: Mapped[datetime]
