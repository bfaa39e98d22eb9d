"""Settlements: the statements of gateways as we read them, and how far each gateway has been read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import settlements
from app.models.base import Base, Owned, Timestamped
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref


class Settlement(Owned, Timestamped, Stateful, Base):
    """One statement in one currency. `reference` is the gateway's; the sums are those of its lines.

    `connector` is the type, by which the ledger's accounts are named; `connector_id` the merchant's account
    there, by which its balance is named, or the type again where none is needed (the sandbox).

    `fetched_at` is set once all lines are here; until then it takes no part in anything.
    """

    __tablename__ = "settlements"
    __table_args__ = (
        UniqueConstraint("tenant_id", "mode", "connector_id", "reference"),
        Index("ix_settlements_listed", "tenant_id", "mode", "settled_at", "id"),
        Index(
            "ix_settlements_due",
            "available_on",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
    )
    lifecycle = settlements.LIFECYCLE

    id: Mapped[PrimaryId]
    connector: Mapped[str] = mapped_column(String(40))
    connector_id: Mapped[Ref]
    reference: Mapped[str] = mapped_column(String(128))
    currency: Mapped[CurrencyCode]
    settled_at: Mapped[datetime]
    available_on: Mapped[datetime]
    line_count: Mapped[int] = mapped_column(Integer, default=0)
    gross: Mapped[int] = mapped_column(default=0)
    fee: Mapped[int] = mapped_column(default=0)
    net: Mapped[int] = mapped_column(default=0)
    fetched_at: Mapped[datetime | None]
    posted_at: Mapped[datetime | None]
    reconciled_at: Mapped[datetime | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "settlement_id": self.id,
            "status": self.status,
            "connector_id": self.connector_id,
            "reference": self.reference,
            "currency": self.currency,
            "gross": self.gross,
            "fee": self.fee,
            "net": self.net,
            "version": self.version,
        }


class SettlementLine(Owned, Base):
    """One line of a statement; `transaction_id` is the charge, refund or payout of ours that it belongs to.

    Fees that stand alone have no gross; `net = gross - fee` holds for each line.
    """

    __tablename__ = "settlement_lines"
    __table_args__ = (
        UniqueConstraint("settlement_id", "line_id"),
        Index("ix_settlement_lines_settlement", "tenant_id", "mode", "settlement_id", "id"),
        Index("ix_settlement_lines_reference", "tenant_id", "mode", "connector_id", "reference"),
        Index("ix_settlement_lines_transaction", "transaction_id"),
    )

    id: Mapped[PrimaryId]
    settlement_id: Mapped[Ref] = mapped_column(ForeignKey("settlements.id"))
    connector_id: Mapped[Ref]
    line_id: Mapped[str] = mapped_column(String(128))
    type: Mapped[str] = mapped_column(String(12))
    reference: Mapped[str | None] = mapped_column(String(128))
    gross: Mapped[int]
    fee: Mapped[int]
    net: Mapped[int]
    currency: Mapped[CurrencyCode]
    settled_at: Mapped[datetime]
    available_on: Mapped[datetime]
    transaction_id: Mapped[str | None] = mapped_column(String(40))


class SettlementFeed(Owned, Base):
    """How far the statements of one gateway have been read.

    Whatever moved before `complete_until` must be in a statement that we have: that is what makes a
    transaction without a line `missing` and not merely early.
    """

    __tablename__ = "settlement_feeds"

    tenant_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4), primary_key=True)
    connector_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    complete_until: Mapped[datetime | None]
    synced_at: Mapped[datetime]
