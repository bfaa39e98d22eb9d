"""Payment intents: create, confirm, capture, cancel, and the flow of one that stands alone.

Contract: payments.md 2.2 and PY-008 to PY-016. A payment of a checkout goes through
services/checkout/payment.py, which adds what hangs on the session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import String, bindparam, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import Lookup, in_transaction, reading, transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, InvalidState, NotFound, Unprocessable
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import intents as lifecycle
from app.domain.rules import card_options
from app.kit import clock
from app.kit.ids import new_id
from app.models.insertion import made
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.reading import Reader
from app.services.operations.settings import checkout_settings
from app.services.payments import attempts, claims, driver, methods, settling
from app.services.payments.attempts import Flow
from app.services.payments.methods import MethodDraft
from app.services.risk import screening

_S, _T = lifecycle.Status, lifecycle.Trigger
_Attempt = attempt_lifecycle.Status

#: PY-015.
CANCEL_REASONS = frozenset({"user_cancel", "timeout", "fraud"})


@dataclass(frozen=True, slots=True)
class IntentDraft:
    """What an intent is made from; `amount` in minor units, `attempts` are tries of one before it."""

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
    attempts: int = 0
    parent_intent_id: str | None = None
    part: int | None = None
    paid_for: str | None = None


def create(actor: Actor, draft: IntentDraft) -> PaymentIntent:
    """Make an intent.

    Raises:
        Unprocessable: amount or currency cannot be charged, the capture modes contradict each other, or the
            payment method cannot be used.
        NotFound: the payment method is not this merchant's.
    """
    method = methods.usable(actor, draft.payment_method_id) if draft.payment_method_id else None
    intent = _made_of(actor, draft, method)
    with transaction(actor) as db:
        intent.begin_through(db, cause="api")
    return intent


def add(db: Session, actor: Actor, draft: IntentDraft, method: PaymentMethod | None = None) -> PaymentIntent:
    """Make an intent in the caller's transaction, to go on with in it; see `create`."""
    intent = _made_of(actor, draft, method)
    db.add(intent)
    intent.begin(cause="api")
    return intent


