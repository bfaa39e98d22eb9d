"""Runs: the rows that remember a finalisation, and how a session ends with one.

A session that finalises by itself needs none while its orders and receipts are kept here: then all is one
transaction. Everything here works in the caller's transaction, on a locked session.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.actor import Actor
from app.domain.event_types import EventType
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import finalizations as lifecycle
from app.domain.lifecycles import intents as intents_lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.finalization import Finalization
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.payments.intent import PaymentIntent
from app.services.checkout import subscribing
from app.services.operations import alerts, jobs
from app.services.payments import settling

_S, _T = lifecycle.Status, lifecycle.Trigger
_Session = checkout_sessions.Trigger

#: The steps of a rollback as they are taken: what was done last goes first, and the order before its receipt,
#: since nothing may be undone of one that is on its way to the buyer.
STEPS = ("order", "receipt", "wallet", "reservation", "payment")
#: What a step may have come to; a pending one is taken, or asked about again.
PENDING, DONE, NOTHING, FAILED, SKIPPED = "pending", "done", "nothing_to_do", "failed", "skipped"
#: What is not done within this time is taken up by a job.
GRACE_SECONDS = 30
#: Questions to services that are away, over more than a day; then a person has to look.
MAX_TRIES = 300


def begin(
    db: Session,
    session: CheckoutSession,
    *,
    cause: str,
    create_order: bool = True,
    order_hint: dict[str, Any] | None = None,
    keeps_payment: bool = False,
    status: lifecycle.Status = _S.RUNNING,
) -> Finalization:
    """Write a run, which is from now on the session's."""
    run = Finalization(
        id=new_id("fin"),
        tenant_id=session.tenant_id,
        mode=session.mode,
        checkout_id=session.id,
        payment_intent_id=session.payment_intent_id,
        create_order=create_order,
        order_hint=order_hint,
        order_id=session.order_id,
        receipt_id=session.receipt_id,
        keeps_payment=keeps_payment,
        failure_reasons=[],
        steps=[],
        status=str(status),
    )
    db.add(run)
    run.begin(cause=cause)
    session.finalization_id = run.id
    return run


def of(db: Session, session: CheckoutSession) -> Finalization | None:
    """The session's run; one that never had any is not looked up."""
    if session.finalization_id is None:
        return None
    return db.get_one(Finalization, session.finalization_id, with_for_update=True, populate_existing=True)


def running(db: Session, session: CheckoutSession) -> Finalization | None:
    """The session's run while it is under way; a sale may come without one, or after one that is over."""
    run = of(db, session)
    return run if run is not None and run.status == _S.RUNNING else None


def locked(db: Session, run_id: str) -> tuple[CheckoutSession, Finalization]:
    """Session, then run, locked in the house's order."""
    checkout_id = db.scalar(select(Finalization.checkout_id).where(Finalization.id == run_id))
    session = db.get_one(CheckoutSession, checkout_id, with_for_update=True)
    return session, db.get_one(Finalization, run_id, with_for_update=True, populate_existing=True)


def find(db: Session, actor: Actor, checkout_id: str) -> Finalization | None:
    """The latest run of a checkout of this merchant, to look at."""
    mine = (Finalization.tenant_id == actor.tenant_id, Finalization.mode == actor.mode)
    statement = select(Finalization).where(*mine, Finalization.checkout_id == checkout_id)
    return db.scalars(statement.order_by(Finalization.id.desc()).limit(1)).one_or_none()


def watch(db: Session, run: Finalization) -> None:
    """Have a job take the run up, should the process that has it die."""
    jobs.enqueue(
        db,
        "checkout.resume",
        {"finalization_id": run.id, "checkout_id": run.checkout_id},
        tenant_id=run.tenant_id,
        mode=run.mode,
        unique_key=f"checkout.resume:{run.id}",
        due_at=clock.now() + timedelta(seconds=GRACE_SECONDS),
        max_tries=MAX_TRIES,
    )


