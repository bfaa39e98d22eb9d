"""Settling: a captured payment succeeds; and the flow of a payment without a checkout above it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.lifecycles import attempts, intents
from app.kit import clock
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.ledger import postings
from app.services.operations import jobs
from app.services.payments.attempts import Flow


def settle(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """A captured payment succeeds: ledger and intent, in the caller's transaction.

    Where it was canceled while the gateway was taking it, all of it goes back by a job.
    """
    intent.advance(intents.Trigger.CAPTURED, cause=cause, succeeded_at=clock.now(), next_action=None)
    attempt.next_query_at = None
    postings.post_capture(db, attempt)
    if intent.cancel_requested:
        jobs.enqueue(
            db,
            "refunds.give_back_canceled",
            {"intent_id": intent.id},
            tenant_id=intent.tenant_id,
            mode=intent.mode,
            unique_key=f"refunds.give_back_canceled:{intent.id}",
        )


def request_cancel(db: Session, intent: PaymentIntent, reason: str) -> None:
    """Note on a locked intent that whatever becomes of it is to be undone; asking again changes nothing."""
    if intent.cancel_requested:
        return
    before = intent.facts()
    intent.cancel_requested, intent.cancel_reason = True, reason
    db.flush()
    intent.note("payment_intent.cancel_requested", cause="api", before=before)


def _settle_at_once(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """Nothing above the intent has to follow, and nothing can refuse the money: it is settled as it comes."""
    if attempt.status == attempts.Status.CAPTURED and not intents.LIFECYCLE.is_terminal(intent.status):
        settle(db, intent, attempt, cause)


def _settle_alone(attempt: Attempt, cause: str) -> None:
    with transaction() as db:
        intent = db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True)
        fresh = db.get_one(Attempt, attempt.id, with_for_update=True)
        if intent.status != intents.Status.SUCCEEDED:
            settle(db, intent, fresh, cause)


#: The flow of an intent without a checkout.
STANDING_ALONE = Flow(None, _settle_at_once, _settle_alone, at_once=True)
