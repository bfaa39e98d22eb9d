"""Sums of the ledger: balances that are spent from, and the postings of each day."""

from __future__ import annotations

from datetime import date

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import CurrencyCode


class AccountBalance(Owned, Base):
    """What is on an account that is spent from, kept with each posting so that one UPDATE can guard it.

    Only accounts that payouts draw on have a row: a row that every payment writes would make a merchant's
    payments queue behind each other.
    """

    __tablename__ = "ledger_balances"

    tenant_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4), primary_key=True)
    account: Mapped[str] = mapped_column(String(64), primary_key=True)
    currency: Mapped[CurrencyCode] = mapped_column(primary_key=True)
    amount: Mapped[int]


class LedgerDay(Owned, Base):
    """What the postings of one UTC day come to on one account; the worker adds each transaction once."""

    __tablename__ = "ledger_days"

    tenant_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4), primary_key=True)
    account: Mapped[str] = mapped_column(String(64), primary_key=True)
    currency: Mapped[CurrencyCode] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    amount: Mapped[int]
