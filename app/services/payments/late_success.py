"""A payment that came through after it was given up is released or sent back (reliability.md 6)."""

from __future__ import annotations

from app.connectors import base
from app.db import transaction
from app.domain.errors import ServiceUnavailable
from app.domain.lifecycles import attempts as lifecycle
from app.models.events.journal import record
from app.services.payments import attempts, gateway


def undo(attempt_id: str) -> None:
    """Make sure that a dead attempt holds no money; the job `payments.undo_late_success`. A live one is left.

    Raises:
        ServiceUnavailable: it is not known yet; the job runs again.
    """
    attempt, intent, _ = attempts.load(attempt_id)
    if attempt.status not in lifecycle.DEAD:
        return
    state = gateway.find(attempt)
    if isinstance(state, base.Unknown):
        raise ServiceUnavailable("The gateway did not say")
    if isinstance(state, base.NotFound) or state.status not in (
        base.GatewayStatus.AUTHORIZED,
        base.GatewayStatus.CAPTURED,
    ):
        return
    if state.captured and state.refunded >= state.captured:
        return  # it has gone back already
    done = gateway.undo(attempt, state)
    if not isinstance(done, base.Approved):
        raise ServiceUnavailable("The gateway has not undone it yet")
    with transaction() as db:
        record(
            db,
            "payment.late_success_undone",
            tenant_id=attempt.tenant_id,
            mode=attempt.mode,
            entity="payment_intent",
            entity_id=intent.id,
            cause="sweep",
            checkout_id=attempt.checkout_id,
            payment_intent_id=intent.id,
            after={"charge_id": attempt.id, "was": str(state.status), "amount": state.amount},
        )
