"""What hangs on the payment of an order: the order, which is paid in the transaction that settles it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import system_actor
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import orders as lifecycle
from app.models.access.tenant import Tenant
from app.models.checkout.order import Order
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import order_making
from app.services.operations import jobs
from app.services.payments import settling
from app.services.payments.attempts import Flow


def _lock(db: Session, attempt: Attempt) -> None:
    """The order comes first in the house's lock order."""
    paid_for = select(PaymentIntent.paid_for).where(PaymentIntent.id == attempt.intent_id)
    db.execute(select(Order.id).where(Order.id == paid_for.scalar_subquery()).with_for_update())


def _follow(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    captured = attempt.status == attempt_lifecycle.Status.CAPTURED
    if captured and not intent_lifecycle.LIFECYCLE.is_terminal(intent.status):
        _pay(db, intent, attempt, cause)


def _settle(attempt: Attempt, cause: str) -> None:
    with transaction() as db:
        _lock(db, attempt)
        intent = db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True)
        fresh = db.get_one(Attempt, attempt.id, with_for_update=True)
        if not intent_lifecycle.LIFECYCLE.is_terminal(intent.status):
            _pay(db, intent, fresh, cause)


def _pay(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """The money is there: the payment succeeds, and the order with it; where it was canceled it goes back."""
    settling.settle(db, intent, attempt, cause)
    if intent.cancel_requested:
        return
    order = db.scalars(
        select(Order).where(Order.id == intent.paid_for).execution_options(populate_existing=True)
    ).one()
    if order.status != lifecycle.Status.PENDING:  # nobody pays twice, and nobody for what is cancelled
        jobs.enqueue(
            db,
            "refunds.give_back_canceled",
            {"intent_id": intent.id},
            tenant_id=intent.tenant_id,
            mode=intent.mode,
            unique_key=f"refunds.give_back_canceled:{intent.id}",
        )
        return
    profile = db.get_one(Tenant, order.tenant_id).profile(order.mode)
    order_making.settle_code(order, system_actor(profile, order.mode), used=True)
    order.advance(lifecycle.Trigger.PAID, cause=cause, payment_intent_id=intent.id)


#: The flow of a payment for an order.
FLOW = Flow(_lock, _follow, _settle, at_once=True)
