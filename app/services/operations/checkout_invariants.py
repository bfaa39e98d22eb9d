"""What must hold of checkouts: a sale has its order, payment and receipt, and an undone one has nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from app.models.catalogue.receipt import Receipt
from app.models.checkout.finalization import Finalization
from app.models.checkout.order import Order
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.models.checkout.subscription import SubscriptionPeriod
from app.models.checkout.wallet_hold import WalletHold
from app.models.events.journal import JournalEntry
from app.models.payments.dispute import Dispute
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.operations.violations import Violation

_COMPLETED = CheckoutSession.status == "completed"
_STANDING = and_(Order.checkout_id == CheckoutSession.id, Order.status != "cancelled")


def _sales_have_their_order(db: Session) -> Iterator[Violation]:
    """One that is kept here, unless another system keeps it or the merchant wanted none."""
    elsewhere = or_(Finalization.order_draft.is_not(None), Finalization.create_order.is_(False))
    statement = (
        select(CheckoutSession.id)
        .outerjoin(Order, _STANDING)
        .outerjoin(Finalization, Finalization.id == CheckoutSession.finalization_id)
        .where(_COMPLETED, Order.id.is_(None), or_(Finalization.id.is_(None), ~elsewhere))
    )
    for checkout_id in db.scalars(statement):
        yield Violation("sales_have_their_order", checkout_id, "completed without an order")
    loose = select(Order.id, CheckoutSession.status).join(CheckoutSession, _STANDING).where(~_COMPLETED)
    for order_id, status in db.execute(loose):
        yield Violation("sales_have_their_order", order_id, f"stands, and its checkout is {status}")


def _sales_are_paid(db: Session) -> Iterator[Violation]:
    """A completed checkout's payment has succeeded; one that was canceled paid nothing of it."""
    statement = (
        select(CheckoutSession.id)
        .join(PaymentIntent, PaymentIntent.id == CheckoutSession.payment_intent_id)
        .where(_COMPLETED, PaymentIntent.status.not_in(("succeeded", "canceled")))
    )
    for checkout_id in db.scalars(statement):
        yield Violation("sales_are_paid", checkout_id, "completed without its payment")


def _sales_are_paid_in_full(db: Session) -> Iterator[Violation]:
    """Payment and stored value together are the sale's total, which is its order's as well.

    A sale without a payment may be one that a person has said was paid elsewhere (CK-062). What went back
    since counts as paid; of a capture by hand see `_payments_take_their_amount`.
    """
    total = CheckoutSession.totals["grand_total"].as_integer()
    still = func.sum(case((WalletHold.status == "taken", WalletHold.amount), else_=0))
    stored = (
        select(WalletHold.checkout_id, still.label("taken"), func.sum(WalletHold.amount).label("ever"))
        .where(WalletHold.status.in_(("taken", "returned")))
        .group_by(WalletHold.checkout_id)
        .subquery()
    )
    succeeded = PaymentIntent.status == "succeeded"
    by_payment = case((succeeded, PaymentIntent.amount), else_=0)
    paid, once_paid = (by_payment + func.coalesce(part, 0) for part in (stored.c.taken, stored.c.ever))
    elsewhere = exists().where(
        JournalEntry.tenant_id == CheckoutSession.tenant_id,
        JournalEntry.entity == "checkout",
        JournalEntry.entity_id == CheckoutSession.id,
        JournalEntry.cause == "manual_override",
    )
    other_currency = and_(succeeded, PaymentIntent.currency != CheckoutSession.currency)
    statement = (
        select(CheckoutSession.id, total, paid)
        .outerjoin(PaymentIntent, PaymentIntent.id == CheckoutSession.payment_intent_id)
        .outerjoin(stored, stored.c.checkout_id == CheckoutSession.id)
        .where(_COMPLETED, or_(and_(paid != total, once_paid != total), other_currency))
        .where(or_(CheckoutSession.payment_intent_id.is_not(None), ~elsewhere))
    )
    for checkout_id, cost, amount in db.execute(statement):
        yield Violation("sales_are_paid_in_full", checkout_id, f"costs {cost}, {amount} was paid")
    otherwise = or_(Order.grand_total != total, Order.currency != CheckoutSession.currency)
    orders = select(Order.id, Order.grand_total, total).join(CheckoutSession, _STANDING)
    for order_id, cost, amount in db.execute(orders.where(_COMPLETED, otherwise)):
        yield Violation("sales_are_paid_in_full", order_id, f"costs {cost}, its checkout {amount}")


def _payments_take_their_amount(db: Session) -> Iterator[Violation]:
    """What has succeeded has captured its amount; by hand a part of it may have been asked for (OP-25)."""
    captured, amount = PaymentIntent.amount_captured, PaymentIntent.amount
    by_hand = and_(PaymentIntent.capture_mode == "manual", captured > 0, captured < amount)
    statement = select(PaymentIntent.id, amount, captured).where(
        PaymentIntent.status == "succeeded", PaymentIntent.parent_intent_id.is_(None), captured != amount
    )
    for intent_id, wanted, found in db.execute(statement.where(~by_hand)):
        yield Violation("payments_take_their_amount", intent_id, f"{found} captured of {wanted}")


