"""Calculating a session's totals on request: a fresh one, or the stored one while nothing has changed."""

from __future__ import annotations

import time
from typing import Any

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import DomainError
from app.models.checkout.session import CheckoutSession
from app.services.checkout import sessions, totals
from app.services.operations.consulting import at_most, consulting


class CalculationTimeout(DomainError):
    """The providers took longer than the caller would wait; nothing was stored."""

    default_code = "calculation_timeout"
    default_message = "The calculation took too long; the last totals stand"


def calculate(actor: Actor, checkout_id: str, *, force: bool, timeout_ms: int = 5000) -> dict[str, Any]:
    """The calculation of a session; computed again when forced or stale (CK-014).

    Raises:
        InvalidState: the session is over and a fresh computation was asked for.
        CalculationTimeout: it took longer than `timeout_ms`; the last totals are untouched.
    """
    session = current(actor, checkout_id, fresh=force, timeout_ms=timeout_ms)
    assert session.calculation_id is not None
    kept = totals.get(actor, session.calculation_id)
    return {"calculation_id": kept.id, "calculated_at": kept.calculated_at, **kept.outputs}


@consulting
def current(actor: Actor, checkout_id: str, *, fresh: bool, timeout_ms: int | None = None) -> CheckoutSession:
    """The session with its totals up to date; when asked to be `fresh`, computed in any case."""
    session = sessions.get(actor, checkout_id)
    if not fresh and not session.totals_stale and session.calculation_id is not None:
        return session
    seconds = None if timeout_ms is None else timeout_ms / 1000
    with at_most(seconds, CalculationTimeout), transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        sessions.refuse_closed(session)
        started = time.monotonic()
        totals.calculate(db, session, actor.tenant)
        if seconds is not None and time.monotonic() - started > seconds:
            raise CalculationTimeout
        return session
