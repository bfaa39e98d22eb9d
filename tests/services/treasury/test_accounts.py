"""Merchants with several accounts at a gateway: each settles, is compared and pays out by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from app.connectors import registry, settling
from app.connectors.base import ConnectorContext
from app.db import reading, transaction
from app.domain.errors import NotFound, ServiceUnavailable, Unprocessable
from app.kit import clock
from app.kit.ids import new_id
from app.models.payments.attempt import Attempt
from app.models.payments.connector import ConnectorAccount
from app.models.payments.method import PaymentMethod
from app.models.treasury.payout import Payout
from app.models.treasury.reconciliation import ReconciliationItem
from app.models.treasury.settlement import Settlement, SettlementLine
from app.services.ledger import balances
from app.services.payments import attempts, connectors, intents
from app.services.payments.connectors import ConnectorChange
from app.services.payments.intents import IntentDraft
from app.services.treasury import gateways, payouts, reconciliations, reports, settlements, statements
from app.services.treasury.settlements import Filters
from tests.accounts import account as connector
from tests.accounts import rule
from tests.disputes import FRAUD, told
from tests.shops import Shop, make
from tests.stripe_standin import StandIn
from tests.treasuries import Gateway, account, days_later, give_back, job, line, pay, rows, run_sql, work

pytestmark = pytest.mark.usefixtures("holds")


def two(shop: Shop, type_: str = "sandbox", **config: Any) -> tuple[ConnectorAccount, ConnectorAccount]:
    """Two accounts: the second takes what is at least 5,000 minor units."""
    first = connector(shop.actor, 10, type_=type_, **config)
    second = connector(shop.actor, 20, type_=type_)
    rule(shop.actor, second, amount_min=5_000)
    return first, second


def sync(shop: Shop, connector_id: str | None = None) -> Any:
    job_id = settlements.request_sync(shop.actor, connector_id)
    work()
    return job(shop.actor, job_id)


def lines_by_account() -> set[tuple[str, str, str | None]]:
    return {(row.connector_id, row.type, row.transaction_id) for row in rows(SettlementLine)}


def compared(shop: Shop, **span: Any) -> list[tuple[str, str, str | None]]:
    run = reconciliations.create(shop.actor, **span)
    work()
    with reading() as db:
        items = db.query(ReconciliationItem).filter_by(job_id=run.id).all()
    return sorted((item.connector_id, item.outcome, item.transaction_id) for item in items)


def test_each_account_settles_and_is_compared_by_itself(shop: Shop) -> None:
    first, second = two(shop)
    small, large = pay(shop, 1_000), pay(shop, 9_000)
    refund = give_back(shop, large, 2_000)
    assert {(row.id, row.connector_id) for row in rows(Attempt)} == {(small, first.id), (large, second.id)}
    assert sync(shop, first.id).result == {"settlements": 1, "lines": 1}
    assert lines_by_account() == {(first.id, "charge", small)}
    assert sync(shop).result == {"settlements": 2, "lines": 2}
    assert lines_by_account() == {
        (first.id, "charge", small),
        (second.id, "charge", large),
        (second.id, "refund", refund),
    }
    assert [
        row.connector_id for row in settlements.list_page(shop.actor, Filters(connector_id=first.id)).data
    ]
    assert balances.guarded(shop.actor, "GBP") == {
        f"balance:{first.id}": 966,
        f"balance:{second.id}": 9_000 - 146 - 2_000,
    }
    assert account(shop, "receivable:sandbox") == 0
    with days_later(1):
        sync(shop)
        assert compared(shop, connector_id=first.id) == [(first.id, "matched", small)]
        found = compared(shop)
    assert found == sorted(
        [(first.id, "matched", small), (second.id, "matched", large), (second.id, "matched", refund)]
    )


def test_what_one_account_owes_is_not_missing_at_the_other(shop: Shop) -> None:
    first, second = two(shop)
    never = pay(shop, 1_000, "4000009990007703")
    pay(shop, 9_000)
    sync(shop)
    with days_later(1):
        sync(shop)
        assert compared(shop, connector_id=first.id) == [(first.id, "missing", never)]
        assert [row[:2] for row in compared(shop, connector_id=second.id)] == [(second.id, "matched")]


def test_what_was_taken_before_there_was_an_account_still_settles(shop: Shop) -> None:
    before = pay(shop, 1_000)
    own = connector(shop.actor)
    after = pay(shop, 2_000)
    assert sync(shop).result == {"settlements": 2, "lines": 2}
    assert lines_by_account() == {("sandbox", "charge", before), (own.id, "charge", after)}
    assert sync(shop, "sandbox").result == {"settlements": 0, "lines": 0}


def test_a_deleted_account_still_settles_and_pays_out(shop: Shop) -> None:
    own, unused = connector(shop.actor, 10), connector(shop.actor, 20)
    charge = pay(shop, 10_160)
    for gone in (own, unused):
        connectors.delete(shop.actor, gone.id)
    assert sync(shop).result == {"settlements": 1, "lines": 1}
    assert lines_by_account() == {(own.id, "charge", charge)}
    with pytest.raises(NotFound):  # its credentials were destroyed, since it took nothing
        settlements.request_sync(shop.actor, unused.id)
    payout = payouts.create(shop.actor, 4_000, "GBP", "bank_account_123")
    work()
    [row] = rows(Payout)
    assert (row.id, row.connector_id, row.status) == (payout.id, own.id, "paid")


def test_a_deleted_account_is_asked_as_long_as_something_moves_there(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Told()
    monkeypatch.setattr(registry, "_ALL", (book,))
    own = connector(shop.actor)
    charge = pay(shop, 10_160)
    connectors.delete(shop.actor, own.id)

    def asked(days: int) -> bool:
        with days_later(days):
            statements.sync(shop.actor.tenant_id, "test", None)
        found, book.asked = [name for name, _ in book.asked], []
        return own.id in found

    assert asked(1)
    assert asked(59)
    with days_later(50):
        give_back(shop, charge, 100)
    assert asked(109)
    assert not asked(112), "nothing has moved for sixty days"
    statements.sync(shop.actor.tenant_id, "test", [own.id])
    assert book.asked, "whoever names it is answered"


def test_a_disabled_account_still_settles(shop: Shop) -> None:
    own = connector(shop.actor)
    pay(shop)
    connectors.change(shop.actor, own.id, ConnectorChange({}, status="disabled"))
    assert sync(shop).result == {"settlements": 1, "lines": 1}


def test_a_payout_takes_no_more_than_its_account_holds(shop: Shop) -> None:
    first, second = two(shop)
    pay(shop, 1_000)
    pay(shop, 9_000)
    sync(shop)
    with pytest.raises(Unprocessable) as refused:
        payouts.create(shop.actor, 5_000, "GBP", "bank_account_123", connector_id=first.id)
    assert refused.value.code == "insufficient_balance"
    payouts.create(shop.actor, 5_000, "GBP", "bank_account_123")
    payouts.create(shop.actor, 966, "GBP", "bank_account_123", connector_id=first.id)
    work()
    assert {(row.connector_id, row.status) for row in rows(Payout)} == {
        (second.id, "paid"),
        (first.id, "paid"),
    }
    left = balances.guarded(shop.actor, "GBP")
    assert left == {f"balance:{first.id}": 0, f"balance:{second.id}": 3_854}
    [day] = reports.daily(shop.actor, clock.now().date().isoformat()).totals
    assert (day.connector, day.captures, day.settled, day.payouts) == ("sandbox", 10_000, 9_820, 5_966)
    assert day.closing == {"pending": 0, "available": 3_854}


def test_an_account_of_another_merchant_or_mode_is_not_found(shop: Shop) -> None:
    theirs = connector(make("Another shop").actor)
    live = connector(replace(shop.actor, mode="live"))
    for foreign in (theirs.id, live.id):
        with pytest.raises(NotFound):
            settlements.request_sync(shop.actor, foreign)
        with pytest.raises(NotFound):
            reconciliations.create(shop.actor, connector_id=foreign)
        with pytest.raises(NotFound):
            payouts.create(shop.actor, 1, "GBP", "bank_account_123", connector_id=foreign)


class Told(Gateway):
    """Tells each account the same reference, and notes with which credentials it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str | None]] = []

    def settlement_batches(self, context: ConnectorContext, since: Any) -> Any:
        self.asked.append((context.account, context.credentials.get("api_key")))
        return super().settlement_batches(context, since)

    def settlement_lines(self, context: ConnectorContext, batch: str, cursor: str | None) -> Any:
        return settling.SettlementPage(self.lines)