def _made_of(actor: Actor, draft: IntentDraft, method: PaymentMethod | None) -> PaymentIntent:
    settings = checkout_settings(actor.tenant)
    check_amount(draft.amount, draft.currency, settings.amounts.largest(draft.currency))
    capture_mode = card_options.capture_mode(draft.capture_mode, draft.payment_method_options)
    intent = made(
        PaymentIntent,
        id=new_id("pi"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        checkout_id=draft.checkout_id,
        amount=draft.amount,
        currency=draft.currency,
        customer_id=draft.customer_id,
        payment_method_id=method.id if method else None,
        method_types=list(draft.method_types),
        capture_mode=capture_mode or settings.default_capture_mode,
        description=draft.description,
        metadata_=draft.metadata,
        payment_method_options=draft.payment_method_options,
        merchant_account_id=draft.merchant_account_id,
        request_id=draft.request_id,
        attempts=draft.attempts,
        max_attempts=settings.max_payment_attempts if draft.part is None else 1,
        parent_intent_id=draft.parent_intent_id,
        part=draft.part,
        paid_for=draft.paid_for,
        settles_with_checkout=draft.settles_with_checkout,
        status=str(_S.REQUIRES_CONFIRMATION if method else _S.REQUIRES_PAYMENT_METHOD),
    )
    if method is not None:
        claims.refuse_unusable(actor, intent, method)
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
    """One intent of this merchant and mode; a browser's credential sees its own alone (OP-07).

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    if in_transaction():
        with reading() as db:
            return find(db, actor, intent_id)
    row = _GET.one({"id": intent_id, "tenant_id": actor.tenant_id, "mode": str(actor.mode)})
    return _seen_by(actor, None if row is None else _ONE.take(row)[0])


#: Made once: each call of an intent's own looks it up, some of them twice.
_ONE = Reader(PaymentIntent)
_MINE = (
    PaymentIntent.id == bindparam("id"),
    PaymentIntent.tenant_id == bindparam("tenant_id"),
    PaymentIntent.mode == bindparam("mode"),
)
_GET = Lookup(select(*_ONE.columns).where(*_MINE))
_GET_LOCKED = Lookup(select(*_ONE.columns).where(*_MINE).with_for_update())
_CHOSEN = bindparam("method_id", type_=String)
_WITH_METHOD = Reader(PaymentIntent, PaymentMethod)
_GET_WITH_METHOD = Lookup(
    select(*_WITH_METHOD.columns)
    .select_from(PaymentIntent)
    .outerjoin(
        PaymentMethod,
        (
            PaymentMethod.id
            == func.coalesce(bindparam("method_id", type_=String), PaymentIntent.payment_method_id)
        )
        & (PaymentMethod.tenant_id == PaymentIntent.tenant_id)
        & (PaymentMethod.mode == PaymentIntent.mode),
    )
    .where(*_MINE)
)


def with_method(
    actor: Actor, intent_id: str, method_id: str | None = None
) -> tuple[PaymentIntent, PaymentMethod | None]:
    """An intent as `get` has it, and the method that will pay it: this one, or the one that it has.

    Whether the caller may see that method is not asked here; None where there is none.
    """
    place = {
        "id": intent_id,
        "tenant_id": actor.tenant_id,
        "mode": str(actor.mode),
        "method_id": method_id or None,
    }
    row = _GET_WITH_METHOD.one(place)
    intent, method = (None, None) if row is None else _WITH_METHOD.take(row)
    return _seen_by(actor, intent), method


def find(db: Session, actor: Actor, intent_id: str, *, lock: bool = False) -> PaymentIntent:
    """See `get`; in the caller's transaction, locked when asked."""
    place = {"id": intent_id, "tenant_id": actor.tenant_id, "mode": str(actor.mode)}
    if lock:
        row = _GET_LOCKED.one(place)
        return _seen_by(actor, None if row is None else _ONE.attach(db, row)[0])
    return _seen_by(actor, db.scalars(select(PaymentIntent).filter_by(**place)).one_or_none())


def _seen_by(actor: Actor, found: PaymentIntent | None) -> PaymentIntent:
    bound = found is not None and (
        actor.intent_id not in (None, found.id) or actor.session_id not in (None, found.checkout_id)
    )
    if found is None or bound:
        raise NotFound("Payment not found", code="payment_intent_not_found")
    return found


def attach(actor: Actor, intent_id: str, method_id: str) -> PaymentIntent:
    """Choose the method that the intent will be paid with (PY-011, CK-023): its id, or a client's token.

    Raises:
        InvalidState: it is being paid, or over.
        Unprocessable: the method is revoked, another customer's, or of a type that is not taken.
    """
    lifecycle.LIFECYCLE.edge(get(actor, intent_id).status, _T.ATTACHED)  # before a token is spent
    if method_id.startswith("tok_"):
        method = methods.create(actor, MethodDraft(method_id, "payment_method_id"))
    else:
        method = methods.usable(actor, method_id)
    with transaction(actor) as db:
        intent = find(db, actor, intent_id, lock=True)
        if intent.split:
            raise InvalidState("This payment is split: attach to its parts", code="payment_is_split")
        claims.refuse_unusable(actor, intent, method)
        claims.refuse_type(actor, intent, method.type)
        intent.advance(_T.ATTACHED, cause="api", payment_method_id=method.id)
        return intent


def confirm(
    actor: Actor,
    intent_id: str,
    *,
    nonce: str,
    method_id: str | None = None,
    return_url: str | None = None,
    force_three_ds: bool = False,
    flow: Flow | None = None,
    off_session: bool = False,
    seen: tuple[PaymentIntent, PaymentMethod | None] | None = None,
) -> PaymentIntent:
    """Ask for the money: the intent comes back as far as it got (PY-012).

    `nonce` makes the call repeatable: a second one with the same nonce asks for nothing more. `return_url`
    is where the shopper goes after 3-D Secure or a bank. `off_session` says that the shopper is not there:
    nobody can take a challenge, and a decline is final. `seen` is what `with_method` has just found.

    Raises:
        Conflict: another payment of this intent is under way.
        InvalidState: it cannot be confirmed now, or has no payment method.
        Unprocessable: over a limit, off-session with a method that the buyer did not leave for that, or the
            method cannot be used for it.
        RateLimited: too many tries (services/risk/limits.py).
    """
    intent, found = seen or with_method(actor, intent_id, method_id)
    if not method_id and intent.payment_method_id is None:
        raise InvalidState("Attach a payment method first", code="payment_method_required")
    method = methods.seen_by(actor, found)
    if off_session and not method.reusable:
        raise Unprocessable("The buyer did not agree to be charged later", code="consent_required")
    terms = {
        "opinion": screening.ask(actor, intent, method, off_session=off_session),
        "off_session": off_session,
        "return_url": return_url,
        "force_three_ds": force_three_ds,
    }
    opened = _open(actor, intent_id, method, nonce, terms)
    if opened is not None:
        attempt, intent = opened
        known = attempts.as_opened(attempt, intent, method)
        left = driver.drive(attempt.id, flow or settling.STANDING_ALONE, "api", fresh=True, seen=known)
        if left is not None:
            return left
    return get(actor, intent_id)


def _open(
    actor: Actor, intent_id: str, method: PaymentMethod, nonce: str, terms: dict[str, Any]
) -> tuple[Attempt, PaymentIntent] | None:
    """Open an attempt on these terms; None where one with this nonce exists already."""
    try:
        with transaction(actor) as db:
            intent = find(db, actor, intent_id, lock=True)
            if intent.attempts and was_asked(intent.id, nonce):
                return None
            claims.refuse_unusable(actor, intent, method)
            return attempts.open_attempt(db, intent, method, nonce=nonce, cause="api", **terms), intent
    except IntegrityError as error:
        raise Conflict("A payment is already under way", code="payment_in_progress") from error


def was_asked(intent_id: str, nonce: str) -> bool:
    """Whether an attempt of the intent has this nonce: the call is a repetition."""
    known = select(Attempt.id).where(Attempt.intent_id == intent_id, Attempt.nonce == nonce)
    with reading() as db:
        return db.scalar(known) is not None


def capture(
    actor: Actor,
    intent_id: str,
    amount: int | None = None,
    *,
    nonce: str | None = None,
    attempt_id: str | None = None,
    flow: Flow | None = None,
) -> PaymentIntent:
    """Take what was authorised, or part of it, which releases the rest (PY-014, OP-25).

    With the `nonce` of an earlier call nothing more is asked for: its outcome is looked for. `attempt_id`
    names the authorisation that is meant, when it has to be that one.

    Raises:
        InvalidState: the intent is not waiting for a capture.
        Unprocessable: more than was authorised.
    """
    with transaction(actor) as db:
        intent = find(db, actor, intent_id, lock=True)
        attempt = _live_attempt(db, intent, attempt_id)
        repeated = nonce is not None and attempt.operation_nonce == nonce
        if not repeated:
            _submit_capture(intent, attempt, amount, nonce)
    driver.drive(attempt.id, flow or settling.STANDING_ALONE, "api", fresh=not repeated)
    return get(actor, intent_id)


def _submit_capture(intent: PaymentIntent, attempt: Attempt, amount: int | None, nonce: str | None) -> None:
    wanted = intent.amount_authorized if amount is None else amount
    if intent.status == _S.REQUIRES_CAPTURE and not 0 < wanted <= intent.amount_authorized:
        raise Unprocessable("More than was authorised", code="amount_exceeds_authorized", field="amount")
    if intent.cancel_requested:
        raise InvalidState("A payment that is being canceled cannot be captured")
    intent.advance(_T.CAPTURE_STARTED, cause="api", last_error=None)
    attempt.advance(
        attempt_lifecycle.Trigger.CAPTURE_SUBMITTED,
        cause="api",
        amount_to_capture=wanted,
        decline_code=None,
        operation_nonce=nonce,
        queries=0,
        next_query_at=clock.now() + timedelta(seconds=attempts.GRACE_SECONDS),
    )


def cancel(
    actor: Actor, intent_id: str, reason: str, *, attempt_id: str | None = None, flow: Flow | None = None
) -> PaymentIntent:
    """Cancel; held money is released first. While processing, the outcome will be undone (PY-015).

    With `attempt_id` it is that authorisation which is voided, and the intent with it.

    Raises:
        InvalidState: it has succeeded, failed or been canceled; or the authorisation holds nothing.
    """
    with transaction(actor) as db:
        intent = find(db, actor, intent_id, lock=True)
        if attempt_id is not None and _live_attempt(db, intent, attempt_id).status != _Attempt.AUTHORIZED:
            raise InvalidState("Only an authorisation that is not being captured or voided can be voided")
        if lifecycle.LIFECYCLE.allows(intent.status, _T.CANCELED):
            intent.advance(_T.CANCELED, cause="api", cancel_reason=reason)
            return intent
        if lifecycle.LIFECYCLE.is_terminal(intent.status):
            raise InvalidState(f"A payment that is {intent.status} cannot be canceled")
        attempt = _live_attempt(db, intent)
        settling.request_cancel(db, intent, reason)
        held = attempt.status == _Attempt.AUTHORIZED
        if held:  # in this transaction, so that of a capture and a void one wins
            attempt.advance(
                attempt_lifecycle.Trigger.VOID_SUBMITTED,
                cause="cancel",
                queries=0,
                next_query_at=clock.now() + timedelta(seconds=attempts.GRACE_SECONDS),
            )
        elif not attempts.waits_for_shopper(attempt):
            return intent
    driver.drive(attempt.id, flow or settling.STANDING_ALONE, "cancel", fresh=held)
    return get(actor, intent_id)


def _live_attempt(db: Session, intent: PaymentIntent, attempt_id: str | None = None) -> Attempt:
    found = attempts.live(db, intent.id, lock=True)
    if found is None or attempt_id not in (None, found.id):
        raise InvalidState(f"This payment is {intent.status}; there is no money held for it")
    return found
