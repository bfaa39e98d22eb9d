"""Calculating a session's totals on request: a fresh one, or the stored one while nothing has changed."""

from __future__ import annotations

from typing import Any

from app.db import transaction
from app.domain.actor import Actor
from app.models.checkout.session import CheckoutSession
from app.services.checkout import sessions, totals


def calculate(actor: Actor, checkout_id: str, *, force: bool) -> dict[str, Any]:
    """The calculation of a session; computed again when forced or stale (CK-014).

    Raises:
        InvalidState: the session is over and a fresh computation was asked for.
    """
    session = current(actor, checkout_id, fresh=force)
    assert session.calculation_id is not None
    kept = totals.get(actor, session.calculation_id)
    return {"calculation_id": kept.id, "calculated_at": kept.calculated_at, **kept.outputs}


def current(actor: Actor, checkout_id: str, *, fresh: bool) -> CheckoutSession:
    """The session with its totals up to date."""
    session = sessions.get(actor, checkout_id)
    if not fresh and not session.totals_stale and session.calculation_id is not None:
        return session
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        sessions.refuse_closed(session)
        totals.calculate(db, session, actor.tenant)
        return session