def test_the_same_reference_at_two_accounts_is_each_accounts_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Told()
    monkeypatch.setattr(registry, "_ALL", (book,))
    first, second = two(shop, api_key="key of the first")
    small, large = pay(shop, 1_000), pay(shop, 9_000)
    known = {row.id: row.gateway_reference for row in rows(Attempt)}
    run_sql(update(Attempt).values(gateway_reference="ref"))
    book.lines = (line("charge", 1_000, reference="ref", line_id="1"),)
    sync(shop, first.id)
    book.lines = (line("charge", 9_000, reference="ref", line_id="1"),)
    sync(shop, second.id)
    assert lines_by_account() == {(first.id, "charge", small), (second.id, "charge", large)}
    assert book.asked == [(first.id, "key of the first"), (second.id, None)]
    assert [row[1] for row in compared(shop)] == ["matched", "matched"]
    for charge, reference in known.items():  # as the sandbox's own book has them
        run_sql(update(Attempt).where(Attempt.id == charge).values(gateway_reference=reference))


def test_a_dispute_belongs_to_the_account_of_its_charge(shop: Shop) -> None:
    first, second = two(shop)
    dispute = told(shop.actor, FRAUD, 9_000)
    with days_later(2):
        sync(shop)
        [taken] = [row for row in rows(SettlementLine) if row.type == "dispute"]
        assert (taken.connector_id, taken.transaction_id) == (second.id, dispute.id)
        assert {row[0] for row in compared(shop, connector_id=second.id)} == {second.id}
        assert compared(shop, connector_id=first.id) == []


