"""Refunds that a gateway made without us, in its own dashboard: they are taken into the books as any other.

A gateway's event says "look again"; the gateway then lists the refunds of the payment that we did not ask for
(docs/adr/0033). Each becomes one of ours, under the lock of its payment, however many events tell of it.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors import base
from app.connectors.refunding import ForeignRefund
from app.db import transaction
from app.domain.errors import ServiceUnavailable
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import BY_GATEWAY, Refund
from app.services.payments import attempts, gateway, refunds, reserves


def take_in(attempt_id: str) -> None:
    """Record the refunds of a charge that its gateway made without us, and what became of them.

    Raises:
        ServiceUnavailable: the gateway did not say, or the charge is not in the books yet; look again later.
    """
    attempt, intent, _ = attempts.load(attempt_id)
    if attempt.status in attempt_lifecycle.DEAD:
        return  # what was never taken is released
    if attempt.status != attempt_lifecycle.Status.CAPTURED:
        raise ServiceUnavailable("The charge is not in the books yet")
    found = gateway.foreign_refunds(attempt)
    if isinstance(found, base.Unknown):
        raise ServiceUnavailable("The gateway did not say")
    if found and intent.amount_captured == 0:
        raise ServiceUnavailable("The charge is being settled")
    for refund in found:
        with transaction() as db:
            known = _find_or_add(db, attempt, refund)
        if known is not None:
            refunds.record(known, attempt, refund.outcome)


def _find_or_add(db: Session, attempt: Attempt, found: ForeignRefund) -> Refund | None:
    """The refund in our books, else as one that was sent; None where it failed before we heard of it.

    None too where it is more than can have gone back: the books differ, and a person has to look.
    """
    intent = db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True)
    mine = (Refund.attempt_id == attempt.id) & (Refund.gateway_reference == found.reference)
    known = db.scalars(select(Refund).where(mine)).one_or_none()
    if known is not None or isinstance(found.outcome, base.Declined):
        return known
    if found.currency != intent.currency or not reserves.for_refund(db, intent.id, found.amount):
        if not intent.needs_review:
            intent.needs_review = True
            seen = {**intent.facts(), "gateway_refund": found.reference, "refund_amount": found.amount}
            intent.note("payment.needs_review", cause="gateway", before=seen)
        return None
    how = {
        "reason_text": "Made at the gateway",
        "refund_method": refunds.ORIGINAL,
        "gateway_reference": found.reference,
        "created_by": BY_GATEWAY,
    }
    refund = refunds.begun(db, intent, attempt, found.amount, how, cause="gateway")
    refunds.submitted(refund, cause="gateway")
    return refund
