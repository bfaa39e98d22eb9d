"""Refunds by the id that a merchant knows a payment by: its intent's, or its session's (MR-003, OP-33)."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db import transaction, when_undone
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import DomainError, InvalidRequest, NotFound
from app.domain.event_types import EventType
from app.models.events.journal import REFUSED, record
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.checkout import sessions
from app.services.payments import intents, refunds

log = structlog.get_logger("till.refunds")

_INTENT = "pi_"


def create(actor: Actor, payment_id: str, amount: int | None = None, reason: str | None = None) -> Refund:
    """Refund a payment; without `amount` all that is left. What comes of it is in the audit either way.

    Raises:
        NotFound: no such payment, or a session that was not paid yet.
        InvalidRequest: `invalid_amount`.
        InvalidState: nothing was captured.
        Unprocessable: more than is left.
        DomainError: it failed for a reason of ours.
    """
    if amount is not None and not 0 < amount <= money.MAX_AMOUNT:
        raise InvalidRequest("Valid amount is required", code="invalid_amount", field="amount")
    intent = _named(actor, payment_id)
    try:
        return refunds.create(actor, intent.id, amount, reason)
    except DomainError as refused:
        _audit(actor, intent, amount, refused.code)
        raise
    except (OperationalError, PoolTimeout):
        raise  # the database is away: the same call may be made again
    except Exception as error:
        log.exception("refund_broke_off", entity_id=intent.id)
        _audit(actor, intent, amount, DomainError.default_code)
        raise DomainError("Failed to process refund") from error


def _named(actor: Actor, payment_id: str) -> PaymentIntent:
    """The payment of that id, or of the session of that id."""
    found: str | None = payment_id
    try:
        if not payment_id.startswith(_INTENT):
            found = sessions.get_public(actor, payment_id).payment_intent_id
        if found is not None:
            return intents.get(actor, found)
    except NotFound as error:
        raise NotFound("Payment not found") from error
    raise NotFound("Payment not found")


def _audit(actor: Actor, intent: PaymentIntent, amount: int | None, why: str) -> None:
    """Tell of a refund that did not come to be: it has no id, and the work that it was part of is undone."""
    fact: dict[str, Any] = {
        "tenant_id": intent.tenant_id,
        "mode": intent.mode,
        "entity": "payment_intent",
        "entity_id": intent.id,
        "cause": REFUSED,
        "checkout_id": intent.checkout_id,
        "payment_intent_id": intent.id,
        "after": {
            "refund_id": None,
            "payment_intent_id": intent.id,
            "status": "failed",
            "amount": amount,
            "currency": intent.currency,
            "failure_reason": why,
        },
    }

    def write() -> None:
        with transaction(actor) as db:
            record(db, EventType.REFUND_FAILED, **fact)

    when_undone(write)