def test_credentials_that_are_lost_keep_no_other_account_waiting(shop: Shop) -> None:
    first, second = two(shop)
    pay(shop, 1_000)
    large = pay(shop, 9_000)
    run_sql(update(ConnectorAccount).where(ConnectorAccount.id == first.id).values(config="unreadable"))
    with pytest.raises(ServiceUnavailable):
        statements.sync(shop.actor.tenant_id, "test", None)
    assert lines_by_account() == {(second.id, "charge", large)}
    assert [source.id for source in gateways.settling(shop.actor.tenant_id, "test")] == [
        first.id,
        second.id,
        "sandbox",
    ]


def test_a_connector_that_breaks_keeps_no_other_waiting_and_its_words_are_told_to_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Told()
    monkeypatch.setattr(registry, "_ALL", (book,))
    first, second = two(shop, api_key="a key")
    pay(shop, 1_000)
    large = pay(shop, 9_000)
    whole = book.settlement_batches

    def breaks(context: ConnectorContext, since: Any) -> Any:
        if context.account == first.id:
            raise RuntimeError(f"refused {context.credentials['api_key']}")
        return whole(context, since)

    monkeypatch.setattr(book, "settlement_batches", breaks)
    [attempt] = [row for row in rows(Attempt) if row.id == large]
    book.lines = (line("charge", 9_000, reference=attempt.gateway_reference),)
    with pytest.raises(ServiceUnavailable) as refused:
        statements.sync(shop.actor.tenant_id, "test", None)
    assert "a key" not in str(refused.value)
    assert lines_by_account() == {(second.id, "charge", large)}


def test_two_stripe_accounts_settle_over_their_own_keys(shop: Shop, standin: StandIn) -> None:
    keys = ("sk_test_of_the_first", "sk_test_of_the_second")
    own = [connector(shop.actor, n, type_="stripe", secret_key=key) for n, key in enumerate(keys, 1)]
    charges = []
    for account_, key, amount in zip(own, keys, (10_000, 20_000), strict=True):
        method = PaymentMethod(
            id=new_id("pm"),
            tenant_id=shop.actor.tenant_id,
            mode="test",
            type="card",
            connector="stripe",
            connector_id=account_.id,
            token=standin.account(key).method("pm_card_visa"),
        )
        with transaction() as db:
            db.add(method)
            method.begin(cause="tests")
        intent = intents.create(shop.actor, IntentDraft(amount, "GBP", payment_method_id=method.id))
        assert intents.confirm(shop.actor, intent.id, nonce="n").status == "succeeded"
        charges.append(attempts.of_intent(shop.actor, intent.id)[0].id)
    connectors.delete(shop.actor, own[1].id)
    with days_later(2):
        assert sync(shop, own[0].id).result == {"settlements": 1, "lines": 1}
        assert sync(shop, own[1].id).result == {"settlements": 1, "lines": 1}
        found = compared(shop)
    assert found == sorted((a.id, "matched", charge) for a, charge in zip(own, charges, strict=True))
    assert {(row.connector_id, row.gross) for row in rows(Settlement)} == {
        (own[0].id, 10_000),
        (own[1].id, 20_000),
    }
    with pytest.raises(NotFound):  # the deployment has no account, so that there is none without an id
        settlements.request_sync(shop.actor, "stripe")
