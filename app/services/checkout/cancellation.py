"""Canceling a session, also one whose payment is under way (CK-004, CK-027)."""

from __future__ import annotations

from app.domain.actor import Actor
from app.domain.lifecycles.checkout_sessions import Status
from app.models.checkout.session import CheckoutSession
from app.services.checkout import payments, sessions


def cancel(actor: Actor, checkout_id: str, *, release_inventory: bool) -> CheckoutSession:
    """Abort a session and its payment; what a payment held goes back with it.

    The session comes back as `payment_processing` where only the gateway's answer can end it.

    Raises:
        InvalidState: it is completed.
    """
    session = sessions.get(actor, checkout_id)
    if session.status == Status.PAYMENT_PROCESSING and session.payment_intent_id:
        payments.cancel(actor, session.payment_intent_id, "user_cancel")
        session = sessions.get(actor, checkout_id)
        if session.status == Status.PAYMENT_PROCESSING:
            return session
    return sessions.cancel(actor, checkout_id, release_inventory=release_inventory, cause=str(actor.kind))
