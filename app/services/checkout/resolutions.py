"""What support does about a checkout that has failed, or waits for a bank transfer (CK-062, OP-79).

A failed session is opened again with a payment of its own and all its tries, at its old total or at a lower
one. It is not while money of its last payment has yet to go back: nobody pays twice (docs/adr/0023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, InvalidState, PermissionDenied, Unprocessable
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import finalizations as run_lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import reservations as reservation_lifecycle
from app.domain.permissions import CHECKOUT_OVERRIDE
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.finalization import Finalization
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.payments.intent import PaymentIntent
from app.services.checkout import (
    dues,
    handover,
    link_uses,
    payment,
    reservations,
    runs,
    sale,
    sessions,
    support_notes,
    totals,
)
from app.services.checkout import intents as session_intents
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings
from app.services.payments import claims, methods, parts, transfers
from app.services.risk import reviews

_S, _T = lifecycle.Status, lifecycle.Trigger
_Intent, _IntentMoves = intent_lifecycle.Status, intent_lifecycle.Trigger
_Run = run_lifecycle.Status

#: A finalisation whose goods and money are still on the move.
_UNFINISHED = frozenset({_Run.RUNNING, _Run.UNDOING, _Run.UNDO_FAILED})

#: The actions, as the contract names them.
REPLACE, OVERRIDE, DISCOUNT = "replace_payment_method", "manual_override", "apply_discount"
#: The type of the journal entry that says who did what, and why.
RESOLVED = "checkout.resolved"
#: A session that was given more than this is not a sale any more.
MAX_DISCOUNTS = 10


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is to be done, and why. A discount is an amount in minor units or a whole percentage."""

    action: str
    note: str | None = None
    payment_method_id: str | None = None
    amount: int | None = None
    percent: int | None = None


def resolve(actor: Actor, checkout_id: str, wanted: Resolution) -> CheckoutSession:
    """Take an action on a failed session; what was done, by whom and why is on the journal.

    Raises:
        NotFound: no such session or payment method, or another merchant's.
        InvalidRequest: parameters of another action, or a note is due.
        PermissionDenied: an override without its permission.
        InvalidState: it has not failed, nor is a transfer awaited; its payment is not over.
        Conflict: `payment_not_returned`; `rollback_required`; `link_not_payable`; `inventory_shortfall`.
        Unprocessable: `discount_too_large`; the method cannot be used; `card_number_refused`.
    """
    _check(actor, wanted)
    if wanted.action == OVERRIDE:
        _override(actor, checkout_id, wanted)()
        return sessions.get(actor, checkout_id)
    return _open_again(actor, checkout_id, wanted)


@consulting
def _open_again(actor: Actor, checkout_id: str, wanted: Resolution) -> CheckoutSession:
    """A failed session is open again, at its old total or a lower one; raises as `resolve`."""
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        before = session.facts()
        _reopen(db, actor, session)
        given = _give(session, wanted) if wanted.action == DISCOUNT else None
        totals.calculate(db, session, actor.tenant)
        reservations.rehold_coupons(db, session, actor.tenant)
        if dues.due(session):
            _open_payment(db, actor, session, wanted.payment_method_id)
        _note(db, session, wanted, before, support_discount=given)
        return session


def _check(actor: Actor, wanted: Resolution) -> None:
    """Raises as `resolve`."""
    if wanted.note is not None:
        support_notes.checked(wanted.note, "note")
    if wanted.action == OVERRIDE and not actor.can(CHECKOUT_OVERRIDE):
        raise PermissionDenied(f"Missing {CHECKOUT_OVERRIDE} permission")
    if wanted.action == OVERRIDE and wanted.note is None:
        raise InvalidRequest("Say why in note", code="missing_field", field="note")
    given = (wanted.amount is not None) + (wanted.percent is not None)
    if wanted.action == DISCOUNT and given != 1:
        raise InvalidRequest("Send amount or percent", code="invalid_field", field="amount")
    if wanted.action != DISCOUNT and given:
        raise InvalidRequest("Only apply_discount has an amount", code="invalid_field", field="amount")
    if wanted.action != REPLACE and wanted.payment_method_id is not None:
        raise InvalidRequest(
            "Only replace_payment_method has a method", code="invalid_field", field="payment_method_id"
        )


