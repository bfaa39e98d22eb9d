"""Taking a split payment through: parts are authorised in order, captured in order, undone together (OP-45).

`go_on` looks at where the parts stand and does the next thing, until it has to wait: for a shopper, for a
gateway, for the merchant's capture. It may be called at any time and by anybody: after a call, by the job
that each recorded outcome enqueues, by the sweep. At most one part is under way at a time; what is not known
is waited for. Where one part is declined, or cannot be captured, the others are voided or refunded, and only
then the payment may be tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor, system_actor
from app.domain.errors import (
    Conflict,
    InvalidState,
    ProviderUnavailable,
    RateLimited,
    Unprocessable,
    VersionConflict,
)
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import intents as lifecycle
from app.domain.lifecycles.intents import EDITABLE
from app.kit import clock
from app.kit.failpoints import failpoint
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.access import tenants
from app.services.checkout import following, handover, runs, sale
from app.services.checkout.handover import HandedOver
from app.services.operations import jobs, sweeping
from app.services.operations.consulting import consulting
from app.services.payments import attempts, driver, intents, methods, parts, recording, refunds, settling
from app.services.payments.attempts import Flow
from app.services.payments.intents import IntentDraft
from app.services.risk import screening

_S, _T, _A = lifecycle.Status, lifecycle.Trigger, attempt_lifecycle.Status

#: More steps than any split takes; a bound, so that a mistake cannot loop.
MAX_STEPS = 60
#: After how long the sweep looks at a run that nobody has moved.
STALE_SECONDS = 60

Step = Callable[[], None]


@dataclass(slots=True)
class Run:
    """A split payment under lock: its session, itself, its parts in order, and their live attempts."""

    session: CheckoutSession
    whole: PaymentIntent
    parts: list[PaymentIntent]
    live: dict[str, Attempt]

    def rests(self, part: PaymentIntent) -> bool:
        """Whether nothing is under way with a part."""
        attempt = self.live.get(part.id)
        if attempt is None:
            return True
        if attempt.status == _A.AUTHORIZED:
            return not part.cancel_requested
        return attempt.status == _A.CAPTURED and part.status == _S.SUCCEEDED

    @property
    def moving(self) -> list[PaymentIntent]:
        """The parts that somebody or something is still to decide."""
        return [part for part in self.parts if not self.rests(part)]

    @property
    def broken(self) -> list[PaymentIntent]:
        """The parts because of which the others have to be undone."""
        return [part for part in self.parts if _is_broken(part)]


def go_on(whole_id: str, cause: str = "split") -> None:
    """Do what is next, as far as it goes now; see the module."""
    for _ in range(MAX_STEPS):
        with transaction() as db:
            run = _locked(db, whole_id)
            step = _next(db, run, cause) if run is not None else None
        if step is None:
            return
        try:
            step()
        except ProviderUnavailable:
            return  # every part is captured: nothing is guessed or given up, the sweep comes again


def sweep(limit: int = 200) -> int:
    """Look at split payments that are under way and that nobody has moved for a while. Returns how many.

    Where an attempt is looked at by itself (`payment.sweep`), its payment goes on with it.
    """
    statement = (
        select(PaymentIntent.id)
        .where(
            PaymentIntent.split,
            PaymentIntent.status.in_((_S.PROCESSING, _S.AUTHORIZED, _S.REQUIRES_ACTION)),
            PaymentIntent.updated_at <= clock.now() - timedelta(seconds=STALE_SECONDS),
            ~parts.is_looked_at(),
        )
        .order_by(PaymentIntent.updated_at)
        .limit(limit)
    )
    with reading() as db:
        due = list(db.scalars(statement))
    return sweeping.each(due, lambda whole_id: go_on(whole_id, "sweep"))


def _locked(db: Session, whole_id: str) -> Run | None:
    """The run, locked in the house's order; None where the payment is not under way."""
    checkout_id = db.scalar(select(PaymentIntent.checkout_id).where(PaymentIntent.id == whole_id))
    session = db.get_one(CheckoutSession, checkout_id, with_for_update=True, populate_existing=True)
    whole = db.get_one(PaymentIntent, whole_id, with_for_update=True, populate_existing=True)
    if whole.status not in lifecycle.LIVE or not whole.split:
        return None
    found = parts.of(db, whole_id, lock=True)
    statement = select(Attempt).where(
        Attempt.intent_id.in_([part.id for part in found]),
        Attempt.status.not_in(attempt_lifecycle.DEAD),
    )
    statement = statement.with_for_update().execution_options(populate_existing=True)
    return Run(session, whole, found, {attempt.intent_id: attempt for attempt in db.scalars(statement)})


