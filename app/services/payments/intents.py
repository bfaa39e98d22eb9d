"""Payment intents: create, confirm, capture, cancel, and the flow of one that stands alone.

Contract: payments.md 2.2 and PY-008 to PY-016. A payment of a checkout goes through
services/checkout/payment.py, which adds what hangs on the session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, InvalidState, NotFound, Unprocessable
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import intents as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.ledger import postings
from app.services.operations.settings import checkout_settings
from app.services.payments import attempts, driver, methods
from app.services.payments.attempts import Flow
from app.services.risk import screening
from app.services.risk.opinions import Opinion

_S, _T = lifecycle.Status, lifecycle.Trigger

#: While an attempt is in one of these, a cancel can be sent to the gateway at once.
_CANCELABLE = (attempt_lifecycle.Status.ACTION_REQUIRED, attempt_lifecycle.Status.AUTHORIZED)

#: PY-015.
CANCEL_REASONS = frozenset({"user_cancel", "timeout", "fraud"})


@dataclass(frozen=True, slots=True)
class IntentDraft:
    """What an intent is made from; `amount` in minor units."""

    amount: int
    currency: str
    capture_mode: str | None = None
    customer_id: str | None = None
    payment_method_id: str | None = None
    description: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    payment_method_options: dict[str, Any] = field(default_factory=dict)
    merchant_account_id: str | None = None
    request_id: str | None = None
    checkout_id: str | None = None
    method_types: tuple[str, ...] = ()
    settles_with_checkout: bool = False


def create(actor: Actor, draft: IntentDraft) -> PaymentIntent:
    """Make an intent.

    Raises:
        Unprocessable: amount or currency cannot be charged.
        NotFound: the payment method is not this merchant's.
    """
    method = methods.usable(actor, draft.payment_method_id) if draft.payment_method_id else None
    with transaction(actor) as db:
        return add(db, actor, draft, method)


def add(db: Session, actor: Actor, draft: IntentDraft, method: PaymentMethod | None = None) -> PaymentIntent:
    """Make an intent in the caller's transaction; see `create`."""
    settings = checkout_settings(actor.tenant)
    check_amount(draft.amount, draft.currency, settings.max_amount)
    intent = PaymentIntent(
        id=new_id("pi"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        checkout_id=draft.checkout_id,
        amount=draft.amount,
        currency=draft.currency,
        customer_id=draft.customer_id,
        payment_method_id=method.id if method else None,
        method_types=list(draft.method_types),
        capture_mode=draft.capture_mode or settings.default_capture_mode,
        description=draft.description,
        metadata_=draft.metadata,
        payment_method_options=draft.payment_method_options,
        merchant_account_id=draft.merchant_account_id,
        request_id=draft.request_id,
        max_attempts=settings.max_payment_attempts,
        settles_with_checkout=draft.settles_with_checkout,
        status=str(_S.REQUIRES_CONFIRMATION if method else _S.REQUIRES_PAYMENT_METHOD),
    )
    db.add(intent)
    intent.begin(cause="api")
    return intent


def check_amount(amount: int, currency: str, max_amount: int | None) -> None:
    """Whether this can be charged at all.

    Raises:
        InvalidRequest: no such currency.
        Unprocessable: not positive, or over the limit.
    """
    if not money.is_currency(currency):
        raise InvalidRequest("This currency is not supported", code="unsupported_currency", field="currency")
    if not 0 < amount <= money.MAX_AMOUNT:
        raise InvalidRequest("Valid amount is required", code="invalid_amount", field="amount")
    if max_amount is not None and amount > max_amount:
        raise Unprocessable("The amount is over the limit", code="tx_limit_exceeded", field="amount")


def get(actor: Actor, intent_id: str) -> PaymentIntent:
    """One intent of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return find(db, actor, intent_id)


def find(db: Session, actor: Actor, intent_id: str, *, lock: bool = False) -> PaymentIntent:
    """See `get`; in the caller's transaction, locked when asked."""
    statement = select(PaymentIntent).where(
        PaymentIntent.id == intent_id,
        PaymentIntent.tenant_id == actor.tenant_id,
        PaymentIntent.mode == actor.mode,
    )
    found = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Payment not found", code="payment_intent_not_found")
    return found


def list_page(
    actor: Actor,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    status: str | None = None,
    ids: list[str] | None = None,
) -> Page[PaymentIntent]:
    """Intents of this merchant, newest first; keyset pages."""
    statement = select(PaymentIntent).where(
        PaymentIntent.tenant_id == actor.tenant_id, PaymentIntent.mode == actor.mode
    )
    if status:
        statement = statement.where(PaymentIntent.status == status)
    if ids is not None:
        statement = statement.where(PaymentIntent.id.in_(ids))
    if cursor:
        last = decode_cursor(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(PaymentIntent.id < last)
    with reading() as db:
        rows = list(db.scalars(statement.order_by(PaymentIntent.id.desc()).limit(limit + 1)))
    more = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return Page(rows[:limit], more)


def attach(actor: Actor, intent_id: str, method_id: str) -> PaymentIntent:
    """Choose the method that the intent will be paid with (PY-011, CK-023)."""
    method = methods.usable(actor, method_id)
    with transaction(actor) as db:
        intent = find(db, actor, intent_id, lock=True)
        intent.advance(_T.ATTACHED, cause="api", payment_method_id=method.id)
        return intent


def confirm(
    actor: Actor,
    intent_id: str,
    *,
    nonce: str,
    method_id: str | None = None,
    flow: Flow | None = None,
    off_session: bool = False,
) -> PaymentIntent:
    """Ask for the money: the intent comes back as far as it got (PY-012).

    `nonce` makes the call repeatable: a second one with the same nonce asks for nothing more. `off_session`
    says that the shopper is not there: nobody can take a challenge, and a decline is final.

    Raises:
        Conflict: another payment of this intent is under way.
        InvalidState: it cannot be confirmed now, or has no payment method.
        Unprocessable: over a limit, or off-session with a method that the buyer did not leave for that.
        RateLimited: too many tries (services/risk/limits.py).
    """
    intent = get(actor, intent_id)
    chosen = method_id or intent.payment_method_id
    if chosen is None:
        raise InvalidState("Attach a payment method first", code="payment_method_required")
    method = methods.get(actor, chosen)
    if off_session and not method.reusable:
        raise Unprocessable("The buyer did not agree to be charged later", code="consent_required")
    opinion = screening.ask(actor, intent, method, off_session=off_session)
    attempt_id = _open(actor, intent_id, method, nonce, opinion, off_session)
    if attempt_id is not None:
        driver.drive(attempt_id, flow or STANDING_ALONE, "api", fresh=True)
    return get(actor, intent_id)


def _open(
    actor: Actor,
    intent_id: str,
    method: PaymentMethod,
    nonce: str,
    opinion: Opinion | None,
    off_session: bool,
) -> str | None:
    """Open an attempt; None where one with this nonce exists already."""
    try:
        with transaction(actor) as db:
            intent = find(db, actor, intent_id, lock=True)
            known = select(Attempt.id).where(Attempt.intent_id == intent.id, Attempt.nonce == nonce)
            if db.scalar(known) is not None:
                return None
            attempt = attempts.open_attempt(
                db, intent, method, nonce=nonce, cause="api", opinion=opinion, off_session=off_session
            )
            return attempt.id
    except IntegrityError as error:
        raise Conflict("A payment is already under way", code="payment_in_progress") from error


def capture(
    actor: Actor, intent_id: str, amount: int | None = None, *, flow: Flow | None = None
) -> PaymentIntent:
    """Take what was authorised, or part of it, which releases the rest (PY-014, OP-25).

    Raises:
        InvalidState: the intent is not waiting for a capture.
        Unprocessable: more than was authorised.
    """
    with transaction(actor) as db:
        intent = find(db, actor, intent_id, lock=True)
        wanted = intent.amount_authorized if amount is None else amount
        if intent.status == _S.REQUIRES_CAPTURE and not 0 < wanted <= intent.amount_authorized:
            raise Unprocessable("More than was authorised", code="amount_exceeds_authorized", field="amount")
        attempt = _live_attempt(db, intent)
        intent.advance(_T.CAPTURE_STARTED, cause="api")
        attempt.advance(
            attempt_lifecycle.Trigger.CAPTURE_SUBMITTED,
            cause="api",
            amount_to_capture=wanted,
            decline_code=None,
            next_query_at=clock.now() + timedelta(seconds=attempts.GRACE_SECONDS),
        )
    driver.drive(attempt.id, flow or STANDING_ALONE, "api", fresh=True)
    return get(actor, intent_id)


def cancel(actor: Actor, intent_id: str, reason: str, *, flow: Flow | None = None) -> PaymentIntent:
    """Cancel; held money is released first. While processing, the outcome will be undone (PY-015).

    Raises:
        InvalidState: it has succeeded, failed or been canceled.
    """
    with transaction(actor) as db:
        intent = find(db, actor, intent_id, lock=True)
        if lifecycle.LIFECYCLE.allows(intent.status, _T.CANCELED):
            intent.advance(_T.CANCELED, cause="api", cancel_reason=reason)
            return intent
        if lifecycle.LIFECYCLE.is_terminal(intent.status):
            raise InvalidState(f"A payment that is {intent.status} cannot be canceled")
        intent.cancel_requested, intent.cancel_reason = True, reason
        attempt = _live_attempt(db, intent)
        if attempt.status not in _CANCELABLE:
            return intent
    driver.drive(attempt.id, flow or STANDING_ALONE, "cancel")
    return get(actor, intent_id)


def _live_attempt(db: Session, intent: PaymentIntent) -> Attempt:
    statement = select(Attempt).where(
        Attempt.intent_id == intent.id, Attempt.status.not_in(attempt_lifecycle.DEAD)
    )
    found = db.scalars(statement.with_for_update()).one_or_none()
    if found is None:
        raise InvalidState(f"A payment that is {intent.status} has nothing to capture")
    return found


def settle(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """A captured payment succeeds: ledger and intent, in the caller's transaction."""
    postings.post_capture(db, attempt)
    intent.advance(_T.CAPTURED, cause=cause, succeeded_at=clock.now(), next_action=None)
    attempt.next_query_at = None


def _lock_nothing(db: Session, attempt: Attempt) -> None:
    """Nothing above the intent has to be locked."""


def _follow_nothing(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """Nothing above the intent has to follow."""


def _settle_alone(attempt: Attempt, cause: str) -> None:
    with transaction() as db:
        intent = db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True)
        fresh = db.get_one(Attempt, attempt.id, with_for_update=True)
        if intent.status != _S.SUCCEEDED:
            settle(db, intent, fresh, cause)


#: The flow of an intent without a checkout, or of a checkout that is finalised by an API call.
STANDING_ALONE = Flow(_lock_nothing, _follow_nothing, _settle_alone)
