"""Bank transfers that a person has seen arrive before the gateway tells of them (OP-79).

It is the same payment that both tell of: whatever the gateway says later finds it captured and changes
nothing, so that no money counts twice.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from app.domain.actor import Actor
from app.domain.errors import InvalidState
from app.domain.lifecycles import attempts as lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.kit import clock
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.payments import attempts

#: The kind of method that is confirmed by hand: its money comes to the merchant's bank, not to the gateway.
METHOD = "bank_transfer"

#: Why the attempt came to be captured.
CAUSE = "manual_override"


def confirm(db: Session, actor: Actor, intent: PaymentIntent) -> Attempt:
    """Note that the money of an awaited transfer is there, all of it; its flow has to settle it after.

    In the caller's transaction, which has locked the checkout and the intent. Should its process die, the
    sweep settles.

    Raises:
        InvalidState: no transfer is awaited, or the payment is being canceled.
    """
    attempt = attempts.live(db, intent.id, lock=True)
    if intent.status != intent_lifecycle.Status.PROCESSING or intent.cancel_requested or attempt is None:
        raise _not_awaited()
    method = db.get_one(PaymentMethod, attempt.payment_method_id)
    if method.type != METHOD or not attempts.waits_for_shopper(attempt):
        raise _not_awaited()
    now = clock.now()
    attempt.advance(
        lifecycle.Trigger.CAPTURED,
        cause=CAUSE,
        amount_captured=attempt.amount,
        authorized_at=now,
        captured_at=now,
        confirmed_by=actor.id,
        needs_review=False,
        next_query_at=now + timedelta(seconds=attempts.GRACE_SECONDS),
    )
    intent.amount_authorized = intent.amount_captured = attempt.amount
    intent.needs_review = False
    return attempt


def _not_awaited() -> InvalidState:
    return InvalidState("Only a bank transfer that is awaited can be confirmed by hand")