def _next(db: Session, run: Run, cause: str) -> Step | None:
    """Write what is decided, and answer what is to be asked of a gateway; None: wait."""
    if run.whole.cancel_requested or run.broken:
        return _unwind(db, run, cause)
    _mirror(run, cause)
    if run.moving:
        return None
    unsent = next((part for part in run.parts if part.status in EDITABLE), None)
    if unsent is not None:
        return partial(_send, run.whole.id, unsent.id, cause)
    return _capture_next(run, cause)


def _mirror(run: Run, cause: str) -> None:
    """What the shopper has to do for a part, the payment shows."""
    whole, moving = run.whole, run.moving
    asked = next((part for part in moving if part.status == _S.REQUIRES_ACTION), None)
    if asked is not None and whole.status == _S.PROCESSING:
        whole.advance(
            _T.CHALLENGED,
            cause=cause,
            next_action=asked.next_action,
            payment_method_id=asked.payment_method_id,
        )
    elif asked is None and whole.status == _S.REQUIRES_ACTION:
        whole.advance(_T.RETURNED, cause=cause, next_action=None)
    if whole.status == _S.PROCESSING:
        action = moving[0].next_action if moving else None
        if whole.next_action != action:
            whole.next_action = action
            whole.payment_method_id = moving[0].payment_method_id if moving else None
    whole.needs_review = any(part.needs_review for part in run.parts)


def _capture_next(run: Run, cause: str) -> Step | None:
    """All parts are authorised, and some may be captured."""
    whole = run.whole
    if whole.status == _S.PROCESSING and whole.amount_authorized == 0:
        trigger = _T.HELD if whole.capture_mode == "manual" else _T.APPROVED
        whole.advance(trigger, cause=cause, amount_authorized=whole.amount, next_action=None)
    if whole.status == _S.REQUIRES_CAPTURE:
        return None
    held = next((part for part in run.parts if part.status == _S.REQUIRES_CAPTURE), None)
    if held is not None:
        return partial(_capture, held.id)
    return partial(_finish, whole.id, cause)


def _unwind(db: Session, run: Run, cause: str) -> Step | None:
    """Void or refund what the parts have, and wait until all of it is certain; then the payment is over."""
    for part in run.parts:
        if part.status in lifecycle.LIVE and not part.cancel_requested:
            return partial(_let_go, part.id)
    if run.moving:
        _mirror(run, cause)
        return None
    for part in run.parts:
        if part.status == _S.SUCCEEDED and refunds.left_to_refund(part):
            refunds.create(_system(part), part.id, reason="The rest of a split payment failed")
            db.refresh(part)
    _end(db, run, cause)
    return None


def _end(db: Session, run: Run, cause: str) -> None:
    errors: list[dict[str, Any]] = [part.last_error for part in run.parts if part.last_error]
    code = errors[0].get("decline_code", "processing_error") if errors else "processing_error"
    blocked = code == screening.FRAUD_BLOCK
    recording.decline(run.whole, code, cause)
    run.whole.payment_method_id = None
    following.go_along(db, run.whole, cause, blocked=blocked)
    again = run.whole.status == _S.REQUIRES_PAYMENT_METHOD
    for part in run.parts:
        if again and part.status not in EDITABLE:
            voided = part.status == _S.CANCELED and part.cancel_requested and not part.last_error
            _renew(db, run, part, keep=voided)
        elif not again and part.status in EDITABLE:
            part.advance(_T.CANCELED, cause=cause, cancel_reason="split_over")


def _renew(db: Session, run: Run, old: PaymentIntent, *, keep: bool) -> None:
    """Put a fresh part in an old one's place for the next try; with its card, where that holds nothing."""
    actor, number = _system(old), old.part
    method = methods.get(actor, old.payment_method_id) if keep and old.payment_method_id else None
    if method is not None and (method.type != "card" or method.revoked_at is not None):
        method = None
    old.part = None
    db.flush()
    draft = IntentDraft(
        amount=old.amount,
        currency=old.currency,
        capture_mode="manual",
        customer_id=old.customer_id,
        description=old.description,
        metadata=old.metadata_,
        checkout_id=old.checkout_id,
        method_types=tuple(old.method_types),
        parent_intent_id=run.whole.id,
        part=number,
    )
    intents.add(db, actor, draft, method)


def _send(whole_id: str, part_id: str, cause: str) -> None:
    """Ask for the money of the next part; one that may not be sent breaks the run."""
    with reading() as db:
        part = db.get_one(PaymentIntent, part_id)
    actor = _system(part)
    assert part.payment_method_id is not None, "a run begins when each part has its method"
    method = methods.get(actor, part.payment_method_id)
    opinion = screening.ask(actor, part, method)
    try:
        with transaction(actor) as db:
            run = _locked(db, whole_id)
            mine = _unsent(run, part_id)
            if run is None or mine is None or run.moving or run.broken or run.whole.cancel_requested:
                return
            before = next(iter(run.live.values()))
            attempt = attempts.open_attempt(
                db,
                mine,
                method,
                nonce=f"part_{part_id}",
                cause=cause,
                opinion=opinion,
                return_url=before.return_url,
                country=before.country,
            )
    except (Unprocessable, RateLimited) as refused:
        _refuse(whole_id, part_id, refused.code, cause)
        return
    except VersionConflict:
        return  # another process was quicker
    failpoint("part_submitted")
    driver.drive(attempt.id, PART, cause, fresh=True)


