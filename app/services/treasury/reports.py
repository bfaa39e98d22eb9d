"""The daily settlement report (PY-079): what the ledger's postings of one UTC day come to.

Everything is read from the ledger, so that the report and the books cannot differ. Codes of the merchant's
general ledger come from the setting `gl_accounts`, by the account's name or else by the type of transaction
(OP-82).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import case, func, select

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.kit import clock
from app.models.ledger.posting import LedgerTransaction, Posting
from app.models.payments.connector import ConnectorAccount
from app.services.ledger import balances

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

#: (account's name, type of transaction) → which total it is, and with which sign it is shown.
_TOTALS: Mapping[tuple[str, str], tuple[str, int]] = {
    ("receivable", "capture"): ("captures", 1),
    ("receivable", "refund"): ("refunds", -1),
    ("receivable", "refund_return"): ("refunds", -1),
    ("receivable", "adjustment"): ("adjustments", 1),
    ("receivable", "write_off"): ("write_offs", -1),
    ("receivable", "dispute_opened"): ("disputes", -1),
    ("receivable", "dispute_won"): ("disputes", -1),
    ("receivable", "dispute_fee"): ("fees", -1),
    ("fees", "settlement"): ("fees", 1),
    ("balance", "settlement"): ("settled", 1),
    ("balance", "payout"): ("payouts", -1),
    ("balance", "payout_failed"): ("payouts_returned", 1),
    ("balance", "payout_returned"): ("payouts_returned", 1),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """The postings of one type to one account, what they debited and what they credited."""

    type: str
    account: str
    gl_account: str | None
    currency: str
    debit: int
    credit: int
    count: int

    @property
    def amount(self) -> int:
        """What they come to; negative where more was credited."""
        return self.debit - self.credit


@dataclass(slots=True)
class Totals:
    """A gateway's day in one currency, minor units. `pending` is what it owes, `available` what it holds."""

    connector: str
    currency: str
    captures: int = 0
    refunds: int = 0
    disputes: int = 0
    fees: int = 0
    adjustments: int = 0
    write_offs: int = 0
    settled: int = 0
    payouts: int = 0
    payouts_returned: int = 0
    opening: dict[str, int] = field(default_factory=lambda: {"pending": 0, "available": 0})
    closing: dict[str, int] = field(default_factory=lambda: {"pending": 0, "available": 0})

    @property
    def net(self) -> int:
        """What the day brought."""
        return self.captures - self.refunds - self.disputes - self.fees


@dataclass(frozen=True, slots=True)
class DailyReport:
    """A day; `complete` once it is over."""

    day: date
    complete: bool
    totals: list[Totals]
    entries: list[Entry]


def daily(actor: Actor, text: str) -> DailyReport:
    """The report of the day that the text names, `YYYY-MM-DD`.

    Raises:
        InvalidRequest: it is no date.
    """
    start = _midnight(text)
    end = start + timedelta(days=1)
    entries = _entries(actor, start, end)
    totals: dict[tuple[str, str], Totals] = {}
    types = _types(actor)
    for (account, currency), amount in balances.before(actor, start).items():
        _add_balance(totals, _place(account, types), currency, amount, opening=True)
    for entry in entries:
        place = _place(entry.account, types)
        _add_balance(totals, place, entry.currency, entry.amount, opening=False)
        _add(totals, place, entry)
    shown = [row for _, row in sorted(totals.items()) if _moved(row)]
    return DailyReport(start.date(), clock.now() >= end, shown, entries)


def _midnight(text: str) -> datetime:
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        found = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        _ = found + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("The date must be YYYY-MM-DD", code="invalid_date", field="date") from error
    return found


def _entries(actor: Actor, start: datetime, end: datetime) -> list[Entry]:
    ledger = LedgerTransaction
    key = (ledger.kind, Posting.account, Posting.currency)
    debits = func.sum(case((Posting.amount > 0, Posting.amount), else_=0))
    credits_ = func.sum(case((Posting.amount < 0, -Posting.amount), else_=0))
    statement = (
        select(*key, debits, credits_, func.count())
        .join(ledger, ledger.id == Posting.transaction_id)
        .where(
            ledger.tenant_id == actor.tenant_id,
            ledger.mode == actor.mode,
            ledger.posted_at >= start,
            ledger.posted_at < end,
        )
        .group_by(*key)
        .order_by(*key)
    )
    codes = actor.tenant.settings.get("gl_accounts") or {}
    with reading() as db:
        rows = db.execute(statement).all()
    return [
        Entry(
            kind,
            account,
            codes.get(account.partition(":")[0]) or codes.get(kind),
            currency,
            int(debit),
            int(credit),
            count,
        )
        for kind, account, currency, debit, credit, count in rows
    ]


def _types(actor: Actor) -> dict[str, str]:
    """The type of each of the merchant's connectors, deleted ones among them, by its id."""
    row = ConnectorAccount
    statement = select(row.id, row.type).where(row.tenant_id == actor.tenant_id, row.mode == actor.mode)
    with reading() as db:
        return {found.id: found.type for found in db.execute(statement)}


def _place(account: str, types: Mapping[str, str]) -> tuple[str, str]:
    """The name of a ledger's account, and the type of the connector whose it is."""
    name, _, connector = account.partition(":")
    return name, types.get(connector, connector)


def _add(totals: dict[tuple[str, str], Totals], place: tuple[str, str], entry: Entry) -> None:
    name, connector = place
    if (name, entry.type) not in _TOTALS:
        return
    total, sign = _TOTALS[(name, entry.type)]
    row = totals.setdefault((connector, entry.currency), Totals(connector, entry.currency))
    setattr(row, total, getattr(row, total) + sign * entry.amount)


def _add_balance(
    totals: dict[tuple[str, str], Totals],
    place: tuple[str, str],
    currency: str,
    amount: int,
    *,
    opening: bool,
) -> None:
    name, connector = place
    kind = {"receivable": "pending", "balance": "available"}.get(name)
    if kind is None:
        return
    row = totals.setdefault((connector, currency), Totals(connector, currency))
    row.closing[kind] += amount
    if opening:
        row.opening[kind] += amount


def _moved(row: Totals) -> bool:
    """Gateways that did nothing and hold nothing are left out."""
    done = any(getattr(row, total) for total, _ in _TOTALS.values())
    return done or any(row.opening.values()) or any(row.closing.values())