def _reopen(db: Session, actor: Actor, session: CheckoutSession) -> None:
    """A failed session may be edited and paid again, with a new lifetime and all its tries."""
    if session.status != _S.FAILED:
        raise InvalidState(f"A checkout that is {session.status} has not failed")
    _refuse_copied(db, session)
    run = _last_run(db, session)
    if _is_sold(db, session):
        raise Conflict("Its goods are sold: roll it back first", code="rollback_required")
    _leave_payment(db, session)
    _hold_link(db, session, run)
    hold = reservations.active(db, session)
    is_held = hold is not None and hold.expires_at > clock.now()
    lifetime = timedelta(seconds=checkout_settings(actor.tenant).session_ttl_seconds)
    session.advance(
        _T.RESOLVED_HELD if is_held else _T.RESOLVED,
        cause=str(actor.kind),
        failure_reason=None,
        payment_intent_id=None,
        payment_attempts=0,
        reservation_id=hold.id if hold is not None else None,
        finalization_id=None,
        order_id=None,
        receipt_id=None,
        completed_at=None,
        expires_at=max(session.expires_at, clock.now() + lifetime),
    )


def _refuse_copied(db: Session, session: CheckoutSession) -> None:
    """Raises Conflict where the shopper has started over: one purchase would be paid twice."""
    alive = CheckoutSession.status.not_in((_S.CANCELED, _S.FAILED))
    copies = select(CheckoutSession.id).where(CheckoutSession.copied_from == session.id, alive)
    copy = db.scalars(copies).first()
    if copy is not None:
        told = {"reason": "checkout_copied", "checkout_id": copy}
        raise Conflict("The shopper has started over", code="checkout_copied", explain=told)


def _leave_payment(db: Session, session: CheckoutSession) -> None:
    """The session's last payment is over, or is ended here.

    What a dead attempt of it brings later goes back by itself (payments/late_success.py).

    Raises:
        InvalidState: the gateway has yet to say what became of it.
        Conflict: `payment_not_returned`.
    """
    if session.payment_intent_id is None:
        return
    intent = db.get_one(PaymentIntent, session.payment_intent_id, with_for_update=True)
    if intent.lifecycle.allows(intent.status, _IntentMoves.CANCELED):
        parts.drop(db, intent, cause="resolved", reason="user_cancel")
        intent.advance(_IntentMoves.CANCELED, cause="resolved", cancel_reason="user_cancel")
        return
    if not intent.lifecycle.is_terminal(intent.status):
        raise InvalidState("Its payment is not over yet", code="payment_in_progress")
    if intent.amount_refunded + intent.amount_disputed < intent.amount_captured:
        raise Conflict(
            "Its payment has not gone back yet: refund it first",
            code="payment_not_returned",
            explain={"reason": "payment_not_returned", "payment_intent_id": intent.id},
        )


def _give(session: CheckoutSession, wanted: Resolution) -> dict[str, Any]:
    """Put a discount on the session; the totals that follow show it.

    Raises:
        Unprocessable: `discount_too_large`: more than the goods cost, or too many of them.
    """
    given = {"id": new_id("dsc")}
    if wanted.percent is not None:
        discount: dict[str, Any] = {**given, "percent": str(wanted.percent)}
    else:
        discount = {**given, "amount": wanted.amount}
    known = session.support_discounts or []
    goods = _cost_of_goods(session)
    if len(known) >= MAX_DISCOUNTS or (wanted.amount or 0) > goods:
        raise Unprocessable(
            "The discount is larger than what the goods cost",
            code="discount_too_large",
            field="amount",
            explain={"reason": "discount_too_large", "goods": goods},
        )
    session.support_discounts = [*known, discount]
    return discount


def _cost_of_goods(session: CheckoutSession) -> int:
    """Minor units of the goods less the discounts so far."""
    known = session.totals or {}
    return int(known.get("sub_total", 0)) - int(known.get("discount_total", 0))


def _open_payment(db: Session, actor: Actor, session: CheckoutSession, method_id: str | None) -> None:
    """The session's next payment, with a method where one was named."""
    intent = session_intents.ensure(db, actor, session)
    if method_id is not None:
        method = methods.usable(actor, method_id)
        claims.refuse_unusable(actor, intent, method)
        intent.advance(_IntentMoves.ATTACHED, cause=str(actor.kind), payment_method_id=method.id)


