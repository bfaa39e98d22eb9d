"""Handing a sale over: the order to the Order Service, the receipt to the billing, then it is completed.

Where both are kept here, all of it is part of the sale's own transaction. A service elsewhere is called with
nothing open: what it will be told is kept first, so that each retry tells it the same, under the same key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import TenantProfile
from app.domain.errors import ProviderUnavailable, ServiceUnavailable
from app.domain.event_types import EventType
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import finalizations as lifecycle
from app.kit.failpoints import failpoint
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.checkout.finalization import Finalization
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.providers import registry
from app.providers.base import (
    BillingUnavailable,
    OrderDraft,
    OrderRefused,
    OrdersUnavailable,
    PlacedOrder,
    Scope,
)
from app.services.checkout import orders, receipts, runs
from app.services.operations.consulting import consult

_S = lifecycle.Status
_Session = checkout_sessions

#: What fits in our rows of another system's ids.
MAX_ID = 64


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Where a sale stands after its transaction: `run_id` waits for other systems, None waits for nothing."""

    run_id: str | None = None


def conclude(
    db: Session, session: CheckoutSession, run: Finalization | None, profile: TenantProfile, *, cause: str
) -> HandedOver:
    """Complete a session whose goods are taken and whose payment is settled, in the caller's transaction.

    Where other systems have to be told first it is left to `go_on`, which the caller calls after its commit.
    """
    if registry.orders(profile).remote or registry.billing(profile).remote:
        return _leave(db, session, run, cause)
    scope, receipt_id = Scope(profile, session.mode), new_id("rcpt")
    order_id = None
    if run is None or run.create_order:
        told = orders.draft(db, session, run, receipt_id=receipt_id)
        order_id = registry.orders(profile).create(scope, told).order_id
    if run is not None:
        said = receipts.draft(db, session, profile, order_id=order_id, receipt_id=receipt_id)
        receipt_id = registry.billing(profile).issue_receipt(scope, said)
        receipts.note_issued(db, session)
    runs.complete(db, session, run, order_id=order_id, receipt_id=receipt_id, cause=cause)
    return HandedOver()


def _leave(db: Session, session: CheckoutSession, run: Finalization | None, cause: str) -> HandedOver:
    if session.status in _Session.OPEN:  # nothing was to be paid; from now on it cannot expire
        session.advance(_Session.Trigger.PAYMENT_STARTED, cause=cause)
    run = run or runs.begin(db, session, cause=cause, keeps_payment=_is_captured_by_hand(db, session))
    run.sold, run.receipt_id = True, None
    if run.create_order:
        run.order_draft = orders.draft(db, session, run, receipt_id=None).as_dict()
    runs.watch(db, run)
    return HandedOver(run.id)


def _is_captured_by_hand(db: Session, session: CheckoutSession) -> bool:
    """Whether a sale without a run came of a capture that the merchant asked for, which stands (OP-31)."""
    intent = db.get(PaymentIntent, session.payment_intent_id) if session.payment_intent_id else None
    return intent is not None and intent.capture_mode == "manual"


def go_on(run_id: str, cause: str) -> bool:
    """Tell other systems of a sale, as far as they were not told; whether nothing is left to tell.

    Whoever finds it half-way does the rest; nothing may be open.
    """
    run, session, profile = _load(run_id)
    scope, stands = Scope(profile, run.mode), True
    try:
        if run.create_order and run.order_id is None:
            assert run.order_draft is not None
            told = OrderDraft.from_dict(run.order_draft)
            placed = consult(lambda: registry.orders(profile).create(scope, told))
            failpoint("order_answered")
            run, stands = _keep(run.id, order_id=_checked(placed))
        if run.status == _S.RUNNING and run.receipt_id is None:
            with reading() as db:
                said = receipts.draft(
                    db, session, profile, order_id=run.order_id, receipt_id=run.id.replace("fin_", "rcpt_", 1)
                )
            made = consult(lambda: registry.billing(profile).issue_receipt(scope, said))
            failpoint("receipt_answered")
            run, stands = _keep(run.id, receipt_id=made)
        if not stands:  # rolled back while others were told
            take_back(run.id)
            return True
    except OrderRefused as refused:
        _break_off(run.id, refused, cause)
        return True
    except (OrdersUnavailable, BillingUnavailable, ServiceUnavailable):
        return False
    _complete(run.id, cause)
    return True


def take_back(run_id: str) -> None:
    """Take back what another system answered after the rollback; the job `checkout.take_back`.

    An order that cannot be canceled any more calls an operator: it is on its way, and its money went back.

    Raises:
        ServiceUnavailable: it is not known; the job runs again.
    """
    run, session, profile = _load(run_id)
    scope = Scope(profile, run.mode)
    try:
        if session.finalization_id == run.id:  # else it was sold again since, and the receipt is of that sale
            consult(lambda: registry.billing(profile).void_receipt(scope, receipts.source(run.checkout_id)))
        if run.order_id is not None:
            consult(lambda: registry.orders(profile).cancel(scope, run.id, run.order_id))
    except (OrdersUnavailable, BillingUnavailable, ProviderUnavailable) as error:
        raise ServiceUnavailable("The order or receipt of a sale that was undone still stands") from error
    except OrderRefused as refused:
        with transaction() as db:
            _, run = runs.locked(db, run_id)
            before = run.facts()
            run.failure_reasons = [*run.failure_reasons, _refusal(refused)]
            run.note(EventType.CHECKOUT_ROLLBACK_FAILED, cause="rollback", before=before)
            runs.call_operator(db, run)


def _load(run_id: str) -> tuple[Finalization, CheckoutSession, TenantProfile]:
    with reading() as db:
        run = db.get_one(Finalization, run_id)
        return run, db.get_one(CheckoutSession, run.checkout_id), _profile(db, run)


def _checked(placed: PlacedOrder) -> str:
    if not 0 < len(placed.order_id) <= MAX_ID:
        raise OrdersUnavailable("its answer has no order id that fits")
    return placed.order_id


def _keep(run_id: str, **answer: Any) -> tuple[Finalization, bool]:
    """Write what another system answered; the first answer stands. False: its sale was undone meanwhile."""
    with transaction() as db:
        session, run = runs.locked(db, run_id)
        for name, value in answer.items():
            if getattr(run, name) is None:
                setattr(run, name, value)
        completed = session.status == _Session.Status.COMPLETED and session.finalization_id == run.id
        stands = run.status not in lifecycle.UNDOES or completed
        if not stands:
            runs.take_back_later(db, run)
        return run, stands


def _refusal(refused: OrderRefused) -> dict[str, Any]:
    return {"code": "order_refused", "reason": "validation", "message": str(refused)[:200], "explain": {}}


def _break_off(run_id: str, refused: OrderRefused, cause: str) -> None:
    with transaction() as db:
        session, run = runs.locked(db, run_id)
        if run.status == _S.RUNNING:
            runs.break_off(
                db, session, run, reason=_refusal(refused), failure_reason="validation", cause=cause
            )


def _complete(run_id: str, cause: str) -> None:
    with transaction() as db:
        session, run = runs.locked(db, run_id)
        if run.status == _S.RUNNING:
            ids = {"order_id": run.order_id, "receipt_id": run.receipt_id}
            runs.complete(db, session, run, cause=cause, **ids)


def _profile(db: Session, run: Finalization) -> TenantProfile:
    return db.get_one(Tenant, run.tenant_id).profile(run.mode)
