"""Rolling a finalisation back: order, receipt, stored value, goods and payment, a step each (CK-038).

What will be undone is written first; each step is noted in the transaction that takes it, so that whoever
comes after a crash does the rest (the job `checkout.roll_back`). An order that cannot be canceled any more
stops it: what is on its way to the buyer stays paid for. A step that fails calls an operator (OP-78).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor, TenantProfile, system_actor
from app.domain.errors import (
    DomainError,
    InvalidState,
    PermissionDenied,
    ServiceUnavailable,
    VersionConflict,
)
from app.domain.lifecycles import checkout_sessions, reservations
from app.domain.lifecycles import finalizations as lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import orders as order_lifecycle
from app.domain.lifecycles import refunds as refund_lifecycle
from app.domain.permissions import REFUNDS_CREATE
from app.kit.failpoints import failpoint
from app.models.checkout.finalization import Finalization
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.providers import registry
from app.providers.base import Billing, BillingUnavailable, OrderRefused, Orders, OrdersUnavailable, Scope
from app.services.access import tenants
from app.services.checkout import (
    keepers,
    link_uses,
    orders,
    payments,
    prerequisites,
    receipts,
    runs,
    sessions,
    subscribing,
    wallet,
)
from app.services.checkout import reservations as holds
from app.services.operations.consulting import consult
from app.services.payments import intents, refunds

_S, _T = lifecycle.Status, lifecycle.Trigger
_Session, _Moved = checkout_sessions.Status, checkout_sessions.Trigger
_Intent, _Refund = intent_lifecycle.Status, refund_lifecycle.Status
_Order, _Hold = order_lifecycle.Status, reservations.Status

#: Over without a sale: one that is canceled while it is undone stays so.
_ENDED = frozenset({_Session.FAILED, _Session.CANCELED})

#: What a step came to, and what there is to say of it.
Found = tuple[str, dict[str, Any]]


def roll_back(actor: Actor, checkout_id: str) -> tuple[CheckoutSession, Finalization]:
    """Undo a completed checkout that has not been shipped, or a finalisation that broke off (CK-038).

    Doing it again answers the same, or goes on where a step had failed.

    Raises:
        NotFound: there is none, or it is another merchant's.
        InvalidState: `nothing_to_roll_back`, or it has been shipped.
        PermissionDenied: money would go back, and the caller may not refund.
    """
    run_id = _begun(actor, checkout_id)
    failpoint("rollback_begun")
    go_on(run_id, actor)
    with reading() as db:
        return sessions.get(actor, checkout_id), db.get_one(Finalization, run_id)


def go_on(run_id: str, actor: Actor | None = None) -> None:
    """Take what is left of the steps of a rollback; nothing may be open."""
    run, profile = _look(run_id)
    actor = actor or system_actor(profile, run.mode)
    for name in runs.STEPS:
        status = _take(name, run_id, profile, actor)
        failpoint(f"rollback_{name}")
        if name == "order" and status in (runs.FAILED, runs.PENDING):
            break
    _close(run_id, actor)
    failpoint("rolled_back")


def resume(run_id: str) -> None:
    """Take up a rollback whose process may have died; the job `checkout.roll_back`.

    Raises:
        ServiceUnavailable: it is not over yet; the job runs again.
    """
    if _look(run_id)[0].status == _S.UNDOING:
        go_on(run_id)
    if _look(run_id)[0].status == _S.UNDOING:
        raise ServiceUnavailable("The rollback waits for a gateway or another service")


def _begun(actor: Actor, checkout_id: str) -> str:
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        run = runs.of(db, session)
        if run is not None and session.status == _Session.COMPLETED and not _is_of_sale(run, session):
            run = None  # it was over when the session was resolved, and sold without another
        over = run is not None and run.status == _S.UNDONE and session.status in _ENDED
        if run is not None and (over or run.status == _S.UNDOING):
            return run.id
        intent = _intent_of(db, session)
        if not _is_something_to_undo(session, run, intent):
            raise InvalidState("There is nothing to roll back", code="nothing_to_roll_back")
        if intent is not None and intent.amount_captured and not actor.can(REFUNDS_CREATE):
            raise PermissionDenied(f"Missing {REFUNDS_CREATE} permission")
        cause = str(actor.kind)
        if run is None or run.status in (_S.UNDONE, _S.CANCELED):
            born = _S.COMPLETED if session.status == _Session.COMPLETED else _S.RUNNING
            run = runs.begin(db, session, cause=cause, status=born)
        runs.undo(db, run, cause=cause)
        if session.status == _Session.PAYMENT_PROCESSING:  # else the end of its payment might cancel it
            _fail(db, session, run, cause)
        return run.id


def _is_of_sale(run: Finalization, session: CheckoutSession) -> bool:
    return (run.order_id, run.receipt_id) == (session.order_id, session.receipt_id)


def _is_something_to_undo(
    session: CheckoutSession, run: Finalization | None, intent: PaymentIntent | None
) -> bool:
    """Raises InvalidState where the order has left the house."""
    order = orders.of_session(session)
    if order is not None and order.status in (_Order.SHIPPED, _Order.DELIVERED):
        raise InvalidState("The order has been shipped; refund it instead", code="order_shipped")
    match session.status:
        case _Session.COMPLETED:
            return True
        case _Session.PAYMENT_PROCESSING:
            running = run is not None and run.status == _S.RUNNING
            return running or (intent is not None and intent.status in prerequisites.PROMISED)
        case _Session.FAILED | _Session.CANCELED:
            return run is not None and run.status in (_S.FAILED, _S.UNDO_FAILED)
        case _:
            return False


def _intent_of(db: Session, session: CheckoutSession) -> PaymentIntent | None:
    if session.payment_intent_id is None:
        return None
    return db.get_one(PaymentIntent, session.payment_intent_id, with_for_update=True)


def _take(name: str, run_id: str, profile: TenantProfile, actor: Actor) -> str:
    """Take one step, unless it is taken; what it came to."""
    run, _ = _look(run_id)
    if _status(run, name) != runs.PENDING or run.status != _S.UNDOING:
        return _status(run, name)
    try:
        if name == "payment":
            return _payment(run, actor)
        if _is_elsewhere(name, run, profile):
            found = consult(lambda: _STEPS[name](None, run, profile))
            return _note(run_id, name, lambda _db, _run: found, actor)
        return _note(run_id, name, lambda db, fresh: _STEPS[name](db, fresh, profile), actor)
    except (OrdersUnavailable, BillingUnavailable, ServiceUnavailable, VersionConflict):
        return runs.PENDING  # it is not known, or somebody else is at it
    except OrderRefused as refused:
        problem = {"code": "order_refused", "message": str(refused)[:200]}
    except DomainError as refused:
        problem = {"code": refused.code, "message": refused.message}
    return _note(run_id, name, lambda _db, _run: (runs.FAILED, problem), actor)


def _note(run_id: str, name: str, work: Callable[[Session, Finalization], Found], actor: Actor) -> str:
    """Take a step and write what it came to, in one transaction; the first one taken fails the session."""
    with transaction(actor) as db:
        session, run = runs.locked(db, run_id)
        if _status(run, name) != runs.PENDING:
            return _status(run, name)
        status, detail = work(db, run)
        run.steps = [
            {"step": name, "status": status, "detail": {**step["detail"], **detail}}
            if step["step"] == name
            else step
            for step in run.steps
        ]
        if status != runs.FAILED:
            _fail(db, session, run, str(actor.kind))
        return status


def _fail(db: Session, session: CheckoutSession, run: Finalization, cause: str) -> None:
    reason = run.failure_reasons[0]["reason"] if run.failure_reasons else "rolled_back"
    if session.status == _Session.COMPLETED:
        session.advance(_Moved.ROLLED_BACK, cause=cause, failure_reason=reason)
        subscribing.undo_sale(db, session, cause=cause)
    elif session.status not in _ENDED:
        session.advance(_Moved.FAILED, cause=cause, failure_reason=reason)


def _cancel_order(db: Session | None, run: Finalization, profile: TenantProfile) -> Found:
    if run.order_id is None and run.order_draft is None:
        return runs.NOTHING, {}
    order_id = run.order_id
    if order_id is None and db is not None:  # it is kept here, and whoever made it died before noting it
        made = orders.of_session(db.get_one(CheckoutSession, run.checkout_id))
        order_id = made.public_number if made is not None else None
    _has_order(run, profile).cancel(Scope(profile, run.mode), run.id, order_id)
    return runs.DONE, {"order_id": order_id}


def _void_receipt(db: Session | None, run: Finalization, profile: TenantProfile) -> Found:
    if run.receipt_id is None and not run.sold:
        return runs.NOTHING, {}
    _has_receipt(run, profile).void_receipt(Scope(profile, run.mode), receipts.source(run.checkout_id))
    return runs.DONE, {"receipt_id": run.receipt_id}


def _restore_wallet(db: Session | None, run: Finalization, profile: TenantProfile) -> Found:
    """Gift cards and store credit that the sale took, or that are held for it, are given back."""
    assert db is not None, "stored value is kept here"
    session = db.get_one(CheckoutSession, run.checkout_id)
    restored = session.wallet_applied
    wallet.undo(db, session, cause="rollback")
    return (runs.DONE, {"restored": restored}) if restored else (runs.NOTHING, {})


def _return_goods(db: Session | None, run: Finalization, profile: TenantProfile) -> Found:
    """What is held is released; what was sold goes back, its uses of codes and of a link too."""
    assert db is not None, "stock is kept here"
    session = db.get_one(CheckoutSession, run.checkout_id)
    found = db.get(Reservation, session.reservation_id) if session.reservation_id else None
    if found is None or found.status not in (_Hold.ACTIVE, _Hold.CAPTURED):
        return runs.NOTHING, {}
    if found.status == _Hold.ACTIVE:
        holds.release(db, session, profile, cause="rollback")
        link_uses.release(db, session)
        return runs.DONE, {"reservation_id": found.id, "reservation_status": str(_Hold.RELEASED)}
    keepers.of(found, profile).restock(found)
    found.advance(reservations.Trigger.RETURNED, cause="rollback")
    link_uses.restore(db, session)
    return runs.DONE, {"reservation_id": found.id, "reservation_status": str(_Hold.RETURNED)}


_STEPS: dict[str, Callable[[Session | None, Finalization, TenantProfile], Found]] = {
    "order": _cancel_order,
    "receipt": _void_receipt,
    "wallet": _restore_wallet,
    "reservation": _return_goods,
}


def _is_elsewhere(name: str, run: Finalization, profile: TenantProfile) -> bool:
    """Whether another system is asked in a step, with nothing open."""
    match name:
        case "order":
            return _has_order(run, profile).remote
        case "receipt":
            return _has_receipt(run, profile).remote
        case _:
            return False


def _has_order(run: Finalization, profile: TenantProfile) -> Orders:
    """Who has the order: this house where it stands here, whatever the merchant has chosen since."""
    return registry.own_orders() if orders.is_here(run.checkout_id) else registry.orders(profile)


def _has_receipt(run: Finalization, profile: TenantProfile) -> Billing:
    """The same for the receipt."""
    return registry.own_billing() if receipts.is_here(run) else registry.billing(profile)


def _payment(run: Finalization, actor: Actor) -> str:
    """Void what is held, or refund what was taken; what it has come to so far."""
    if run.payment_intent_id is None:
        return _note(run.id, "payment", lambda _db, _run: (runs.NOTHING, {}), actor)
    intent = intents.get(actor, run.payment_intent_id)
    if not intent.lifecycle.is_terminal(intent.status):
        with suppress(InvalidState):  # it has ended meanwhile
            payments.cancel(actor, intent.id, "user_cancel")
    intent = intents.get(actor, run.payment_intent_id)
    if intent.status in (_Intent.CANCELED, _Intent.FAILED):
        held = {"payment_intent_id": intent.id, "voided": intent.amount_authorized}
        word = runs.DONE if intent.amount_authorized else runs.NOTHING
        return _note(run.id, "payment", lambda _db, _run: (word, held), actor)
    if intent.status != _Intent.SUCCEEDED:
        return runs.PENDING
    refund = _refund(run.id, actor)
    failpoint("rollback_refund_written")
    if refund is not None and refund.status == _Refund.PENDING:
        refunds.send(refund.id)
    return _note_refunds(run.id, intent.id, actor)


def _refund(run_id: str, actor: Actor) -> Refund | None:
    """The refund of this try, written with its step; None where nothing was left to go back.

    One that fails calls an operator: another is made by the next try alone, for what is left then.
    """
    with transaction(actor) as db:
        _, run = runs.locked(db, run_id)
        assert run.payment_intent_id is not None
        detail = next(step["detail"] for step in run.steps if step["step"] == "payment")
        if "refund_id" in detail:
            return db.get_one(Refund, detail["refund_id"])
        intent = db.get_one(PaymentIntent, run.payment_intent_id, with_for_update=True)
        if refunds.left_to_refund(intent) == 0:
            return None
        made = refunds.create(actor, intent.id, reason="The sale was rolled back")
        kept = {"payment_intent_id": intent.id, "refund_id": made.id, "amount": made.amount}
        run.steps = [{**s, "detail": kept} if s["step"] == "payment" else s for s in run.steps]
        return made


def _note_refunds(run_id: str, intent_id: str, actor: Actor) -> str:
    """What became of the money: under way, back, or refused."""
    rows = refunds.of_intent(actor, intent_id)
    if any(row.status not in (_Refund.SUCCEEDED, _Refund.FAILED) for row in rows):
        return runs.PENDING
    intent = intents.get(actor, intent_id)
    if refunds.left_to_refund(intent) == 0:
        back = {"payment_intent_id": intent_id, "refunded": intent.amount_refunded}
        return _note(run_id, "payment", lambda _db, _run: (runs.DONE, back), actor)
    problem = {"code": "refund_failed", "message": rows[-1].failure_reason if rows else None}
    return _note(run_id, "payment", lambda _db, _run: (runs.FAILED, problem), actor)


def _close(run_id: str, actor: Actor) -> None:
    """Nothing is left to do: it is undone, or an operator is called. Else it is asked about again."""
    with transaction(actor) as db:
        _, run = runs.locked(db, run_id)
        words = {step["status"] for step in run.steps}
        if run.status != _S.UNDOING or (runs.PENDING in words and runs.FAILED not in words):
            return
        cause = str(actor.kind)
        if runs.FAILED not in words:
            run.advance(_T.UNDONE, cause=cause)
            return
        left = [{**s, "status": runs.SKIPPED} if s["status"] == runs.PENDING else s for s in run.steps]
        run.advance(_T.ROLLBACK_FAILED, cause=cause, steps=left)
        runs.call_operator(db, run)


def _status(run: Finalization, name: str) -> str:
    return str(next(step["status"] for step in run.steps if step["step"] == name))


def _look(run_id: str) -> tuple[Finalization, TenantProfile]:
    with reading() as db:
        run = db.get_one(Finalization, run_id)
    return run, tenants.profile(run.tenant_id, run.mode)
