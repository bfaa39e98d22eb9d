"""Fail-over: a payment that a connector provably did not execute goes on at the next (reliability.md 3).

Never after a time-out, a broken answer or a decline: only `NotExecuted` comes here, within the same confirm.
The new attempt has its own row and gateway key; the shopper's tries are not used up by it.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.lifecycles import attempts as lifecycle
from app.models.events.journal import record
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.payments import attempts, routing
from app.services.payments.attempts import Flow
from app.services.payments.routing import Pick

#: At how many connectors one confirm is tried at most.
MAX_CONNECTORS = 3

_T = lifecycle.Trigger


def open_next(attempt: Attempt, method: PaymentMethod, flow: Flow, cause: str) -> str | None:
    """End an attempt that was not executed and open one at the next connector, all at once; its id.

    None where there is no other connector, the payment is to be canceled, or somebody else was quicker: the
    attempt is then recorded as any other.
    """
    with transaction() as db:
        locked = attempts.lock_unchanged(db, attempt, flow.lock)
        if locked is None:
            return None
        intent, fresh = locked
        pick = None if intent.cancel_requested else _next(db, fresh, intent, method)
        if pick is None:
            return None
        fresh.advance(_T.DECLINED, cause=cause, decline_code="gateway_unavailable", next_query_at=None)
        successor = attempts.open_successor(db, fresh, pick, "failover")
        _tell(db, fresh, successor, cause)
        return successor.id


def _next(db: Session, attempt: Attempt, intent: PaymentIntent, method: PaymentMethod) -> Pick | None:
    statement = select(Attempt.connector, Attempt.connector_id).where(
        Attempt.intent_id == attempt.intent_id, Attempt.number == attempt.number
    )
    tried = {(type_, connector_id) for type_, connector_id in db.execute(statement)}
    if len(tried) >= MAX_CONNECTORS:
        return None
    candidates = routing.picks(db, intent, method, attempt.country)
    return next((pick for pick in candidates if (pick.type, pick.connector_id) not in tried), None)


def _tell(db: Session, given_up: Attempt, successor: Attempt, cause: str) -> None:
    record(
        db,
        "payment.failed_over",
        tenant_id=given_up.tenant_id,
        mode=given_up.mode,
        entity="payment_intent",
        entity_id=given_up.intent_id,
        cause=cause,
        before={"charge_id": given_up.id, "connector_id": given_up.connector_id},
        after={"charge_id": successor.id, "connector_id": successor.connector_id},
        **given_up.journal_links(),
    )
