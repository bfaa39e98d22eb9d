"""Finalising a checkout: the one routine behind POST finalize, its job, and a capture (CK-035, OP-31).

Validate, hold, capture, sell, order, receipt. The first transaction writes what will be done; a payment that
waits for its capture is then captured by the driver, which completes the sale in the transaction that records
the capture (sale.py). A process that dies is followed by the payment sweep and by the job `checkout.resume`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.db import reading, retrying, transaction
from app.domain.actor import Actor, system_actor
from app.domain.errors import Conflict, DomainError, InvalidState, PermissionDenied, ServiceUnavailable
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import finalizations as run_lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.kit import clock
from app.kit.failpoints import failpoint
from app.models.access.tenant import Tenant
from app.models.checkout.finalization import Finalization
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.services.access import tenants
from app.services.checkout import (
    dues,
    handover,
    payment,
    payments,
    prerequisites,
    reservations,
    rollback,
    runs,
    sale,
    sessions,
    totals,
)
from app.services.checkout.prerequisites import FinalizationFailed, FinalizationInProgress
from app.services.operations.consulting import consult, consulting
from app.services.operations.settings import checkout_settings
from app.services.payments import attempts
from app.services.risk import reviews

_S, _Run, _Intent = lifecycle.Status, run_lifecycle.Status, intent_lifecycle.Status


@dataclass(frozen=True, slots=True)
class Finalized:
    """What a completed checkout left behind; `order_id` is None where the merchant makes the order itself."""

    checkout_id: str
    order_id: str | None
    receipt_id: str | None
    payment_intent_id: str | None
    status: str = "completed"


def finalize(
    actor: Actor,
    checkout_id: str,
    create_order: bool = True,
    order_service_hint: dict[str, Any] | None = None,
) -> Finalized:
    """Complete a checkout; one that is completed answers what it left behind, and nothing is done again.

    Raises:
        NotFound: there is none, or it is another merchant's.
        PermissionDenied: a shopper's browser says what becomes of the order.
        FinalizationFailed: what is missing, `totals_changed`, `inventory_shortfall`: nothing has changed; or
            it broke off once it had begun, and was undone.
        FinalizationInProgress: it is not known yet; it goes on by itself.
        InvalidState: the session is over without a sale.
        UnderReview: `manual_review_pending`, `manual_review_rejected`; a run that has begun goes on.
    """
    refuse_shopper(actor, create_order, order_service_hint)
    failpoint("finalize_started")
    run_id = _begun(actor, checkout_id, create_order, order_service_hint)
    failpoint("finalize_begun")
    if run_id is not None:
        _go_on(run_id, actor)
    return outcome(actor, checkout_id)


def capture_and_finalize(
    actor: Actor, intent_id: str, amount: int | None = None, *, nonce: str | None = None
) -> tuple[PaymentIntent, CheckoutSession | None]:
    """Capture an intent, and finalise the checkout that it belongs to (CK-026, OP-31).

    A good capture stands whatever becomes of the sale: the session shows how far it has come.
    """
    done, session = payments.capture_and_finish(actor, intent_id, amount, nonce=nonce)
    if session is None or done.status != _Intent.SUCCEEDED:
        return done, session
    with suppress(DomainError):
        finalize(actor, session.id)
    return done, sessions.get(actor, session.id)


def refuse_shopper(actor: Actor, create_order: bool, order_hint: dict[str, Any] | None) -> None:
    """Raises PermissionDenied where a shopper's browser says what becomes of the order."""
    if actor.is_shopper and (not create_order or order_hint):
        raise PermissionDenied("Only the merchant's server may say what becomes of the order")


def resume(run_id: str) -> None:
    """Take up a run whose process may have died; the job `checkout.resume`.

    Raises:
        ServiceUnavailable: it is not over yet; the job runs again.
    """
    with reading() as db:
        run = db.get_one(Finalization, run_id)
    if run.status == _Run.RUNNING:
        _go_on(run_id, system_actor(tenants.profile(run.tenant_id, run.mode), run.mode))
    with reading() as db:
        if db.get_one(Finalization, run_id).status == _Run.RUNNING:
            raise ServiceUnavailable("The finalisation waits for a gateway or another service")


def _begun(
    actor: Actor, checkout_id: str, create_order: bool, order_hint: dict[str, Any] | None
) -> str | None:
    """Validate, hold and write the run; what is paid already is sold at once. None: nothing is left to do."""

    def once() -> str | None:
        with transaction(actor) as db:
            session = sessions.find(db, actor, checkout_id, lock=True)
            if session.status in (_S.COMPLETED, _S.FAILED, _S.CANCELED):
                return None
            last = runs.of(db, session)
            if last is not None and last.status == _Run.RUNNING:
                return _taken_up(last)
            if last is not None and last.status in (_Run.UNDOING, _Run.UNDO_FAILED):
                raise InvalidState("The checkout is being rolled back")
            return _begin(db, actor, session, create_order, order_hint)

    try:
        return consult(lambda: retrying(once))
    except Conflict as refused:
        if refused.code not in ("inventory_shortfall", "promotion_invalid"):
            raise
        raise prerequisites.of_conflict(refused) from refused


