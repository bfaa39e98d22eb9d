"""The sale: a captured payment becomes one, all of it in one transaction, or is given back.

Recovery point `captured` of reliability.md: holds, order, ledger, intent, session and events share one
transaction; whoever finds a captured payment that is not finished runs this again. Sessions that finalise by
themselves and those of POST finalize come through here alike (OP-31).
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import TenantProfile, system_actor
from app.domain.errors import Conflict, ProviderUnavailable
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import finalizations as run_lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.kit.failpoints import failpoint
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import handover, link_uses, prerequisites, reservations, runs, wallet
from app.services.checkout import intents as session_intents
from app.services.checkout.handover import HandedOver
from app.services.operations.consulting import consulting
from app.services.payments import recording, refunds, settling

_S, _T = lifecycle.Status, lifecycle.Trigger
_Intent = intent_lifecycle.Status

#: A payment that was authorised, and holds nothing any more.
_GONE = frozenset({_Intent.REQUIRES_PAYMENT_METHOD, _Intent.FAILED, _Intent.CANCELED})


def finish(attempt: Attempt, cause: str) -> None:
    """Complete the checkout of a captured attempt; doing it twice does nothing more."""
    failpoint("finishing")
    left = HandedOver()
    try:
        left = _complete(attempt, cause)
    except Conflict as lost:
        if lost.code != "inventory_shortfall":
            raise
        _give_back(attempt, lost, cause)
    except ProviderUnavailable:  # the money is taken: nothing is guessed, and nothing given up
        recording.settle_later(attempt, "provider_unavailable")
    if left.run_id is not None:
        handover.go_on(left.run_id, cause)
    failpoint("finished")


@consulting
def _complete(attempt: Attempt, cause: str) -> HandedOver:
    with transaction() as db:
        session, intent, fresh = _locked(db, attempt)
        if session.status == _S.COMPLETED or intent.status == _Intent.SUCCEEDED:
            fresh.next_query_at = None
            return HandedOver()
        profile = db.get_one(Tenant, session.tenant_id).profile(session.mode)
        if intent.cancel_requested:  # settling sends the money back, so nothing is sold
            settling.settle(db, intent, fresh, cause)
            if session.status == _S.PAYMENT_PROCESSING:
                cancel_session(db, session, cause)
            return HandedOver()
        take_goods(db, session, profile, cause=cause)
        settling.settle(db, intent, fresh, cause)
        return handover.conclude(db, session, runs.running(db, session), profile, cause=cause)


def take_goods(db: Session, session: CheckoutSession, profile: TenantProfile, *, cause: str) -> None:
    """What the session holds is sold and taken: stock, uses of discounts and links, stored value.

    Raises:
        Conflict: `inventory_shortfall`: the hold is gone and cannot be had again.
    """
    reservations.commit(db, session, profile, cause=cause)
    link_uses.commit(db, session)
    wallet.commit(db, session, cause=cause)


def sell_free(db: Session, session: CheckoutSession, profile: TenantProfile, *, cause: str) -> HandedOver:
    """Nothing is left to pay: the sale is made without a gateway, in the caller's transaction."""
    session_intents.drop(db, session, cause=cause)
    take_goods(db, session, profile, cause=cause)
    return handover.conclude(db, session, runs.running(db, session), profile, cause=cause)


def follow(db: Session, session: CheckoutSession, intent: PaymentIntent, cause: str) -> bool:
    """A run follows its payment, in the transaction that records it; whether the session was moved.

    A capture that is definitely refused, or an authorisation that is gone, breaks the run off; of a split
    payment that has given back what its parts held, likewise.
    """
    run = runs.running(db, session)
    if run is None or intent.cancel_requested:
        return False
    refused = intent.status == _Intent.REQUIRES_CAPTURE and intent.last_error is not None
    if not refused and intent.status not in _GONE:
        return False
    runs.break_off(db, session, run, reason=_refusal(intent), failure_reason="payment_declined", cause=cause)
    return True


def _refusal(intent: PaymentIntent) -> dict[str, object]:
    error = intent.last_error or {}
    return {
        "code": "capture_failed",
        "reason": "payment_declined",
        "message": "The payment could not be captured",
        "explain": error.get("explain") or {"reason": "payment_declined"},
    }


def cancel_session(db: Session, session: CheckoutSession, cause: str) -> None:
    """End a session whose payment was canceled, and let go of what it holds."""
    run = runs.running(db, session)
    if run is not None:
        run.advance(run_lifecycle.Trigger.CANCELED, cause=cause)
    session.advance(_T.CANCELED, cause=cause, cancel_reason="requested")
    reservations.release(
        db, session, db.get_one(Tenant, session.tenant_id).profile(session.mode), cause=cause
    )
    link_uses.release(db, session)
    wallet.release(db, session, cause=cause)


def _give_back(attempt: Attempt, lost: Conflict, cause: str) -> None:
    """The goods are gone and cannot be had again: the payment stands, and all of it is refunded."""
    with transaction() as db:
        session, intent, fresh = _locked(db, attempt)
        if session.status != _S.PAYMENT_PROCESSING:
            return
        settling.settle(db, intent, fresh, cause)
        fail_sold_out(db, session, lost, cause=cause)
        profile = db.get_one(Tenant, session.tenant_id).profile(session.mode)
        refunds.create(
            system_actor(profile, session.mode), intent.id, reason="Sold out while you were paying"
        )


def fail_sold_out(db: Session, session: CheckoutSession, lost: Conflict, *, cause: str) -> None:
    """End a session whose goods are gone, and let go of what else it holds; its payment is the caller's."""
    link_uses.release(db, session)
    wallet.release(db, session, cause=cause)
    run = runs.running(db, session)
    if run is not None:
        reasons = prerequisites.of_conflict(lost).reasons
        run.advance(run_lifecycle.Trigger.FAILED, cause=cause, failure_reasons=reasons)
    session.advance(_T.FAILED, cause=cause, failure_reason="inventory")


def _locked(db: Session, attempt: Attempt) -> tuple[CheckoutSession, PaymentIntent, Attempt]:
    """Session, intent, attempt, locked in the house's order."""
    assert attempt.checkout_id is not None
    return (
        db.get_one(CheckoutSession, attempt.checkout_id, with_for_update=True),
        db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True),
        db.get_one(Attempt, attempt.id, with_for_update=True),
    )