def complete(
    db: Session,
    session: CheckoutSession,
    run: Finalization | None,
    *,
    order_id: str | None,
    receipt_id: str | None,
    cause: str,
) -> None:
    """The session is completed, under both of the names that merchants listen for (OP-17)."""
    if run is not None:
        run.advance(_T.COMPLETED, cause=cause, order_id=order_id, receipt_id=receipt_id)
    overridden, before = session.status == checkout_sessions.Status.FAILED, session.facts()
    session.advance(
        _Session.OVERRIDDEN if overridden else _Session.COMPLETED,
        cause=cause,
        order_id=order_id,
        receipt_id=receipt_id,
        completed_at=clock.now(),
    )
    subscribing.follow_sale(db, session, cause=cause)
    record(
        db,
        EventType.CHECKOUT_SESSION_COMPLETED,
        tenant_id=session.tenant_id,
        mode=session.mode,
        entity="checkout",
        entity_id=session.id,
        cause=cause,
        before=before,
        after=session.facts(),
        **session.journal_links(),
    )


def break_off(
    db: Session,
    session: CheckoutSession,
    run: Finalization,
    *,
    reason: dict[str, Any],
    failure_reason: str,
    cause: str,
) -> None:
    """A run that had started to commit can never succeed: the session fails, and what was done is undone.

    What the merchant captured by a call of its own is kept, for a person to decide about (OP-31).
    """
    if session.status == checkout_sessions.Status.FAILED:  # an override of a failed one
        session.failure_reason = failure_reason
    else:
        session.advance(_Session.FAILED, cause=cause, failure_reason=failure_reason)
    if run.keeps_payment:
        run.advance(_T.FAILED, cause=cause, failure_reasons=[reason])
        return
    run.failure_reasons = [reason]
    undo(db, run, cause=cause)


def undo(db: Session, run: Finalization, *, cause: str) -> None:
    """Write that a run is about to be undone; a job sees to it that it is.

    From here on no payment of it can come through: whatever becomes of one under way is undone.
    """
    steps = run.steps or [{"step": name, "status": PENDING, "detail": {}} for name in STEPS]
    again = (FAILED, SKIPPED)
    renewed = [
        {**step, "status": PENDING, "detail": {}} if step["status"] in again else step for step in steps
    ]
    run.advance(_T.ROLLBACK_STARTED, cause=cause, steps=renewed)
    if run.payment_intent_id is not None:
        intent = db.get_one(PaymentIntent, run.payment_intent_id, with_for_update=True)
        if intent.status in intents_lifecycle.LIVE:
            settling.request_cancel(db, intent, "user_cancel")
    follow_up(db, run)


def follow_up(db: Session, run: Finalization) -> None:
    """Have a job go on with an undoing, should the process that has it die."""
    jobs.enqueue(
        db,
        "checkout.roll_back",
        {"finalization_id": run.id, "checkout_id": run.checkout_id},
        tenant_id=run.tenant_id,
        mode=run.mode,
        unique_key=f"checkout.roll_back:{run.id}:{run.version}",
        due_at=clock.now() + timedelta(seconds=GRACE_SECONDS),
        max_tries=MAX_TRIES,
    )


def take_back_later(db: Session, run: Finalization) -> None:
    """Have a job take back what another system answered after its sale was undone."""
    jobs.enqueue(
        db,
        "checkout.take_back",
        {"finalization_id": run.id, "checkout_id": run.checkout_id},
        tenant_id=run.tenant_id,
        mode=run.mode,
        due_at=clock.now() + timedelta(seconds=GRACE_SECONDS),
        max_tries=MAX_TRIES,
    )


def call_operator(db: Session, run: Finalization) -> None:
    """Raise the alert of a rollback that failed (OP-78); its entry in the journal is the caller's."""
    alerts.raise_alert(
        db,
        EventType.CHECKOUT_ROLLBACK_FAILED,
        tenant_id=run.tenant_id,
        mode=run.mode,
        entity_id=run.checkout_id,
    )
