"""Canceling a session, also one whose payment is under way, or which failed and kept it (CK-004, CK-027)."""

from __future__ import annotations

from contextlib import suppress

from app.domain.actor import Actor
from app.domain.errors import InvalidState
from app.domain.lifecycles.checkout_sessions import Status
from app.domain.permissions import REFUNDS_CREATE
from app.models.checkout.session import CheckoutSession
from app.services.checkout import payments, rollback, sessions


def cancel(actor: Actor, checkout_id: str, *, release_inventory: bool) -> CheckoutSession:
    """Abort a session and its payment; what a payment held goes back with it.

    The session comes back as `payment_processing` where only the gateway's answer can end it. One that
    failed and kept its payment is rolled back first, which gives it back.

    Raises:
        InvalidState: it is completed; `payment_not_returned`, it keeps its payment, and the caller may not
            refund, or it could not be undone.
    """
    session = sessions.get(actor, checkout_id)
    if session.status == Status.PAYMENT_PROCESSING and session.payment_intent_id:
        payments.cancel(actor, session.payment_intent_id, "user_cancel")
        session = sessions.get(actor, checkout_id)
        if session.status == Status.PAYMENT_PROCESSING:
            return session
    # Of one that was finalised goods, gift cards and credit may be taken, whatever became of its payment.
    may_hold = session.finalization_id is not None or sessions.keeps_payment(session)
    if session.status == Status.FAILED and may_hold and actor.can(REFUNDS_CREATE):
        with suppress(InvalidState):  # nothing is left that a rollback would undo
            rollback.roll_back(actor, checkout_id)
    return sessions.cancel(actor, checkout_id, release_inventory=release_inventory, cause=str(actor.kind))
