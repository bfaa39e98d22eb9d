"""Payouts: never more than is available, never twice, and given back when they fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from app.connectors import base
from app.connectors.sandbox import book
from app.db import reading
from app.domain.errors import InvalidRequest, InvalidState, NotFound, Unprocessable
from app.kit.ids import new_id
from app.models.events.journal import JournalEntry
from app.models.treasury.payout import Payout
from app.services.ledger import balances
from app.services.treasury import gateways, payouts
from tests.shops import Shop, later, make
from tests.treasuries import account, rows, settled

pytestmark = pytest.mark.usefixtures("holds")


def left(shop: Shop) -> int:
    return balances.guarded(shop.actor, "GBP")["balance:sandbox"]


def in_the_book() -> list[tuple[str, int]]:
    """(status, amount) of each payout that the sandbox knows."""
    with reading() as db:
        return [tuple(row) for row in db.execute(select(book.payouts.c.status, book.payouts.c.amount))]


def start(shop: Shop, amount: int = 4_000, destination: str = "bank_account_123", **more: Any) -> str:
    return payouts.create(shop.actor, amount, "GBP", destination, **more).id


def status(shop: Shop, payout_id: str) -> tuple[str, str | None]:
    row = payouts.get(shop.actor, payout_id)
    return row.status, row.failure_reason


def test_a_payout_leaves_the_balance_at_once_and_arrives_by_its_job(shop: Shop) -> None:
    whole = settled(shop)
    payout_id = start(shop, metadata={"week": 47}, merchant_account_id="ma_1")
    assert (status(shop, payout_id), left(shop)) == (("pending", None), whole - 4_000)
    assert account(shop, "payouts:sandbox") == 4_000
    payouts.send(payout_id)
    assert status(shop, payout_id) == ("paid", None)
    assert (account(shop, "bank"), account(shop, "payouts:sandbox")) == (4_000, 0)
    assert in_the_book() == [("paid", 4_000)]
    with reading() as db:
        told = list(db.scalars(select(JournalEntry.type).where(JournalEntry.entity == "payout")))
    assert sorted(told) == ["payout.paid", "payout.pending", "payout.processing"]


def test_a_form_that_is_sent_sixteen_times_pays_once(shop: Shop) -> None:
    whole, asked = settled(shop), new_id("po")

    def send(_: int) -> str:
        return payouts.create_once(shop.actor, asked, 500, "GBP", "ba_main", connector_id=None).id

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, range(16))) == {asked}
    assert (left(shop), [row.id for row in rows(Payout)]) == (whole - 500, [asked])
    stranger = make("Stranger")
    settled(stranger)
    with pytest.raises(NotFound):
        payouts.create_once(stranger.actor, asked, 500, "GBP", "ba_main", connector_id=None)


def test_sixteen_callers_cannot_take_more_than_there_is(shop: Shop) -> None:
    whole = settled(shop)

    def ask(_: int) -> str:
        try:
            return start(shop, 3_000)
        except Unprocessable as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(16)))
    assert answers.count("insufficient_balance") == 13
    assert left(shop) == whole - 9_000
    for payout in rows(Payout):
        payouts.send(payout.id)
    assert in_the_book() == [("paid", 3_000)] * 3


def test_what_is_not_available_cannot_be_paid_out(shop: Shop) -> None:
    whole = settled(shop)
    other = make("Another shop")
    for call in (
        lambda: start(shop, whole + 1),
        lambda: payouts.create(shop.actor, 1, "EUR", "bank_account_123"),
        lambda: start(other, 1),
        lambda: payouts.create(replace(shop.actor, mode="live"), 1, "GBP", "bank_account_123"),
        lambda: start(shop, 0),
        lambda: start(shop, -1),
    ):
        with pytest.raises(Unprocessable) as refused:
            call()
        assert refused.value.code == "insufficient_balance"
    assert rows(Payout) == []
    assert start(shop, whole)
    assert left(shop) == 0


def test_the_refusal_says_how_much_there_is(shop: Shop) -> None:
    whole = settled(shop)
    with pytest.raises(Unprocessable) as refused:
        start(shop, whole + 1)
    assert refused.value.explain == {
        "reason": "insufficient_balance",
        "currency": "GBP",
        "available": {"sandbox": whole},
    }


def test_details_that_cannot_be_are_refused(shop: Shop) -> None:
    settled(shop)
    with pytest.raises(Unprocessable, match="card number"):
        start(shop, destination="4242424242424242")
    assert start(shop, 1, destination="BE23531401441545"), "an IBAN whose digits pass a card's check"
    with pytest.raises(InvalidRequest, match="currency"):
        payouts.create(shop.actor, 1, "XXX", "bank_account_123")
    with pytest.raises(NotFound):
        start(shop, connector_id="nobody")


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("bank_account_closed", "account_closed"),
        ("000222222227", "insufficient_funds"),
        ("AT861904300235473202", "could_not_process"),
    ],
)
def test_a_payout_that_fails_gives_its_amount_back(shop: Shop, destination: str, reason: str) -> None:
    whole = settled(shop)
    payout_id = start(shop, destination=destination)
    payouts.send(payout_id)
    assert (status(shop, payout_id), left(shop)) == (("failed", reason), whole)
    assert (account(shop, "payouts:sandbox"), account(shop, "balance:sandbox")) == (0, whole)
    payouts.send(payout_id)
    assert left(shop) == whole


def test_a_payout_that_the_bank_returns_gives_its_amount_back(shop: Shop) -> None:
    whole = settled(shop)
    payout_id = start(shop, destination="bank_account_returned")
    payouts.send(payout_id)
    assert status(shop, payout_id) == ("paid", None)
    with later(61):
        assert payouts.sweep() == 1
    assert status(shop, payout_id) == ("failed", "returned_by_bank")
    assert (account(shop, "bank"), left(shop)) == (0, whole)


def test_a_slow_payout_arrives_and_one_that_stays_is_asked_for_and_then_shown(shop: Shop) -> None:
    settled(shop)
    slow, stays = start(shop, destination="bank_account_slow"), start(shop, destination="000000000009")
    for payout_id in (slow, stays):
        payouts.send(payout_id)
        assert status(shop, payout_id) == ("processing", None)
    for hours in (0.01, 0.1, 1, 3, 12, 36, 72, 120):
        with later(hours * 3600):
            payouts.sweep()
    assert status(shop, slow) == ("paid", None)
    assert status(shop, stays) == ("processing", None)
    row = payouts.get(shop.actor, stays)
    assert row.needs_review
    assert row.next_query_at is not None
    with reading() as db:
        told = list(db.scalars(select(JournalEntry.type).where(JournalEntry.entity_id == stays)))
    assert told.count("payout.needs_review") == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_asked_for_and_never_paid_twice(shop: Shop, when: str) -> None:
    whole = settled(shop)
    payout_id = start(shop, destination=f"bank_account_time_out_{when}")
    payouts.send(payout_id)
    assert status(shop, payout_id) == ("processing", None)
    with later(16):
        assert payouts.sweep() == 1
    assert status(shop, payout_id) == ("paid", None)
    assert in_the_book() == [("paid", 4_000)]
    assert left(shop) == whole - 4_000


@pytest.mark.parametrize(("module", "call", "there"), [(gateways, "pay_out", 0), (payouts, "_record", 1)])
def test_a_process_that_dies_before_or_after_the_call_is_followed_by_the_sweep(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, module: Any, call: str, there: int
) -> None:
    settled(shop)
    payout_id = start(shop)

    def dies(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, call, dies)
        with pytest.raises(KeyboardInterrupt):
            payouts.send(payout_id)
    assert (status(shop, payout_id), len(in_the_book())) == (("processing", None), there)
    with later(16):
        payouts.sweep()
    assert status(shop, payout_id) == ("paid", None)
    assert in_the_book() == [("paid", 4_000)]


def test_a_payout_that_cannot_be_recorded_keeps_no_other_waiting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(shop)
    bad, good = (start(shop, 1_000, "bank_account_time_out_after") for _ in range(2))
    payouts.send(bad)
    with later(1):
        payouts.send(good)
    whole = payouts._record

    def breaks(seen: Payout, result: Any) -> None:
        if seen.id == bad:
            raise RuntimeError("no room for this answer")
        whole(seen, result)

    monkeypatch.setattr(payouts, "_record", breaks)
    with later(20):
        with pytest.raises(RuntimeError):
            payouts.sweep()
        payouts.sweep()
    assert (status(shop, bad), status(shop, good)) == (("processing", None), ("paid", None))


def test_sixteen_sweepers_ask_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(shop)
    payouts.send(start(shop, destination="bank_account_time_out_after"))
    whole, asked = gateways.find_payout, []

    def noted(payout: Payout) -> Any:
        asked.append(payout.id)
        return whole(payout)

    monkeypatch.setattr(gateways, "find_payout", noted)
    with later(20), ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: payouts.sweep(), range(16))) == 1
    assert len(asked) == 1


def test_a_connector_that_breaks_leaves_it_unknown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(shop)
    payout_id = start(shop)
    from app.connectors.sandbox.connector import SandboxConnector

    def breaks(*_: Any) -> Any:
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        patch.setattr(SandboxConnector, "pay_out", breaks)
        payouts.send(payout_id)
    assert status(shop, payout_id) == ("processing", None)


def test_another_amount_in_the_answer_touches_nothing_and_calls_a_person(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(shop)
    payout_id = start(shop)
    with monkeypatch.context() as patch:
        patch.setattr(gateways, "pay_out", lambda _: base.Approved("sbp_x", 4_001, "GBP"))
        payouts.send(payout_id)
    row = payouts.get(shop.actor, payout_id)
    assert (row.status, row.needs_review, row.next_query_at) == ("processing", True, None)
    assert account(shop, "payouts:sandbox") == 4_000


def test_sixteen_workers_send_one_payout_once(shop: Shop) -> None:
    whole = settled(shop)
    payout_id = start(shop)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: payouts.send(payout_id), range(16)))
    with later(120):
        payouts.sweep()
    assert status(shop, payout_id) == ("paid", None)
    assert in_the_book() == [("paid", 4_000)]
    assert (left(shop), account(shop, "bank")) == (whole - 4_000, 4_000)


def test_the_sandbox_itself_pays_no_more_than_it_has_settled(shop: Shop) -> None:
    settled(shop)
    from app.connectors.sandbox.connector import SandboxConnector
    from app.connectors.settling import PayoutRequest
    from app.services.payments.gateway import context

    sandbox, caller = SandboxConnector(), context(shop.actor.tenant_id, "test")
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda n: sandbox.pay_out(caller, PayoutRequest(f"payout_{n}", 6_000, "GBP", "x")), range(8)
            )
        )
    assert sorted(type(answer).__name__ for answer in answers) == ["Approved"] + ["Declined"] * 7


def test_a_payout_is_its_merchants_own_and_moves_only_by_its_table(shop: Shop) -> None:
    settled(shop)
    payout_id = start(shop)
    with pytest.raises(NotFound):
        payouts.get(make("Another shop").actor, payout_id)
    with pytest.raises(NotFound):
        payouts.get(replace(shop.actor, mode="live"), payout_id)
    with pytest.raises(InvalidState):
        payouts.get(shop.actor, payout_id).lifecycle.edge("pending", "paid")
