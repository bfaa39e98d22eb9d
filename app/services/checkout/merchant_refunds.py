"""Refunds by the id that a merchant knows a payment by: its intent's, or its session's (MR-003, OP-33).

The refund is written first, then sent within the request, so that the answer has the gateway's id where that
answers soon. A process that dies in between leaves the job that every refund has; the caller's key, come
again, finds the refund that it had made.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db import in_transaction, reading, transaction, when_undone
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import DomainError, InvalidRequest, NotFound
from app.domain.event_types import EventType
from app.models.events.journal import REFUSED, record
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.checkout import sessions
from app.services.operations.secrets_at_rest import hash_token
from app.services.payments import intents, refunds

log = structlog.get_logger("till.refunds")

_INTENT = "pi_"
#: So long does a request wait for the gateway's answer; the refund goes on without it.
WAIT_SECONDS = 3.0


def create(
    actor: Actor,
    payment_id: str,
    amount: int | None = None,
    reason: str | None = None,
    *,
    key: str | None = None,
) -> Refund:
    """Refund a payment; without `amount` all that is left. What comes of it is in the audit either way.

    The same `key` of the caller's for the same refund is answered with the one that it made.

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
        made = _once(actor, intent, amount, reason, key)
    except DomainError as refused:
        _audit(actor, intent, amount, refused.code)
        raise
    except (OperationalError, PoolTimeout):
        raise  # the database is away: the same call may be made again
    except Exception as error:
        log.exception("refund_broke_off", entity_id=intent.id)
        _audit(actor, intent, amount, DomainError.default_code)
        raise DomainError("Failed to process refund") from error
    return _sent(actor, made)


def _once(
    actor: Actor, intent: PaymentIntent, amount: int | None, reason: str | None, key: str | None
) -> Refund:
    if key is None:
        return refunds.create(actor, intent.id, amount, reason)
    said = (actor.tenant_id, str(actor.mode), actor.id, key, intent.id, str(amount), reason or "")
    nonce = hash_token("\n".join(said))
    known = _by_nonce(actor, nonce)
    if known is not None:
        return known
    try:
        with transaction(actor):
            made = refunds.create(actor, intent.id, amount, reason)
            made.nonce = nonce
            return made
    except IntegrityError:  # the same call, whose lease had lapsed, was quicker
        known = _by_nonce(actor, nonce)
        if known is None:
            raise
        return known


def _by_nonce(actor: Actor, nonce: str) -> Refund | None:
    mine = (Refund.tenant_id == actor.tenant_id, Refund.mode == str(actor.mode), Refund.nonce == nonce)
    with reading() as db:
        return db.scalars(select(Refund).where(*mine)).one_or_none()


def _sent(actor: Actor, made: Refund) -> Refund:
    """The refund as it is once the gateway has answered, or after a while."""
    if in_transaction():
        return made  # nothing is called while it is open: the job sends it

    def send() -> None:
        try:
            refunds.send(made.id)
        except Exception:
            log.exception("refund_not_sent_yet", entity_id=made.id)  # the job tries again

    sender = threading.Thread(target=copy_context().run, args=(send,), name="refund", daemon=True)
    sender.start()
    sender.join(WAIT_SECONDS)
    return refunds.get(actor, made.id)


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
