"""What becomes of an order after it was made: shipped, delivered, cancelled, expired (OP-69).

Cancelling a paid order gives its money back, in the transaction that cancels it. The order of a checkout is
cancelled by the checkout's own rollback, which undoes receipt, goods and stored value as well.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor, system_actor
from app.domain.errors import Conflict, InvalidState, PermissionDenied
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import orders as lifecycle
from app.domain.permissions import REFUNDS_CREATE
from app.kit import clock
from app.models.access.tenant import Tenant
from app.models.checkout.order import Order
from app.services.checkout import order_making, rollback
from app.services.operations import sweeping
from app.services.payments import attempts, intents, refunds

_S, _T = lifecycle.Status, lifecycle.Trigger

#: When an order is looked at again whose time is up while its payment is on its way.
WHILE_PAID = timedelta(hours=1)

#: What may be asked for by hand; an order is paid by a payment.
_TRIGGERS = {_S.SHIPPED: _T.SHIPPED, _S.DELIVERED: _T.DELIVERED, _S.CANCELLED: _T.CANCELLED}


def change(actor: Actor, number: int, status: str) -> Order:
    """Move an order of this merchant on to that status.

    Raises:
        NotFound: there is none, or it is another merchant's.
        InvalidState: the lifecycle has no such step, or a payment is under way.
        PermissionDenied: money would go back, and the caller may not refund.
        Conflict: its checkout could not be undone altogether.
    """
    wanted = _S(status)
    order = order_making.get(actor, number)
    _refuse_illegal(order, wanted)
    if wanted == _S.CANCELLED and order.checkout_id is not None:
        return _undo_checkout(actor, order, order.checkout_id)
    with transaction(actor) as db:
        order = order_making.locked(db, actor, number)
        _refuse_illegal(order, wanted)
        if wanted == _S.CANCELLED:
            _give_back(db, actor, order)
            order_making.settle_code(order, actor, used=False)
        order.advance(_TRIGGERS[wanted], cause="api")
        return order


def expire_due(limit: int = 100) -> int:
    """Cancel orders that nobody has paid in time. Returns how many."""
    due = (
        select(Order.id)
        .where(Order.status == _S.PENDING, Order.expires_at <= clock.now())
        .order_by(Order.expires_at)
        .limit(limit)
    )
    with reading() as db:
        found = list(db.scalars(due))
    return sweeping.each(found, _expire)


def _expire(order_id: str) -> bool:
    """One that is being paid just now is looked at again later."""
    now = clock.now()
    with transaction() as db:
        order = db.scalars(select(Order).where(Order.id == order_id).with_for_update()).one()
        if order.status != _S.PENDING or order.expires_at is None or order.expires_at > now:
            return False
        actor = system_actor(db.get_one(Tenant, order.tenant_id).profile(order.mode), order.mode)
        try:
            _give_back(db, actor, order, cause="expiry", reason="timeout")
        except InvalidState:
            order.expires_at = now + WHILE_PAID
            return False
        order_making.settle_code(order, actor, used=False)
        order.advance(_T.CANCELLED, cause="expiry")
        return True


def _refuse_illegal(order: Order, wanted: lifecycle.Status) -> None:
    if order.status == wanted:
        raise InvalidState(f"Order is already {order.status}")
    if not lifecycle.LIFECYCLE.allows(order.status, _TRIGGERS[wanted]):
        raise InvalidState(f"Order is {order.status} and cannot become {wanted}")


def _undo_checkout(actor: Actor, order: Order, checkout_id: str) -> Order:
    rollback.roll_back(actor, checkout_id)
    fresh = order_making.get(actor, order.number)
    if fresh.status != _S.CANCELLED:
        raise Conflict("The checkout of this order could not be undone; see its rollback")
    return fresh


def _give_back(
    db: Session, actor: Actor, order: Order, *, cause: str = "api", reason: str = "user_cancel"
) -> None:
    """No payment of a cancelled order goes on, and what was paid goes back by a job."""
    if order.payment_intent_id is None:
        return
    intent = intents.find(db, actor, order.payment_intent_id, lock=True)
    if order.status == _S.PENDING:
        if not intent_lifecycle.LIFECYCLE.is_terminal(intent.status):
            if attempts.live(db, intent.id) is not None:
                raise InvalidState("A payment of this order is being processed", code="payment_in_progress")
            intent.advance(intent_lifecycle.Trigger.CANCELED, cause=cause, cancel_reason=reason)
        return
    if refunds.left_to_refund(intent) == 0:
        return
    if not actor.can(REFUNDS_CREATE):
        raise PermissionDenied(f"Missing {REFUNDS_CREATE} permission")
    refunds.create(actor, intent.id, reason="Order cancelled")
