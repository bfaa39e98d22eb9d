"""The daily report says what the ledger says, and sums of days are the postings' own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.db import reading, transaction
from app.domain.errors import InvalidRequest
from app.kit import clock
from app.models.ledger.balance import LedgerDay
from app.models.ledger.posting import LedgerTransaction, Posting
from app.services.ledger import balances
from app.services.treasury import payouts, reports, statements
from tests.shops import GOOD, Shop, make
from tests.treasuries import days_later, give_back, pay, settled

pytestmark = pytest.mark.usefixtures("holds")


def day(shop: Shop, offset: int = 0, **changes: Any) -> reports.DailyReport:
    return reports.daily(
        replace(shop.actor, **changes), (clock.now() + timedelta(days=offset)).date().isoformat()
    )


def two_days(shop: Shop) -> None:
    """Payments and a refund today; settled and partly paid out the day after tomorrow."""
    give_back(shop, pay(shop, 10_000, GOOD), 3_000)
    pay(shop, 2_000, GOOD, "EUR")
    with days_later(2):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
        payouts.send(payouts.create(shop.actor, 5_000, "GBP", "bank_account_123").id)
        payouts.send(payouts.create(shop.actor, 1_000, "GBP", "bank_account_closed").id)


def figures(row: reports.Totals) -> dict[str, Any]:
    names = ("captures", "refunds", "disputes", "fees", "net", "settled", "payouts", "payouts_returned")
    return {name: getattr(row, name) for name in names if getattr(row, name)}


@pytest.mark.parametrize("summed", [False, True], ids=["fresh", "summed"])
def test_a_days_totals_and_balances(shop: Shop, summed: bool) -> None:
    two_days(shop)
    if summed:
        while balances.sum_days(limit=2):
            pass
    first, third = day(shop), day(shop, 2)
    assert [(row.connector, row.currency, figures(row)) for row in first.totals] == [
        ("sandbox", "EUR", {"captures": 2_000, "net": 2_000}),
        ("sandbox", "GBP", {"captures": 10_000, "refunds": 3_000, "net": 7_000}),
    ]
    assert first.totals[1].opening == {"pending": 0, "available": 0}
    assert first.totals[1].closing == {"pending": 7_000, "available": 0}
    pounds = third.totals[1]
    assert figures(pounds) == {
        "fees": 160,
        "net": -160,
        "settled": 6_840,
        "payouts": 6_000,
        "payouts_returned": 1_000,
    }
    assert pounds.opening == {"pending": 7_000, "available": 0}
    assert pounds.closing == {"pending": 0, "available": 1_840}
    between = day(shop, 1)
    assert (figures(between.totals[1]), between.entries) == ({}, [])
    assert between.totals[1].closing == between.totals[1].opening == {"pending": 7_000, "available": 0}


@pytest.mark.parametrize("summed", [False, True], ids=["fresh", "summed"])
def test_a_day_ends_before_midnight_in_utc(shop: Shop, summed: bool) -> None:
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    for at, amount in ((midnight - timedelta(microseconds=1), 1_000), (midnight, 2_000)):
        with clock.frozen(at):
            pay(shop, amount, GOOD)
    if summed:
        balances.sum_days()
    [before], [after] = day(shop).totals, day(shop, 1).totals
    assert (before.captures, before.closing["pending"]) == (1_000, 1_000)
    assert (after.captures, after.opening["pending"], after.closing["pending"]) == (2_000, 1_000, 3_000)


def test_entries_balance_and_carry_the_merchants_codes(shop: Shop) -> None:
    two_days(shop)
    codes = {"capture": "4000", "receivable": "1200", "fees": "6100"}
    tenant = replace(shop.actor.tenant, settings={"gl_accounts": codes})
    today, third = day(shop, tenant=tenant), day(shop, 2, tenant=tenant)
    found = {(entry.type, entry.account): entry.gl_account for entry in (*today.entries, *third.entries)}
    assert found[("capture", "merchant_balance")] == "4000"
    assert found[("capture", "receivable:sandbox")] == "1200"
    assert found[("settlement", "fees:sandbox")] == "6100"
    assert found[("refund", "merchant_balance")] is None
    for report in (today, third):
        for currency in ("GBP", "EUR"):
            assert sum(entry.amount for entry in report.entries if entry.currency == currency) == 0


def test_a_report_is_complete_when_its_day_is_over_and_ones_own(shop: Shop) -> None:
    text = clock.now().date().isoformat()
    pay(shop)
    assert not reports.daily(shop.actor, text).complete
    with days_later(1):
        assert reports.daily(shop.actor, text).complete
    assert reports.daily(make("Another shop").actor, text).totals == []
    assert reports.daily(replace(shop.actor, mode="live"), text).totals == []


def test_what_is_no_date_is_refused(shop: Shop) -> None:
    for no_date in (
        "",
        "today",
        "2026-13-01",
        "2026-02-30",
        "20260201",
        "2026-2-1",
        "9999-12-31",
        "٢٠٢٦-01-01",
    ):
        with pytest.raises(InvalidRequest) as refused:
            reports.daily(shop.actor, no_date)
        assert refused.value.code == "invalid_date"


def test_workers_at_once_sum_each_transaction_once(shop: Shop) -> None:
    settled(shop)
    for _ in range(6):
        pay(shop, 1_000, GOOD)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: balances.sum_days(limit=3), range(16)))
    with reading() as db:
        transactions = db.scalar(select(func.count()).select_from(LedgerTransaction))
        kept = {
            (a, c): int(n)
            for a, c, n in db.execute(select(LedgerDay.account, LedgerDay.currency, LedgerDay.amount))
        }
        posted = select(Posting.account, Posting.currency, func.sum(Posting.amount))
        replayed = {
            (a, c): int(n) for a, c, n in db.execute(posted.group_by(Posting.account, Posting.currency))
        }
    assert sum(done) == transactions
    assert kept == replayed


def test_the_database_refuses_to_change_the_ledger(shop: Shop) -> None:
    pay(shop)
    for statement in (
        "UPDATE ledger_postings SET amount = amount + 1",
        "DELETE FROM ledger_postings",
        "UPDATE ledger_transactions SET kind = 'refund'",
        "DELETE FROM ledger_transactions",
    ):
        with pytest.raises(DBAPIError, match="the ledger cannot be"), transaction() as db:
            db.execute(text(statement))
    assert balances.sum_days() == 1