def _taken_up(run: Finalization) -> str:
    """A run that somebody else began: its caller is left alone with it for a while."""
    if run.updated_at + timedelta(seconds=runs.GRACE_SECONDS) > clock.now():
        raise FinalizationInProgress
    return run.id


def _begin(
    db: Session,
    actor: Actor,
    session: CheckoutSession,
    create_order: bool,
    order_hint: dict[str, Any] | None,
) -> str | None:
    cause = str(actor.kind)
    if session.status in lifecycle.OPEN:
        sessions.refuse_closed(session)
    reviews.refuse_pending(session)
    intent = _intent_of(db, session, lock=True)
    totals.calculate(db, session, actor.tenant)
    prerequisites.check(db, session, actor.tenant, intent, dues.due(session))
    seconds = checkout_settings(actor.tenant).hold_ttl_seconds
    reservations.hold(db, session, actor.tenant, ttl_seconds=seconds, cause=cause)
    captured = intent is not None and intent.status == _Intent.SUCCEEDED
    run = runs.begin(
        db,
        session,
        cause=cause,
        create_order=create_order,
        order_hint=order_hint,
        keeps_payment=captured and intent is not None and intent.capture_mode == "manual",
    )
    if intent is not None and intent.status == _Intent.REQUIRES_CAPTURE:
        intent.settles_with_checkout, intent.last_error = True, None  # an earlier refusal is not this run's
        runs.watch(db, run)
        return run.id
    if not captured:
        return sale.sell_free(db, session, actor.tenant, cause=cause).run_id
    sale.take_goods(db, session, actor.tenant, cause=cause)
    return handover.conclude(db, session, run, actor.tenant, cause=cause).run_id


def _go_on(run_id: str, actor: Actor) -> None:
    """Move a run on as far as it goes now: capture, sell, tell other systems, or undo."""
    cause = str(actor.kind)
    run, intent = _look(run_id)
    if run.status == _Run.RUNNING and not run.sold and intent is not None:
        _collect(run, intent, actor)
    run, intent = _look(run_id)
    if run.status == _Run.RUNNING and not run.sold and (intent is None or intent.status == _Intent.SUCCEEDED):
        _sell(run_id, cause)
    run, _ = _look(run_id)
    if run.status == _Run.RUNNING and run.sold:
        handover.go_on(run_id, cause)
    if _look(run_id)[0].status == _Run.UNDOING:
        rollback.go_on(run_id)


def _collect(run: Finalization, intent: PaymentIntent, actor: Actor) -> None:
    """Capture what is held, or ask what became of a capture."""
    if intent.status == _Intent.REQUIRES_CAPTURE:
        with suppress(InvalidState):  # somebody else was quicker, whatever they did
            payments.capture(actor, intent.id, nonce=f"finalize_{run.id}")
    elif intent.status == _Intent.PROCESSING:
        attempt = attempts.newest(actor, intent.id)
        if attempt is not None:
            payment.look_again(attempt.id, str(actor.kind))


def _look(run_id: str) -> tuple[Finalization, PaymentIntent | None]:
    with reading() as db:
        run = db.get_one(Finalization, run_id)
        return run, _intent_of(db, db.get_one(CheckoutSession, run.checkout_id))


@consulting
def _sell(run_id: str, cause: str) -> None:
    """The payment is in, and its goods are not taken yet; where they cannot be had it breaks off."""
    try:
        with transaction() as db:
            session, run = runs.locked(db, run_id)
            if run.status == _Run.RUNNING and not run.sold:
                profile = db.get_one(Tenant, run.tenant_id).profile(run.mode)
                sale.take_goods(db, session, profile, cause=cause)
                handover.conclude(db, session, run, profile, cause=cause)
    except Conflict as lost:
        if lost.code != "inventory_shortfall":
            raise
        with transaction() as db:
            session, run = runs.locked(db, run_id)
            if run.status == _Run.RUNNING:
                why = prerequisites.of_conflict(lost).reasons[0]
                runs.break_off(db, session, run, reason=why, failure_reason="inventory", cause=cause)


def _intent_of(db: Session, session: CheckoutSession, *, lock: bool = False) -> PaymentIntent | None:
    if session.payment_intent_id is None:
        return None
    return db.get_one(PaymentIntent, session.payment_intent_id, with_for_update=lock or None)


def outcome(actor: Actor, checkout_id: str) -> Finalized:
    """What finalising a checkout has come to by now; raises as `finalize` does."""
    session = sessions.get(actor, checkout_id)
    if session.status == _S.COMPLETED:
        return Finalized(session.id, session.order_id, session.receipt_id, session.payment_intent_id)
    with reading() as db:
        run = runs.find(db, actor, checkout_id)
    if run is not None and run.status == _Run.RUNNING:
        raise FinalizationInProgress
    if session.status == _S.FAILED and run is not None and run.failure_reasons:
        raise FinalizationFailed(run.failure_reasons)
    raise InvalidState(f"A checkout that is {session.status} cannot be finalised")