def _receipts_are_of_sales(db: Session) -> Iterator[Violation]:
    statement = (
        select(Receipt.id, CheckoutSession.status)
        .join(CheckoutSession, Receipt.source == "checkout:" + CheckoutSession.id)
        .where(Receipt.voided_at.is_(None), ~_COMPLETED)
    )
    for receipt_id, status in db.execute(statement):
        yield Violation("receipts_are_of_sales", receipt_id, f"valid, and its checkout is {status}")


def _undone_is_undone(db: Session) -> Iterator[Violation]:
    """What was rolled back holds no goods, and no money but what a bank sent back or a dispute won."""
    undone = (
        select(Finalization.id, Finalization.checkout_id)
        .join(CheckoutSession, CheckoutSession.finalization_id == Finalization.id)
        .where(Finalization.status == "undone", CheckoutSession.status.in_(("failed", "canceled")))
    ).subquery()
    goods = select(Reservation.id, undone.c.id).join(undone, undone.c.checkout_id == Reservation.checkout_id)
    for reservation_id, run_id in db.execute(goods.where(Reservation.status.in_(("active", "captured")))):
        yield Violation("undone_is_undone", run_id, f"{reservation_id} still has its goods")
    left = PaymentIntent.amount_captured - PaymentIntent.amount_refunding - PaymentIntent.amount_disputed
    came_back = or_(
        exists().where(Refund.checkout_id == PaymentIntent.checkout_id, Refund.status == "failed"),
        exists().where(Dispute.checkout_id == PaymentIntent.checkout_id, Dispute.outcome == "won"),
    )
    money = (
        select(PaymentIntent.id, undone.c.id)
        .join(undone, undone.c.checkout_id == PaymentIntent.checkout_id)
        .where(~came_back)
    )
    for intent_id, run_id in db.execute(
        money.where(or_(left > 0, PaymentIntent.status.in_(("authorized", "requires_capture"))))
    ):
        yield Violation("undone_is_undone", run_id, f"{intent_id} still has its money")


def _pays(amount: Any, currency: Any) -> ColumnElement[bool]:
    """Whether the payment that is joined is there, has succeeded, and is of this amount."""
    return and_(
        PaymentIntent.id.is_not(None),
        PaymentIntent.status == "succeeded",
        PaymentIntent.amount == amount,
        PaymentIntent.currency == currency,
    )


def _orders_are_paid_once(db: Session) -> Iterator[Violation]:
    """A person's order that is paid has its payment, of its total; no other payment for it keeps money."""
    paid = Order.status.in_(("paid", "shipped", "delivered"))
    wanting = (
        select(Order.id)
        .outerjoin(PaymentIntent, PaymentIntent.id == Order.payment_intent_id)
        .where(Order.user_number.is_not(None), paid, Order.grand_total > 0)
        .where(~_pays(Order.grand_total, Order.currency))
    )
    for order_id in db.scalars(wanting):
        yield Violation("orders_are_paid_once", order_id, "paid without its payment")
    kept = PaymentIntent.amount_captured > PaymentIntent.amount_refunding + PaymentIntent.amount_disputed
    loose = (
        select(PaymentIntent.id)
        .join(Order, Order.id == PaymentIntent.paid_for)
        .where(kept, ~PaymentIntent.cancel_requested, PaymentIntent.status == "succeeded")
        .where(or_(Order.status == "pending", Order.payment_intent_id != PaymentIntent.id))
    )
    for intent_id in db.scalars(loose):
        yield Violation("orders_are_paid_once", intent_id, "keeps money for an order that it did not pay")


def _periods_are_paid_once(db: Session) -> Iterator[Violation]:
    """A paid period has its payment, of its amount, or its sale; no other payment for it keeps money."""
    paid = SubscriptionPeriod.status == "paid"
    by_itself = _pays(SubscriptionPeriod.amount, SubscriptionPeriod.currency)
    with_a_sale = and_(
        SubscriptionPeriod.checkout_id.is_not(None),  # which costs what it costs: `sales_are_paid_in_full`
        or_(SubscriptionPeriod.payment_intent_id.is_(None), PaymentIntent.status == "succeeded"),
    )
    wanting = (
        select(SubscriptionPeriod.id)
        .outerjoin(PaymentIntent, PaymentIntent.id == SubscriptionPeriod.payment_intent_id)
        .where(paid, ~by_itself, ~with_a_sale)
    )
    for period_id in db.scalars(wanting):
        yield Violation("periods_are_paid_once", period_id, "paid without its payment")
    kept = PaymentIntent.amount_captured > PaymentIntent.amount_refunding + PaymentIntent.amount_disputed
    loose = (
        select(PaymentIntent.id)
        .join(SubscriptionPeriod, SubscriptionPeriod.id == PaymentIntent.paid_for)
        .where(kept, ~PaymentIntent.cancel_requested, PaymentIntent.status == "succeeded")
        .where(or_(~paid, SubscriptionPeriod.payment_intent_id != PaymentIntent.id))
    )
    for intent_id in db.scalars(loose):
        yield Violation("periods_are_paid_once", intent_id, "keeps money for a period that it did not pay")


RULES: tuple[Callable[[Session], Iterator[Violation]], ...] = (
    _sales_have_their_order,
    _sales_are_paid,
    _sales_are_paid_in_full,
    _payments_take_their_amount,
    _receipts_are_of_sales,
    _undone_is_undone,
    _orders_are_paid_once,
    _periods_are_paid_once,
)
