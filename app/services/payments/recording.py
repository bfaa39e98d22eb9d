"""Recording: what a gateway said of an attempt, written down once.

Each recording is one transaction over attempt and intent (and the checkout above, through `Flow.follow`),
locked in the order session → intent → attempt.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.connectors.base import ActionType, NextAction
from app.db import transaction
from app.domain.decline_codes import describe
from app.domain.errors import VersionConflict
from app.domain.event_types import EventType
from app.domain.lifecycles import attempts as lifecycle
from app.domain.lifecycles import intents
from app.domain.rules.retry import COMPENSATION_TRIES, query_delay
from app.kit import clock
from app.kit.records import fields_of
from app.models.events.journal import record
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.operations import jobs
from app.services.payments.attempts import (
    GRACE_SECONDS,
    Flow,
    lock_unchanged,
    submit,
    unlocked,
    waits_for_shopper,
)
from app.services.payments.outcomes import Kind, Outcome
from app.services.risk.screening import FRAUD_BLOCK, note_decline

#: Nothing for the shopper to do: the gateway has yet to say what became of it.
_WAIT = {"type": str(ActionType.AWAITING_WEBHOOK)}

#: How often the gateway is asked while the shopper is at a bank's page, and while a transfer is on its way.
AWAY_SECONDS, PENDING_SECONDS = 60, 3600

_S, _T, _I = lifecycle.Status, lifecycle.Trigger, intents.Trigger


def apply(
    attempt: Attempt, outcome: Outcome, flow: Flow, cause: str, seen: PaymentIntent | None = None
) -> tuple[lifecycle.Status | None, PaymentIntent | None]:
    """Record what the gateway said of an attempt, and let intent and checkout follow, all at once.

    Returns the attempt's new status, and the intent as it was left. An authorisation that is to be captured
    at once is `capture_submitted` already: what is about to be asked is written with what was answered.

    When the row is no longer as the caller saw it, nothing is recorded; but a payment that comes through
    after it was given up is undone by a job (reliability.md 6).

    `seen` is the intent as it was read with the attempt. Where nothing stands above it both are then written
    without a lock, in one statement that compares their versions; locks are taken only once that has failed.
    """
    if seen is not None and flow.lock is None:
        with suppress(VersionConflict), transaction() as db:
            return _record(db, *unlocked(db, attempt, seen), outcome, flow, cause)
    with transaction() as db:
        locked = lock_unchanged(db, attempt, flow.lock)
        if locked is None:
            _undo_late_success(db, attempt, outcome)
            return None, None
        return _record(db, *locked, outcome, flow, cause)


def _record(
    db: Session, intent: PaymentIntent, fresh: Attempt, outcome: Outcome, flow: Flow, cause: str
) -> tuple[lifecycle.Status, PaymentIntent]:
    if fresh.needs_review and outcome.kind != Kind.UNKNOWN:  # the gateway speaks: it may be in order now
        intent.needs_review = fresh.needs_review = False
        fresh.next_query_at = clock.now() + timedelta(seconds=GRACE_SECONDS)
    if fresh.status in (_S.CAPTURE_SUBMITTED, _S.CAPTURE_UNKNOWN):
        _apply_to_capture(fresh, intent, outcome, cause)
    elif fresh.status in (_S.VOID_SUBMITTED, _S.VOID_UNKNOWN):
        _apply_to_void(fresh, intent, outcome, cause)
    elif fresh.status == _S.AUTHORIZED:
        _apply_to_hold(fresh, intent, outcome, cause)
    else:
        _apply_to_authorization(fresh, intent, outcome, cause)
    flow.follow(db, intent, fresh, cause)
    if fresh.status == _S.DECLINED:
        note_decline(db, fresh)
    return lifecycle.Status(fresh.status), intent


def _apply_to_authorization(attempt: Attempt, intent: PaymentIntent, outcome: Outcome, cause: str) -> None:
    if outcome.kind in (Kind.AUTHORIZED, Kind.CAPTURED) and not _amount_agrees(attempt, outcome):
        attempt.gateway_reference = outcome.reference  # so that a person can have it released: by a cancel
        _quarantine(attempt, intent, cause)
        return
    match outcome.kind:
        case Kind.ACTION_REQUIRED:
            _challenge(attempt, intent, outcome, cause)
        case Kind.PENDING:
            _wait(attempt, intent, outcome, cause)
        case Kind.AUTHORIZED:
            _come_back(attempt, intent, cause)
            attempt.advance(_T.AUTHORIZED, cause=cause, **_approval(outcome))
            _approve(attempt, intent, cause)
        case Kind.CAPTURED:
            _come_back(attempt, intent, cause)
            attempt.advance(_T.CAPTURED, cause=cause, **(_approval(outcome) | _captured(outcome)))
            _note_capture(attempt, intent)
        case Kind.DECLINED | Kind.VOIDED:
            code = outcome.decline_code or "canceled"
            attempt.advance(
                _T.DECLINED,
                cause=cause,
                decline_code=code,
                next_query_at=None,
                gateway_reference=outcome.reference or attempt.gateway_reference,
                **_facts(outcome),
            )
            decline(intent, code, cause, final=attempt.off_session)
        case Kind.NOT_FOUND:
            _not_found(attempt, intent, cause)
        case Kind.UNKNOWN:
            if not waits_for_shopper(attempt):
                intent.next_action = _WAIT
            if attempt.status == _S.SUBMITTED:
                attempt.advance(_T.LOST, cause=cause)
            _ask_again(attempt, intent, cause)


def _apply_to_capture(attempt: Attempt, intent: PaymentIntent, outcome: Outcome, cause: str) -> None:
    match outcome.kind:
        case Kind.CAPTURED:
            wanted = attempt.amount_to_capture or attempt.amount
            if (outcome.captured, outcome.currency) != (wanted, attempt.currency):
                _quarantine(attempt, intent, cause)
                return
            attempt.advance(_T.CAPTURED, cause=cause, **_captured(outcome))
            _note_capture(attempt, intent)
        case Kind.DECLINED | Kind.VOIDED:
            code = outcome.decline_code or "capture_refused"
            attempt.advance(_T.CAPTURE_REFUSED, cause=cause, decline_code=code)
            if intent.capture_mode == "manual":
                attempt.next_query_at = attempt.auth_expires_at
                intent.advance(_I.CAPTURE_FAILED, cause=cause, last_error=_error("capture_failed", code))
        case _:
            if attempt.status == _S.CAPTURE_SUBMITTED:
                attempt.advance(_T.LOST, cause=cause)
            _ask_again(attempt, intent, cause)


def _apply_to_hold(attempt: Attempt, intent: PaymentIntent, outcome: Outcome, cause: str) -> None:
    """An authorisation that was looked at again: one that is gone at the gateway has expired here."""
    if outcome.kind in (Kind.VOIDED, Kind.DECLINED):
        attempt.advance(_T.EXPIRED, cause=cause, next_query_at=None)
        decline(intent, attempt.decline_code or "authorization_expired", cause)
    elif outcome.kind == Kind.CAPTURED:
        _captured_elsewhere(attempt, intent, outcome, cause)


def _apply_to_void(attempt: Attempt, intent: PaymentIntent, outcome: Outcome, cause: str) -> None:
    match outcome.kind:
        case Kind.VOIDED | Kind.DECLINED:
            attempt.advance(_T.VOIDED, cause=cause, next_query_at=None)
            decline(intent, attempt.decline_code or "processing_error", cause)
        case Kind.CAPTURED:
            _captured_elsewhere(attempt, intent, outcome, cause)
        case _:
            if attempt.status == _S.VOID_SUBMITTED:
                attempt.advance(_T.LOST, cause=cause)
            _ask_again(attempt, intent, cause)


def _captured_elsewhere(attempt: Attempt, intent: PaymentIntent, outcome: Outcome, cause: str) -> None:
    """Somebody captured at the gateway what is held, or was to be voided, here."""
    if not _amount_agrees(attempt, outcome):
        _quarantine(attempt, intent, cause)
        return
    if attempt.status == _S.AUTHORIZED:
        submit(attempt, _T.CAPTURE_SUBMITTED, cause)
    elif attempt.status == _S.VOID_SUBMITTED:
        attempt.advance(_T.LOST, cause=cause)
    if intent.status == intents.Status.REQUIRES_CAPTURE:
        intent.advance(_I.CAPTURE_STARTED, cause=cause)
    attempt.advance(_T.CAPTURED, cause=cause, **_captured(outcome))
    _note_capture(attempt, intent)


def decline(intent: PaymentIntent, code: str, cause: str, *, final: bool = False) -> None:
    """Give the intent back for another try, or end it: attempts spent, nobody there, or a cancel waits."""
    if intent.cancel_requested or intent.status == intents.Status.REQUIRES_CAPTURE:
        why = intent.cancel_reason or "expired"
        intent.advance(_I.RELEASED, cause=cause, next_action=None, cancel_reason=why)
        return
    error = _error("payment_declined", code)
    if code == FRAUD_BLOCK:
        error |= {"code": code, "explain": {**error["explain"], "reason": code}}
    spent = final or intent.attempts >= intent.max_attempts
    trigger = _I.EXHAUSTED if spent else _I.DECLINED
    intent.advance(trigger, cause=cause, last_error=error, next_action=None, amount_authorized=0)


def _error(code: str, decline_code: str) -> dict[str, Any]:
    return {
        "code": code,
        "decline_code": decline_code,
        "explain": {"reason": f"{code}:{decline_code}", "message": describe(decline_code).shopper_text},
    }


def _wait(attempt: Attempt, intent: PaymentIntent, outcome: Outcome, cause: str) -> None:
    """The gateway will tell later; a shopper may have to pay at their bank first (OP-79)."""
    _come_back(attempt, intent, cause)
    attempt.gateway_reference = outcome.reference
    if outcome.action is None:
        _ask_again(attempt, intent, cause)
        intent.next_action = _WAIT
        return
    intent.next_action = attempt.action = _as_json(outcome.action)
    attempt.action_expires_at = outcome.action.expires_at
    attempt.next_query_at = _soon(outcome.action.expires_at, PENDING_SECONDS)


def _challenge(attempt: Attempt, intent: PaymentIntent, outcome: Outcome, cause: str) -> None:
    assert outcome.action is not None
    if attempt.status == _S.ACTION_REQUIRED:
        attempt.next_query_at = _soon(outcome.action.expires_at)
        return
    action = _as_json(outcome.action)
    attempt.advance(
        _T.CHALLENGED,
        cause=cause,
        gateway_reference=outcome.reference,
        action=action,
        action_expires_at=outcome.action.expires_at,
        next_query_at=_soon(outcome.action.expires_at),
    )
    intent.advance(_I.CHALLENGED, cause=cause, next_action=action)


def _come_back(attempt: Attempt, intent: PaymentIntent, cause: str) -> None:
    """From 3DS or a bank: the detour is over."""
    if attempt.status == _S.ACTION_REQUIRED:
        attempt.advance(_T.RETURNED, cause=cause)
    if intent.status == intents.Status.REQUIRES_ACTION:
        intent.advance(_I.RETURNED, cause=cause, next_action=None)


def _approve(attempt: Attempt, intent: PaymentIntent, cause: str) -> None:
    if intent.cancel_requested:
        return
    if intent.capture_mode == "manual":
        attempt.next_query_at = attempt.auth_expires_at
        intent.advance(_I.HELD, cause=cause, amount_authorized=attempt.amount, next_action=None)
    else:
        intent.advance(_I.APPROVED, cause=cause, amount_authorized=attempt.amount, next_action=None)
        submit(attempt, _T.CAPTURE_SUBMITTED, cause)


def _note_capture(attempt: Attempt, intent: PaymentIntent) -> None:
    intent.amount_authorized = attempt.amount
    intent.amount_captured = attempt.amount_captured


def _not_found(attempt: Attempt, intent: PaymentIntent, cause: str) -> None:
    """The gateway has never heard of it. One such answer may only mean that our call is still on its way."""
    if attempt.status == _S.ACTION_REQUIRED:  # it had heard of it: somebody has to look
        _ask_again(attempt, intent, cause)
        return
    if attempt.status == _S.SUBMITTED:
        attempt.advance(_T.LOST, cause=cause)
        _ask_again(attempt, intent, cause)
        return
    attempt.advance(_T.NOT_FOUND, cause=cause, next_query_at=None)
    decline(intent, "gateway_unavailable", cause)


def _ask_again(attempt: Attempt, intent: PaymentIntent, cause: str) -> None:
    delay = query_delay(attempt.queries)
    attempt.queries += 1
    if delay is None:
        _alarm(attempt, intent, cause)
        return
    attempt.next_query_at = clock.now() + timedelta(seconds=delay)


def settle_later(attempt: Attempt, cause: str) -> None:
    """A captured payment cannot be settled now: the sweep tries again; in the end a person has to look."""
    with transaction() as db:
        locked = lock_unchanged(db, attempt, lock=None)
        if locked is not None and locked[0].status != intents.Status.SUCCEEDED:
            _ask_again(locked[1], locked[0], cause)


def _quarantine(attempt: Attempt, intent: PaymentIntent, cause: str) -> None:
    """The answer names another amount or currency: touch nothing, and call a person (reliability.md 5)."""
    if attempt.status in (_S.SUBMITTED, _S.CAPTURE_SUBMITTED, _S.VOID_SUBMITTED):
        attempt.advance(_T.LOST, cause=cause)
    _alarm(attempt, intent, cause)


def _alarm(attempt: Attempt, intent: PaymentIntent, cause: str) -> None:
    attempt.next_query_at = None
    attempt.needs_review = True
    intent.needs_review = True
    db = Session.object_session(intent)
    assert db is not None
    record(
        db,
        EventType.PAYMENT_NEEDS_REVIEW,
        tenant_id=intent.tenant_id,
        mode=intent.mode,
        entity="payment_intent",
        entity_id=intent.id,
        cause=cause,
        checkout_id=intent.checkout_id,
        payment_intent_id=intent.id,
        after=attempt.facts(),
    )


def _undo_late_success(db: Session, attempt: Attempt, outcome: Outcome) -> None:
    now_dead = db.get_one(Attempt, attempt.id).status in lifecycle.DEAD
    if now_dead and outcome.kind in (Kind.AUTHORIZED, Kind.CAPTURED):
        jobs.enqueue(
            db,
            "payments.undo_late_success",
            {"attempt_id": attempt.id},
            tenant_id=attempt.tenant_id,
            mode=attempt.mode,
            unique_key=f"undo:{attempt.id}",
            max_tries=COMPENSATION_TRIES,
        )


def _amount_agrees(attempt: Attempt, outcome: Outcome) -> bool:
    agrees = (outcome.amount, outcome.currency) == (attempt.amount, attempt.currency)
    return agrees and outcome.captured <= attempt.amount


def _approval(outcome: Outcome) -> dict[str, Any]:
    return {
        "gateway_reference": outcome.reference,
        "authorized_at": clock.now(),
        "auth_expires_at": outcome.expires_at,
        "queries": 0,
        "next_query_at": clock.now() + timedelta(seconds=GRACE_SECONDS),
        **_facts(outcome),
    }


def _captured(outcome: Outcome) -> dict[str, Any]:
    return {
        "amount_captured": outcome.captured or outcome.amount,
        "captured_at": clock.now(),
        "next_query_at": clock.now() + timedelta(seconds=GRACE_SECONDS),
    }


def _facts(outcome: Outcome) -> dict[str, Any]:
    return fields_of(outcome.facts)


def _soon(expires_at: datetime | None, seconds: int = AWAY_SECONDS) -> datetime:
    """While the shopper is away: every so often, and right after the time is up."""
    later = clock.now() + timedelta(seconds=seconds)
    return min(later, expires_at + timedelta(seconds=1)) if expires_at else later


def _as_json(action: NextAction) -> dict[str, Any]:
    return {
        "type": str(action.type),
        "url": action.url,
        "qr_payload": action.qr_payload,
        "challenge": dict(action.challenge) if action.challenge else None,
        "details": dict(action.details) if action.details else None,
        "expires_at": clock.to_rfc3339(action.expires_at) if action.expires_at else None,
    }
