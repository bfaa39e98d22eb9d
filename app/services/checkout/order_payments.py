"""Paying an order: a payment with its attempt, ledger entries and journal, as any other (OR-002, OP-73).

An order has one payment that is not over. It is written with the order under lock, before any gateway hears
of it; whoever comes meanwhile is told so. Where the process dies on the way the sweep of open payments finds
out what became of it, and the order follows (order_flow.py).
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from app import settings
from app.connectors.base import CardDetails
from app.db import reading, transaction
from app.domain.actor import Actor, Mode
from app.domain.errors import Conflict, InvalidState, Unprocessable
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import orders as lifecycle
from app.kit import clock
from app.models.checkout.order import Order
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.checkout import order_flow, order_making
from app.services.payments import attempts, driver, intents, methods, saved_methods
from app.services.payments.intents import IntentDraft

_S, _T = lifecycle.Status, lifecycle.Trigger
_Intent = intent_lifecycle.Status

#: The sandbox's card that is always approved.
_APPROVED = "4242424242424242"
#: The decline of a challenge that nobody is there to take: whoever pays an order sees no page.
_NOBODY_THERE = "authentication_required"


def customer_of(user_number: int) -> str:
    """The customer id under which a person of the orders surface keeps payment methods."""
    return f"user_{user_number}"


def pay(actor: Actor, number: int, idempotency_key: str | None = None) -> Order:
    """Pay a pending order of the caller's person with what they keep for it; the order comes back paid.

    A call that is repeated under its key, after its process has died, is answered the same once it is paid.

    Raises:
        NotFound: there is none, or it is another's.
        InvalidState: it is not pending any more.
        Conflict: a payment is under way, whose outcome is not known yet.
        InvalidRequest: there is nothing to pay with.
        Unprocessable: declined, or over a limit.
    """
    order = order_making.own(actor, number)
    nonce = attempts.nonce_of(idempotency_key)
    if order.status == _S.PAID and idempotency_key and _is_mine(order, nonce):
        return order
    _refuse_settled(order)
    if order.grand_total == 0:
        return _settle_free(actor, number)
    _refuse_under_way(order)
    method = _method(actor, order)
    intent = _intent(actor, number, method)
    try:
        intents.confirm(
            actor,
            intent.id,
            nonce=nonce,
            method_id=method.id,
            off_session=method.reusable,
            flow=order_flow.FLOW,
        )
    except Conflict as lost:  # another call was quicker
        _refuse_settled(order_making.own(actor, number))
        raise _under_way() from lost
    return _outcome(actor, number, intent.id)


def _is_mine(order: Order, nonce: str) -> bool:
    return order.payment_intent_id is not None and intents.was_asked(order.payment_intent_id, nonce)


def _refuse_settled(order: Order) -> None:
    if order.status != _S.PENDING:
        raise InvalidState(f"Order is already {order.status}")


def _refuse_under_way(order: Order) -> None:
    """Before anything is asked of a vault; what counts is looked at again under lock."""
    with reading() as db:
        present = db.get(PaymentIntent, order.payment_intent_id) if order.payment_intent_id else None
        if present is not None and _is_under_way(db, present):
            raise _under_way()


def _is_under_way(db: Session, intent: PaymentIntent) -> bool:
    over = intent_lifecycle.LIFECYCLE.is_terminal(intent.status)
    return not over and attempts.live(db, intent.id) is not None


def _under_way() -> Conflict:
    return Conflict("Payment is being processed", code="payment_in_progress")


def _settle_free(actor: Actor, number: int) -> Order:
    """Nothing is due: the order is paid without a payment."""
    with transaction(actor) as db:
        order = order_making.locked(db, actor, number)
        _refuse_settled(order)
        order_making.settle_code(order, actor, used=True)
        order.advance(_T.PAID, cause="api")
        return order


def _method(actor: Actor, order: Order) -> PaymentMethod:
    """The person's default method; without one, in the sandbox, its approving card.

    Raises:
        Unprocessable: there is none.
    """
    kept = saved_methods.default_of(actor, customer_of(order.user_number or 0))
    if kept is not None:
        return kept
    if actor.mode != Mode.TEST or settings.current().production:
        raise Unprocessable("No payment method on file", code="payment_method_required")
    return methods.tokenize_card(actor, CardDetails(_APPROVED, 12, clock.now().year + 1, "123"))


def _intent(actor: Actor, number: int, method: PaymentMethod) -> PaymentIntent:
    """The order's payment that is not over; where there is none it is made, in one transaction with that."""
    with transaction(actor) as db:
        order = order_making.locked(db, actor, number)
        _refuse_settled(order)
        if order.payment_intent_id is not None:
            present = intents.find(db, actor, order.payment_intent_id, lock=True)
            if _is_under_way(db, present):
                raise _under_way()
            if not intent_lifecycle.LIFECYCLE.is_terminal(present.status):
                return present
        draft = IntentDraft(
            order.grand_total,
            order.currency,
            capture_mode="auto",
            customer_id=customer_of(order.user_number or 0),
            description=f"Order {order.number}",
            metadata={"order_id": order.public_number},
            paid_for=order.id,
        )
        intent = intents.add(db, actor, draft, method)
        before = order.facts()
        order.payment_intent_id = intent.id
        db.flush()
        order.note("order.payment_started", cause="api", before=before)
        return intent


def _outcome(actor: Actor, number: int, intent_id: str) -> Order:
    """What the confirm came to.

    Raises:
        Unprocessable: declined.
        Conflict: nobody knows yet.
    """
    intent = intents.get(actor, intent_id)
    if intent.status == _Intent.REQUIRES_ACTION:
        attempt = attempts.newest(actor, intent_id)
        if attempt is not None:
            driver.give_up(attempt.id, order_flow.FLOW, "api", _NOBODY_THERE)
        intent = intents.get(actor, intent_id)
    order = order_making.own(actor, number)
    if order.status == _S.PAID and order.payment_intent_id == intent_id:
        return order
    if intent.status in (_Intent.REQUIRES_PAYMENT_METHOD, _Intent.FAILED, _Intent.CANCELED):
        raise Unprocessable("Payment declined", code="payment_declined")
    raise _under_way()
