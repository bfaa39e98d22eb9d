"""PY-079: the daily settlement report."""

from __future__ import annotations

from datetime import date as day_type

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.treasury import reports
from app.services.treasury.reports import DailyReport
from app.web.schemas import View


class Balance(View):
    """What a gateway owes (`pending`) and what it holds for payouts (`available`), minor units."""

    pending: int
    available: int


class TotalsView(View):
    """The day of a type of connector in one currency; `net` is captures less refunds, disputes and fees."""

    connector: str
    currency: str
    captures: int
    refunds: int
    disputes: int
    fees: int
    net: int
    adjustments: int
    write_offs: int
    settled: int
    payouts: int
    payouts_returned: int
    opening_balance: Balance
    closing_balance: Balance


class EntryView(View):
    """The day's postings of one type to one account, with the code of the merchant's general ledger.

    What was posted and taken back on the same day stands on both sides.
    """

    type: str
    account: str
    gl_account: str | None
    currency: str
    debit: int
    credit: int
    count: int


class SettlementReport(View):
    """A UTC day; `complete` once it is over."""

    date: day_type
    timezone: str
    complete: bool
    totals: list[TotalsView]
    entries: list[EntryView]

    @classmethod
    def of(cls, report: DailyReport) -> SettlementReport:
        """The view of a report."""
        totals = [
            TotalsView(
                connector=row.connector,
                currency=row.currency,
                captures=row.captures,
                refunds=row.refunds,
                disputes=row.disputes,
                fees=row.fees,
                net=row.net,
                adjustments=row.adjustments,
                write_offs=row.write_offs,
                settled=row.settled,
                payouts=row.payouts,
                payouts_returned=row.payouts_returned,
                opening_balance=Balance(**row.opening),
                closing_balance=Balance(**row.closing),
            )
            for row in report.totals
        ]
        entries = [
            EntryView(
                type=entry.type,
                account=entry.account,
                gl_account=entry.gl_account,
                currency=entry.currency,
                debit=entry.debit,
                credit=entry.credit,
                count=entry.count,
            )
            for entry in report.entries
        ]
        return cls(date=report.day, timezone="UTC", complete=report.complete, totals=totals, entries=entries)


@surface.get("/reports/settlement/{date}", "PY-079", returns=SettlementReport, permission="reports:read")
def get(actor: Actor, date: str) -> SettlementReport:
    """Report a day's captures, refunds, disputes, fees, payouts and balances."""
    return SettlementReport.of(reports.daily(actor, date))
