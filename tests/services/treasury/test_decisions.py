"""Nothing is matched, posted or taken off a gateway's account twice, also where the facts change afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from app.connectors.sandbox import book
from app.db import reading
from app.domain.errors import Conflict, DomainError, Unprocessable
from app.kit import clock
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.models.payments.refund import Refund
from app.models.treasury.payout import Payout
from app.models.treasury.settlement import SettlementLine
from app.services.payments import connectors, dispute_evidence, disputes, refunds
from app.services.payments.connectors import ConnectorChange
from app.services.treasury import payouts, reconciliations, statements
from tests.accounts import account as connector
from tests.disputes import FRAUD, deliver, paid, told
from tests.shops import Shop, later
from tests.treasuries import (
    NEVER,
    REFUND_RETURNED,
    STRANGER,
    Gateway,
    account,
    compare,
    days_later,
    give_back,
    line,
    outcomes,
    pay,
    read,
    resolve,
    rows,
    run_sql,
)

pytestmark = pytest.mark.usefixtures("holds")

FEE = 1_500


def charge_reference(charge_id: str) -> str | None:
    with reading() as db:
        return db.get_one(Attempt, charge_id).gateway_reference


def unknown_line() -> str:
    with reading() as db:
        return db.scalars(select(SettlementLine.id).where(SettlementLine.transaction_id.is_(None))).one()


def owed() -> tuple[str, ...]:
    return ("receivable:sandbox", "merchant_balance", "fees:sandbox")


def test_a_line_is_one_transaction_and_no_other(shop: Shop) -> None:
    first, second = pay(shop, 1_000, NEVER), pay(shop, 1_000, NEVER)
    pay(shop, 1_000, STRANGER)
    with days_later(2):
        read(shop)
        run_id, at_the_same_time = compare(shop), compare(shop)
        stranger = unknown_line()
        resolve(shop, run_id, first, "match", settlement_line_id=stranger)
        for run in (run_id, at_the_same_time):
            with pytest.raises(Conflict) as refused:
                resolve(shop, run, second, "match", settlement_line_id=stranger)
            assert refused.value.code == "already_resolved"
        again = compare(shop)
        assert outcomes(shop, again) == {second: "missing"}
        assert reconciliations.get(shop.actor, again).open == 1


def test_sixteen_people_give_a_line_to_one_transaction(shop: Shop) -> None:
    missing = [pay(shop, 1_000, NEVER) for _ in range(4)]
    pay(shop, 1_000, STRANGER)
    with days_later(2):
        read(shop)
        runs, stranger = [compare(shop) for _ in range(4)], unknown_line()

        def give(number: int) -> str:
            charge = missing[number // 4]
            try:
                resolve(shop, runs[number % 4], charge, "match", settlement_line_id=stranger)
            except DomainError as refused:
                return refused.code
            return charge

        with ThreadPoolExecutor(16) as pool:
            answers = set(pool.map(give, range(16)))
        assert len(answers & set(missing)) == 1
        assert answers - set(missing) <= {"already_resolved", "changed_since"}
        assert reconciliations.get(shop.actor, compare(shop)).open == 3


def test_a_line_of_one_account_is_no_transaction_of_another(shop: Shop) -> None:
    own = connector(shop.actor, 10)
    connector(shop.actor, 20)
    missing = pay(shop, 1_000, NEVER)
    connectors.change(shop.actor, own.id, ConnectorChange({}, status="disabled"))
    pay(shop, 1_000, STRANGER)
    with days_later(2):
        statements.sync(shop.actor.tenant_id, "test", None)
        run_id = compare(shop)
        assert set(outcomes(shop, run_id).values()) == {"missing", "unmatched"}
        with pytest.raises(Unprocessable) as refused:
            resolve(shop, run_id, missing, "match", settlement_line_id=unknown_line())
        assert refused.value.code == "cannot_match"


def test_money_that_came_back_before_we_knew_is_taken_off_once(shop: Shop, gateway: Gateway) -> None:
    charge = pay(shop, 1_000, REFUND_RETURNED)
    refund_id = give_back(shop, charge, 400)
    with reading() as db:
        sent = db.get_one(Refund, refund_id).gateway_reference
    back = line("refund", 400, reference=sent)
    out = line("refund", -400, reference=sent)
    gateway.lines = (line("charge", 1_000, reference=charge_reference(charge)), out, back)
    with later(60):
        read(shop)
    with later(61):
        run_id = compare(shop)
        assert outcomes(shop, run_id) == {refund_id: "amount_mismatch"}
        assert account(shop, "receivable:sandbox") == -400
        assert resolve(shop, run_id, refund_id, "accept").amount == -400
        assert (account(shop, "receivable:sandbox"), account(shop, "merchant_balance")) == (0, -1_000)
    with later(70):
        refunds.sweep()  # now it is learnt of, and posted as well
        gateway.reference, gateway.lines, gateway.complete_until = "B2", (), clock.now() + timedelta(days=1)
        read(shop)
    with later(71):
        again = compare(shop)
        assert reconciliations.get(shop.actor, again).open == 1
        assert resolve(shop, again, refund_id, "accept").amount == 400
        assert reconciliations.get(shop.actor, compare(shop)).open == 0
    assert (account(shop, "receivable:sandbox"), account(shop, "merchant_balance")) == (0, -1_000)


def test_a_payment_that_was_learnt_of_after_its_line_was_accepted_wants_a_decision(shop: Shop) -> None:
    charge = pay(shop, 1_000)
    reference = charge_reference(charge)
    run_sql(update(Attempt).where(Attempt.id == charge).values(gateway_reference=None))
    read(shop)
    resolve(shop, compare(shop), unknown_line(), "accept")
    assert account(shop, "merchant_balance") == -2_000, "once as a sale, once as a find"
    run_sql(update(Attempt).where(Attempt.id == charge).values(gateway_reference=reference))
    with days_later(1):
        read(shop)
        again = compare(shop)
        assert outcomes(shop, again)[charge] == "missing"
        assert reconciliations.get(shop.actor, again).open == 1
        resolve(shop, again, charge, "accept")
    assert (account(shop, "receivable:sandbox"), account(shop, "merchant_balance")) == (0, -1_000)


def test_an_old_report_cannot_be_decided_by(shop: Shop, gateway: Gateway) -> None:
    charge = pay(shop, 1_000)
    gateway.complete_until = clock.now() + timedelta(days=1)
    read(shop)
    old = compare(shop)
    assert outcomes(shop, old) == {charge: "missing"}
    gateway.reference, gateway.lines = "B2", (line("charge", 1_000, reference=charge_reference(charge)),)
    read(shop)
    with pytest.raises(Conflict) as refused:
        resolve(shop, old, charge, "write_off")
    assert refused.value.code == "changed_since"
    assert outcomes(shop, compare(shop)) == {}
    assert (account(shop, "receivable:sandbox"), account(shop, "write_offs")) == (0, 0)


def won(shop: Shop) -> Dispute:
    dispute = told(shop.actor, FRAUD, 2_000)
    dispute_evidence.submit(shop.actor, dispute.id, [], "winning_evidence")
    with later(60):
        disputes.look_again(dispute.attempt_id, str(dispute.gateway_reference))
    [row] = rows(Dispute)
    assert row.outcome == "won"
    return row


def test_a_dispute_that_was_won_and_never_paid_back_is_missing(shop: Shop, gateway: Gateway) -> None:
    dispute = won(shop)
    taken = line("dispute", -2_000, FEE, reference=dispute.gateway_reference)
    gateway.lines = (line("charge", 2_000, 48, reference=charge_reference(dispute.attempt_id)), taken)
    gateway.complete_until = clock.now() + timedelta(days=1)
    with later(60):
        read(shop)
        run_id = compare(shop)
        assert outcomes(shop, run_id) == {dispute.id: "missing"}
        assert account(shop, "receivable:sandbox") == 2_000 + FEE
        assert resolve(shop, run_id, dispute.id, "write_off").amount == 2_000 + FEE
    with later(61):
        assert reconciliations.get(shop.actor, compare(shop)).open == 0
    assert (account(shop, "receivable:sandbox"), account(shop, "write_offs")) == (0, 2_000 + FEE)


def test_a_refund_that_came_back_and_was_never_credited_is_missing(shop: Shop, gateway: Gateway) -> None:
    charge = pay(shop, 1_000, REFUND_RETURNED)
    refund_id = give_back(shop, charge, 400)
    with reading() as db:
        sent = db.get_one(Refund, refund_id).gateway_reference
    gateway.lines = (
        line("charge", 1_000, reference=charge_reference(charge)),
        line("refund", -400, reference=sent),
    )
    gateway.complete_until = clock.now() + timedelta(days=1)
    with later(62):
        refunds.sweep()
        read(shop)
    with later(63):
        run_id = compare(shop)
        assert outcomes(shop, run_id) == {refund_id: "missing"}
        assert resolve(shop, run_id, refund_id, "write_off").amount == 400
    gateway.reference, gateway.lines = "B2", (line("refund", 400, reference=sent),)
    with later(64):
        read(shop)
    with later(65):
        again = compare(shop)
        assert outcomes(shop, again)[refund_id] == "unmatched", "it came after all"
        [line_id] = [row.id for row in rows(SettlementLine) if row.gross == 400]
        assert resolve(shop, again, line_id, "accept").amount == -400
    assert account(shop, "receivable:sandbox") == 0


def test_what_came_and_went_unseen_is_not_missing(shop: Shop, gateway: Gateway) -> None:
    won(shop)
    gateway.lines = (line("charge", 2_000, 48, reference=charge_reference(rows(Attempt)[0].id)),)
    gateway.complete_until = clock.now() + timedelta(days=1)
    with later(60):
        read(shop)
        assert outcomes(shop, compare(shop)) == {}
    assert account(shop, "receivable:sandbox") == 0


def at_the_book() -> str:
    with reading() as db:
        return db.scalars(select(book.disputes.c.reference)).one()


def test_the_fee_of_a_dispute_that_was_settled_before_we_knew_is_counted_once(
    shop: Shop, gateway: Gateway
) -> None:
    paid(shop.actor, FRAUD, 2_000)
    [attempt] = rows(Attempt)
    taken = line("dispute", -2_000, FEE, reference=at_the_book())
    gateway.lines = (line("charge", 2_000, 48, reference=attempt.gateway_reference), taken)
    read(shop)
    assert set(outcomes(shop, compare(shop)).values()) == {"unmatched"}
    deliver()
    assert outcomes(shop, compare(shop)) == {}
    assert [account(shop, name) for name in owed()] == [0, FEE, 48]


def test_a_dispute_that_nobody_knows_is_accepted_with_its_fee(shop: Shop, gateway: Gateway) -> None:
    gateway.lines = (line("dispute", -2_000, FEE, reference="nobody"),)
    read(shop)
    run_id = compare(shop)
    assert resolve(shop, run_id, unknown_line(), "accept").amount == 2_000 + FEE
    assert [account(shop, name) for name in owed()] == [0, 2_000 + FEE, 0]


def test_a_dispute_that_never_came_is_written_off_with_its_fee(shop: Shop, gateway: Gateway) -> None:
    dispute = told(shop.actor, FRAUD, 2_000)
    gateway.lines = (line("charge", 2_000, 48, reference=charge_reference(dispute.attempt_id)),)
    gateway.complete_until = clock.now() + timedelta(days=1)
    read(shop)
    run_id = compare(shop)
    assert resolve(shop, run_id, dispute.id, "write_off").amount == -2_000 - FEE
    assert account(shop, "receivable:sandbox") == 0


@pytest.mark.parametrize(("action", "bears"), [("accept", "bank"), ("write_off", "write_offs")])
def test_a_payout_of_another_amount_is_set_right_between_balance_and_bank(
    shop: Shop, gateway: Gateway, action: str, bears: str
) -> None:
    gateway.lines = (line("charge", 10_000, reference=charge_reference(pay(shop, 10_000))),)
    read(shop)
    payout = payouts.create(shop.actor, 4_000, "GBP", "bank_account_123")
    run_sql(insert(book.batches).values(**_head(shop)))
    run_sql(insert(book.statement_lines).values(**_settled_there(shop)))
    payouts.send(payout.id)
    [sent] = rows(Payout)
    assert sent.status == "paid"
    gateway.reference, gateway.lines = "B2", (line("payout", -3_900, reference=sent.gateway_reference),)
    with later(1):
        read(shop)
    with later(2):
        run_id = compare(shop)
        assert outcomes(shop, run_id) == {payout.id: "amount_mismatch"}
        assert resolve(shop, run_id, payout.id, action).amount == -100
    assert (account(shop, "balance:sandbox"), account(shop, "receivable:sandbox")) == (6_100, 0)
    assert account(shop, bears) == (3_900 if bears == "bank" else -100)
    assert account(shop, "merchant_balance") == -10_000


def _head(shop: Shop) -> dict[str, object]:
    """What the sandbox's own book has settled, so that it pays out."""
    now = clock.now()
    whose = {"tenant_id": shop.actor.tenant_id, "mode": "test", "reference": "own", "currency": "GBP"}
    return {**whose, "net": 10_000, "settled_at": now, "available_on": now}


def _settled_there(shop: Shop) -> dict[str, object]:
    whose = {"tenant_id": shop.actor.tenant_id, "mode": "test", "batch": "own", "number": 1}
    return {**whose, "type": "charge", "reference": "own", "gross": 10_000, "fee": 0}
