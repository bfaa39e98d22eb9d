"""Paying an order when much goes wrong: sixteen at once, a cancel meanwhile, lost answers, a dying process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from app.connectors.sandbox import book
from app.db import reading, transaction
from app.domain.actor import Actor, Mode
from app.domain.errors import Conflict, DomainError, InvalidState, Unprocessable
from app.models.catalogue.promotion import Coupon
from app.models.checkout.order import Order
from app.models.events.journal import JournalEntry
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.access import tokens, users
from app.services.checkout import order_changes, order_making, order_payments, payment, payments
from app.services.operations import invariants
from app.services.payments import editing, intents, methods, refunds, saved_methods
from app.services.payments.editing import IntentChange
from app.services.payments.saved_methods import MethodChange
from tests.catalogue import coupon
from tests.processes import dies
from tests.shops import TIMES_OUT_AFTER, TIMES_OUT_BEFORE, Shop, card, later

PAY = """
import sys
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.services.access import tokens
from app.services.checkout import order_payments
order_payments.pay(tokens.person(sys.argv[1], "test"), int(sys.argv[2]), "pay-1")
"""


@pytest.fixture
def ann(shop: Shop, holds: None) -> Actor:
    """A person of the shop."""
    user = users.create(
        shop.actor.tenant_id, "ann@shop.test", "Ann", "payments_admin", "a long enough secret"
    )
    return tokens.person(user.id, Mode.TEST)


def keeps(ann: Actor, number: str) -> None:
    customer = order_payments.customer_of(users.number_of(ann))
    kept = methods.tokenize_card(ann, card(number), customer_id=customer, consent=True)
    saved_methods.update(ann, kept.id, MethodChange(is_default=True))


def taken() -> list[tuple[str, int]]:
    """What the gateway's own book says of money."""
    with reading() as db:
        statement = select(book.payments.c.status, book.payments.c.captured)
        return [
            (row.status, row.captured) for row in db.execute(statement.order_by(book.payments.c.reference))
        ]


def sweep(*seconds: float) -> None:
    for later_by in seconds:
        with later(later_by):
            payment.sweep()


def test_sixteen_callers_pay_once(ann: Actor, shop: Shop) -> None:
    coupon(shop, usage_limit=1)
    number = order_making.create(ann, 5000, "SAVE10").number

    def pay(_: int) -> str:
        try:
            return order_payments.pay(ann, number).status
        except DomainError as error:
            return error.message

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(pay, range(16)))
    assert answers.count("paid") == 1, answers
    assert set(answers) <= {"paid", "Order is already paid", "Payment is being processed"}
    assert taken() == [("captured", 4860)]
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(PaymentIntent)) == 1
        assert db.scalar(select(func.count()).select_from(Attempt)) == 1
        assert db.execute(select(Coupon.held, Coupon.used)).one() == (0, 1)


def test_an_order_that_is_paid_without_money_is_noticed(ann: Actor) -> None:
    number = order_making.create(ann, 5000, None).number
    kept = order_payments.pay(ann, number).payment_intent_id
    breaks = {
        "status = 'pending'": "status = 'paid'",
        "payment_intent_id = NULL": "payment_intent_id = :kept",
        "grand_total = grand_total + 1": "grand_total = grand_total - 1",
        "currency = 'USD'": "currency = 'GBP'",
    }
    for broken, mended in breaks.items():
        for change in (broken, mended):
            with transaction() as db:
                db.execute(text(f"UPDATE orders SET {change}"), {"kept": kept} if ":kept" in change else {})
            found = {violation.rule for violation in invariants.check()}
            assert ("orders_are_paid_once" in found) == (change == broken)


def test_an_order_that_nobody_pays_in_time_is_cancelled_and_gives_its_code_back(
    ann: Actor, shop: Shop
) -> None:
    coupon(shop, usage_limit=2)
    keeps(ann, "4000000000009995")
    declined = order_making.create(ann, 5000, "SAVE10").number
    with pytest.raises(Unprocessable):
        order_payments.pay(ann, declined)
    keeps(ann, TIMES_OUT_BEFORE)
    unpaid = order_making.create(ann, 5000, None).number
    with pytest.raises(Conflict):
        order_payments.pay(ann, unpaid)
    sweep(31, 120, 600)
    open_ = order_making.get(ann, unpaid).payment_intent_id or ""
    assert intents.get(ann, open_).status == "requires_payment_method"
    keeps(ann, TIMES_OUT_AFTER)
    under_way = order_making.create(ann, 5000, "SAVE10").number
    with pytest.raises(Conflict):
        order_payments.pay(ann, under_way)
    assert order_making.create(ann, 5000, "SAVE10").discount_code is None, "both uses are promised"
    week = order_making.PAYABLE_FOR.total_seconds()
    with later(week - 60):
        assert order_changes.expire_due() == 0
    with later(week + 60):
        assert order_changes.expire_due() == 3
        order = order_making.get(ann, declined)
        assert (order.status, order.code_held) == ("cancelled", False)
        assert intents.get(ann, order.payment_intent_id or "").status == "failed"
        intent = intents.get(ann, open_)
        assert (intent.status, intent.cancel_reason) == ("canceled", "timeout"), "nobody asked for it"
        assert order_making.get(ann, under_way).status == "pending", "its payment is on its way"
        assert order_changes.expire_due() == 0
        payment.sweep()
    with later(week + 7200):
        assert order_changes.expire_due() == 0
    assert order_making.get(ann, under_way).status == "paid"
    with reading() as db:
        assert db.execute(select(Coupon.held, Coupon.used)).one() == (0, 1)
        ends = select(JournalEntry.entity_id, JournalEntry.cause).where(
            JournalEntry.entity_id.in_((open_, order.id)),
            JournalEntry.to_status.in_(("canceled", "cancelled")),
        )
        assert sorted(db.execute(ends).all()) == sorted([(open_, "expiry"), (order.id, "expiry")])


