"""Finalisation: a captured payment becomes a sale, all of it in one transaction, or is given back.

Recovery point `captured` of reliability.md: holds, order, ledger, intent, session and events share one
transaction; whoever finds a captured payment that is not finished runs this again.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import system_actor
from app.domain.errors import Conflict
from app.domain.event_types import EventType
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.kit import clock
from app.kit.failpoints import failpoint
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import link_uses, orders, reservations, wallet
from app.services.payments import refunds, settling

_S, _T = lifecycle.Status, lifecycle.Trigger


def finish(attempt: Attempt, cause: str) -> None:
    """Complete the checkout of a captured attempt; doing it twice does nothing more."""
    failpoint("finishing")
    try:
        _complete(attempt, cause)
    except Conflict as lost:
        if lost.code != "inventory_shortfall":
            raise
        _give_back(attempt, cause)
    failpoint("finished")


def _complete(attempt: Attempt, cause: str) -> None:
    with transaction() as db:
        session, intent, fresh = _locked(db, attempt)
        if session.status == _S.COMPLETED or intent.status == intent_lifecycle.Status.SUCCEEDED:
            fresh.next_query_at = None
            return
        profile = db.get_one(Tenant, session.tenant_id).profile()
        if intent.cancel_requested:  # settling sends the money back, so nothing is sold
            settling.settle(db, intent, fresh, cause)
            cancel_session(db, session, cause)
            return
        reservations.commit(db, session, profile, cause=cause)
        link_uses.commit(db, session)
        wallet.commit(db, session, cause=cause)
        order = orders.add_paid(db, session, cause=cause)
        settling.settle(db, intent, fresh, cause)
        complete_session(db, session, order_id=order.public_number, receipt_id=order.receipt_id, cause=cause)


def complete_session(
    db: Session, session: CheckoutSession, *, order_id: str | None, receipt_id: str | None, cause: str
) -> None:
    """The session is completed, under both of the names that merchants listen for (OP-17)."""
    session.advance(
        _T.COMPLETED,
        cause=cause,
        order_id=order_id,
        receipt_id=receipt_id,
        completed_at=clock.now(),
    )
    record(
        db,
        EventType.CHECKOUT_SESSION_COMPLETED,
        tenant_id=session.tenant_id,
        mode=session.mode,
        entity="checkout",
        entity_id=session.id,
        cause=cause,
        after=session.facts(),
        **session.journal_links(),
    )


def cancel_session(db: Session, session: CheckoutSession, cause: str) -> None:
    """End a session whose payment was canceled, and let go of what it holds."""
    session.advance(_T.CANCELED, cause=cause, cancel_reason="requested")
    reservations.release(db, session, db.get_one(Tenant, session.tenant_id).profile(), cause=cause)
    link_uses.release(db, session)
    wallet.release(db, session, cause=cause)


def _give_back(attempt: Attempt, cause: str) -> None:
    """The goods are gone and cannot be had again: the payment stands, and all of it is refunded."""
    with transaction() as db:
        session, intent, fresh = _locked(db, attempt)
        if session.status != _S.PAYMENT_PROCESSING:
            return
        settling.settle(db, intent, fresh, cause)
        link_uses.release(db, session)
        wallet.release(db, session, cause=cause)
        session.advance(_T.FAILED, cause=cause, failure_reason="inventory")
        profile = db.get_one(Tenant, session.tenant_id).profile()
        refunds.create(
            system_actor(profile, session.mode), intent.id, reason="Sold out while you were paying"
        )


def _locked(db: Session, attempt: Attempt) -> tuple[CheckoutSession, PaymentIntent, Attempt]:
    """Session, intent, attempt, locked in the house's order."""
    assert attempt.checkout_id is not None
    return (
        db.get_one(CheckoutSession, attempt.checkout_id, with_for_update=True),
        db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True),
        db.get_one(Attempt, attempt.id, with_for_update=True),
    )