@consulting
def _override(actor: Actor, checkout_id: str, wanted: Resolution) -> Callable[[], object]:
    """A person says that the sale is good: a transfer is there, or a failed checkout is completed.

    What is returned goes on from there, after the commit.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        reviews.refuse_pending(session)
        before = session.facts()
        go_on = (_complete if session.status == _S.FAILED else _confirm)(db, actor, session)
        _note(db, session, wanted, before)
        return go_on


def _confirm(db: Session, actor: Actor, session: CheckoutSession) -> Callable[[], object]:
    """The awaited transfer of a session is there."""
    if session.status != _S.PAYMENT_PROCESSING or session.payment_intent_id is None:
        raise InvalidState(f"A checkout that is {session.status} has not failed")
    intent = db.get_one(PaymentIntent, session.payment_intent_id, with_for_update=True)
    attempt_id = transfers.confirm(db, actor, intent).id
    return lambda: payment.look_again(attempt_id, transfers.CAUSE)


def _complete(db: Session, actor: Actor, session: CheckoutSession) -> Callable[[], object]:
    """Sell what a failed session is about, at its totals.

    With the payment that was kept for it where there is one, else the merchant has been paid elsewhere, and
    the sale has no payment of ours.

    Raises:
        Conflict: `inventory_shortfall`: the goods are gone; `payment_not_returned`: a part of the payment has
            gone back, or is about to.
    """
    last = _last_run(db, session)
    kept = _kept_payment(db, session)
    if kept is None:
        _leave_payment(db, session)
        session.payment_intent_id = None
    if not _is_sold(db, session):
        _hold_link(db, session, last)
        sale.take_goods(db, session, actor.tenant, cause=OVERRIDE)
    session.failure_reason = session.order_id = session.receipt_id = None
    run = runs.begin(db, session, cause=OVERRIDE, keeps_payment=kept is not None)
    run_id = handover.conclude(db, session, run, actor.tenant, cause=OVERRIDE).run_id
    return lambda: run_id is not None and handover.go_on(run_id, OVERRIDE)


def _kept_payment(db: Session, session: CheckoutSession) -> PaymentIntent | None:
    """The session's payment, if it has taken exactly what is due and nothing of it goes back."""
    if session.payment_intent_id is None:
        return None
    intent = db.get_one(PaymentIntent, session.payment_intent_id, with_for_update=True)
    whole = intent.amount_captured == dues.due(session) and not intent.cancel_requested
    untouched = not intent.amount_refunding and not intent.amount_disputed
    return intent if intent.status == _Intent.SUCCEEDED and whole and untouched else None


def _last_run(db: Session, session: CheckoutSession) -> Finalization | None:
    """The session's last finalisation; raises InvalidState while it is under way, or being undone."""
    run = runs.of(db, session)
    if run is not None and run.status in _UNFINISHED:
        raise InvalidState("Its finalisation is still under way, or being rolled back")
    return run


def _is_sold(db: Session, session: CheckoutSession) -> bool:
    """Whether the goods were taken already: its finalisation broke off later, and kept what it had."""
    held = db.get(Reservation, session.reservation_id) if session.reservation_id else None
    return held is not None and held.status == reservation_lifecycle.Status.CAPTURED


def _hold_link(db: Session, session: CheckoutSession, run: Finalization | None) -> None:
    """Hold the session's use of a link again, which was given back unless its finalisation kept all."""
    kept = run is not None and run.status == _Run.FAILED and run.keeps_payment
    if session.payment_link_id and not kept:
        link_uses.hold(db, session.payment_link_id)


def _note(
    db: Session, session: CheckoutSession, wanted: Resolution, before: dict[str, Any], **facts: Any
) -> None:
    """The entry of the journal, which is the audit: who is on it by itself."""
    told = {name: value for name, value in facts.items() if value is not None}
    record(
        db,
        RESOLVED,
        tenant_id=session.tenant_id,
        mode=session.mode,
        entity="checkout",
        entity_id=session.id,
        cause=wanted.action,
        before=before,
        after={**session.facts(), "action": wanted.action, "note": wanted.note, **told},
        **session.journal_links(),
    )