def test_of_a_payment_and_a_cancel_at_once_one_wins(ann: Actor) -> None:
    numbers = [order_making.create(ann, 5000, None).number for _ in range(4)]

    def pay(number: int) -> None:
        try:
            order_payments.pay(ann, number)
        except DomainError:
            return

    def cancel(number: int) -> None:
        try:
            order_changes.change(ann, number, "cancelled")
        except DomainError:
            return

    with ThreadPoolExecutor(8) as threads:
        for number in numbers:
            threads.submit(pay, number)
            threads.submit(cancel, number)
    with reading() as db:
        orders = list(db.scalars(select(Order)))
        sent = {refund.intent_id: refund for refund in db.scalars(select(Refund))}
    for order in orders:
        assert order.status in ("paid", "cancelled")
        if order.payment_intent_id is None:
            continue
        intent = intents.get(ann, order.payment_intent_id)
        if order.status == "paid":
            assert (intent.status, intent.amount_refunding) == ("succeeded", 0)
        else:  # canceled before it was sent, or paid and then given back
            assert intent.amount_captured == intent.amount_refunding
            assert intent.status in ("canceled", "succeeded", "requires_payment_method")
            if intent.amount_captured:
                refunds.send(sent[intent.id].id)


@pytest.mark.parametrize(("number", "came"), [(TIMES_OUT_AFTER, True), (TIMES_OUT_BEFORE, False)])
def test_a_lost_answer_is_not_a_decline_and_nobody_pays_or_cancels_meanwhile(
    ann: Actor, number: str, came: bool
) -> None:
    keeps(ann, number)
    order = order_making.create(ann, 5000, None)
    for _ in range(2):
        with pytest.raises(Conflict, match="Payment is being processed"):
            order_payments.pay(ann, order.number)
    with pytest.raises(Conflict, match="being processed"):
        order_changes.change(ann, order.number, "cancelled")
    sweep(31, 120, 600)
    if not came:
        assert order_making.get(ann, order.number).status == "pending"
        keeps(ann, "5555555555554444")
        order_payments.pay(ann, order.number)
    assert order_making.get(ann, order.number).status == "paid"
    assert [row for row in taken() if row[1]] == [("captured", 5400)]


def test_a_payment_that_is_canceled_on_its_way_goes_back_and_the_order_stays_to_be_paid(ann: Actor) -> None:
    keeps(ann, TIMES_OUT_AFTER)
    order = order_making.create(ann, 5000, None)
    with pytest.raises(Conflict):
        order_payments.pay(ann, order.number)
    lost = order_making.get(ann, order.number).payment_intent_id
    assert lost is not None
    intents.cancel(ann, lost, "user_cancel")
    sweep(31, 120)
    assert order_making.get(ann, order.number).status == "pending"
    refunds.give_back_canceled(lost)
    keeps(ann, "5555555555554444")
    assert order_payments.pay(ann, order.number).payment_intent_id != lost
    with reading() as db:
        refunds.send(db.scalars(select(Refund.id)).one())
    intent = intents.get(ann, lost)
    assert intent.amount_captured == intent.amount_refunded


def test_its_payment_confirmed_on_the_payments_surface_pays_the_order(ann: Actor) -> None:
    keeps(ann, TIMES_OUT_BEFORE)
    order = order_making.create(ann, 5000, None)
    with pytest.raises(Conflict):
        order_payments.pay(ann, order.number)
    sweep(31, 120, 600)
    intent_id = str(order_making.get(ann, order.number).payment_intent_id)
    assert intents.get(ann, intent_id).status == "requires_payment_method"
    by_hand = IntentChange(payment_method_options={"card": {"capture_method": "manual"}})
    for change in (IntentChange(amount=1), IntentChange(capture_mode="manual"), by_hand):
        with pytest.raises(InvalidState):
            editing.change(ann, intent_id, change)
    keeps(ann, "5555555555554444")
    good = saved_methods.default_of(ann, order_payments.customer_of(users.number_of(ann)))
    assert good is not None
    payments.confirm(ann, intent_id, payment.Order("by-hand"), method_id=good.id)
    assert order_making.get(ann, order.number).status == "paid"
    assert [row for row in taken() if row[1]] == [("captured", 5400)]


@pytest.mark.parametrize(
    ("point", "came"), [("auth_submitted", False), ("auth_answered", True)], ids=["before", "after"]
)
def test_dying_around_the_gateways_answer(
    database: str, tmp_path: Path, ann: Actor, point: str, came: bool
) -> None:
    number = order_making.create(ann, 5000, None).number
    dies(PAY, ann.id, str(number), url=database, folder=tmp_path, at=point)
    assert taken() == ([("captured", 5400)] if came else [])
    with pytest.raises(Conflict, match="Payment is being processed"):
        order_payments.pay(ann, number, "pay-1")
    sweep(31, 120, 600)
    if came:
        assert order_making.get(ann, number).status == "paid"
        assert order_payments.pay(ann, number, "pay-1").status == "paid"  # the answer that was lost
        with pytest.raises(Conflict, match="Order is already paid"):
            order_payments.pay(ann, number, "pay-2")
    else:
        assert order_making.get(ann, number).status == "pending"
        assert order_payments.pay(ann, number, "pay-2").status == "paid"
    assert taken() == [("captured", 5400)]
    assert invariants.check() == []