def _unsent(run: Run | None, part_id: str) -> PaymentIntent | None:
    """The part, while no gateway has heard of it."""
    found = [part for part in run.parts if part.id == part_id] if run is not None else []
    return found[0] if found and found[0].status in EDITABLE else None


def _refuse(whole_id: str, part_id: str, code: str, cause: str) -> None:
    with transaction() as db:
        mine = _unsent(_locked(db, whole_id), part_id)
        if mine is not None:
            error = {"code": code, "decline_code": "processing_error", "explain": {"reason": code}}
            mine.advance(_T.CANCELED, cause=cause, cancel_reason="refused", last_error=error)


def _capture(part_id: str) -> None:
    with reading() as db:
        part = db.get_one(PaymentIntent, part_id)
    try:
        intents.capture(_system(part), part_id, flow=PART)
    except InvalidState:
        return  # another process was quicker
    failpoint("part_captured")


def _let_go(part_id: str) -> None:
    with reading() as db:
        part = db.get_one(PaymentIntent, part_id)
    try:
        intents.cancel(_system(part), part_id, "user_cancel", flow=PART)
    except InvalidState:
        return
    failpoint("part_voided")


def _finish(whole_id: str, cause: str) -> None:
    """Every part is captured: the payment has succeeded, and a session that finalises itself is sold."""
    failpoint("finishing")
    left = HandedOver()
    try:
        left = _complete(whole_id, cause)
    except Conflict as lost:
        if lost.code != "inventory_shortfall":
            raise
        _give_back(whole_id, lost, cause)
    if left.run_id is not None:
        handover.go_on(left.run_id, cause)


@consulting
def _complete(whole_id: str, cause: str) -> HandedOver:
    with transaction() as db:
        run = _locked(db, whole_id)
        if run is None or run.whole.cancel_requested or not _all_captured(run):
            return HandedOver()
        session = run.session
        if not run.whole.settles_with_checkout:
            _succeed(db, run, cause)
            return HandedOver()
        profile = db.get_one(Tenant, session.tenant_id).profile(session.mode)
        sale.take_goods(db, session, profile, cause=cause)
        _succeed(db, run, cause)
        return handover.conclude(db, session, runs.running(db, session), profile, cause=cause)


def _give_back(whole_id: str, lost: Conflict, cause: str) -> None:
    """The goods are gone: the payment stands, and all of it is refunded (sale.py)."""
    with transaction() as db:
        run = _locked(db, whole_id)
        if run is None or not _all_captured(run):
            return
        _succeed(db, run, cause)
        sale.fail_sold_out(db, run.session, lost, cause=cause)
        db.flush()
        refunds.create(_system(run.whole), whole_id, reason="Sold out while you were paying")


def _all_captured(run: Run) -> bool:
    return all(part.status == _S.SUCCEEDED for part in run.parts)


def _succeed(db: Session, run: Run, cause: str) -> None:
    run.whole.advance(
        _T.CAPTURED,
        cause=cause,
        amount_authorized=sum(part.amount_authorized for part in run.parts),
        amount_captured=sum(part.amount_captured for part in run.parts),
        succeeded_at=clock.now(),
        next_action=None,
    )
    parts.sum_up(db, run.parts[0].id)  # a part may have been disputed or refunded already


def _is_broken(part: PaymentIntent) -> bool:
    if part.status in (_S.FAILED, _S.CANCELED):
        return True
    refused = (part.last_error or {}).get("code") == "capture_failed"
    return part.status == _S.REQUIRES_CAPTURE and refused


def _system(intent: PaymentIntent) -> Actor:
    return system_actor(tenants.profile(intent.tenant_id, intent.mode), intent.mode)


def _call_on(db: Session, part: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """Something is known of a part: whoever dies now, the run goes on; until then it is its caller's."""
    jobs.enqueue(
        db,
        "splits.go_on",
        {"intent_id": part.parent_intent_id},
        tenant_id=part.tenant_id,
        mode=part.mode,
        due_at=clock.now() + timedelta(seconds=attempts.GRACE_SECONDS),
    )


def _settle(attempt: Attempt, cause: str) -> None:
    with transaction() as db:
        following.lock(db, attempt)
        settling.STANDING_ALONE.settle(attempt, cause)
        _call_on(db, db.get_one(PaymentIntent, attempt.intent_id), attempt, cause)


#: A part of a split payment: the session follows the whole, not the part.
PART = Flow(following.lock, _call_on, _settle)
