"""The double-entry ledger: transactions of postings that sum to zero per currency."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import CurrencyCode, PrimaryId, Ref


class LedgerTransaction(Owned, Base):
    """One event in money. `source` (`capture:ch_…`, `refund:rf_…`) is unique, so posting twice fails.

    `summed_at` is when the worker added its postings to the sums of their day (balance.py).
    """

    __tablename__ = "ledger_transactions"
    __table_args__ = (
        UniqueConstraint("source"),
        Index("ix_ledger_transactions_tenant", "tenant_id", "mode", "id"),
        Index("ix_ledger_transactions_time", "tenant_id", "mode", "posted_at", "id"),
        Index(
            "ix_ledger_transactions_unsummed",
            "id",
            sqlite_where=text("summed_at IS NULL"),
            postgresql_where=text("summed_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    source: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(24))
    payment_intent_id: Mapped[str | None] = mapped_column(String(40), index=True)
    posted_at: Mapped[datetime]
    summed_at: Mapped[datetime | None]


class Posting(Base):
    """One side of a transaction: positive debits the account, negative credits it; minor units."""

    __tablename__ = "ledger_postings"
    __table_args__ = (Index("ix_ledger_postings_account", "tenant_id", "mode", "account", "currency"),)

    transaction_id: Mapped[Ref] = mapped_column(ForeignKey("ledger_transactions.id"), primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(40))
    mode: Mapped[str] = mapped_column(String(4))
    account: Mapped[str] = mapped_column(String(64))
    currency: Mapped[CurrencyCode]
    amount: Mapped[int]
