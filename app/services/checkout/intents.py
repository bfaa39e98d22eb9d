"""The payment of a session: one open intent, for exactly what is due (CK-021, CK-023).

A session has one intent at a time. Asked again while nothing was sent, it takes the new terms and keeps its
id, its client secrets and its count of tries; one that was canceled gives way to another, which goes on
counting where it stopped (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, Gone, InvalidState, Unprocessable
from app.domain.event_types import EventType
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.services.checkout import dues, sessions, totals
from app.services.checkout.editing import edit
from app.services.checkout.hosted import has_lapsed
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings
from app.services.payments import intents, methods, parts, saved_methods
from app.services.payments.intents import IntentDraft
from app.services.payments.methods import MethodDraft
from app.services.risk import reviews

_S = lifecycle.Status
_I = intent_lifecycle.Status

#: Over without having taken money: the session may have another.
_GIVEN_UP = frozenset({_I.CANCELED, _I.FAILED})


@dataclass(frozen=True, slots=True)
class Terms:
    """What a caller asks of the session's payment; None leaves it to the session. Amounts in minor units."""

    amount: int | None = None
    currency: str | None = None
    capture_mode: str | None = None
    method_types: tuple[str, ...] | None = None
    metadata: dict[str, Any] | None = None


@consulting
def open_for(actor: Actor, checkout_id: str, terms: Terms) -> PaymentIntent:
    """The session's payment on these terms: its open intent, or a new one (CK-021).

    Raises:
        NotFound: no such session.
        Conflict: `payment_in_progress`; `max_payment_attempts`.
        Gone, InvalidState: the session has expired, or is over.
        Unprocessable: `amount_mismatch`, `currency_mismatch`, `nothing_due`, `payment_method_not_supported`.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        _refuse_over(session)
        totals.calculate(db, session, actor.tenant)
        _check(actor, session, terms)
        intent = pending(db, session)
        if intent is None:
            return _add(db, actor, session, terms)
        _change(db, session, intent, terms)
        return intent


def ensure(db: Session, actor: Actor, session: CheckoutSession) -> PaymentIntent:
    """The session's intent for exactly the amount due: the one that it has, or a new one."""
    intent = pending(db, session)
    if intent is None:
        return _add(db, actor, session, Terms())
    _follow(session, intent)
    return intent


@contextmanager
def edit_due(
    actor: Actor, checkout_id: str, *, version: int | None = None
) -> Iterator[tuple[Session, CheckoutSession]]:
    """See `edit`; an open payment follows what is due, in the same transaction."""
    with transaction(actor) as db:
        with edit(actor, checkout_id, version=version) as found:
            yield found
        keep_up(db, found[1], cause=str(actor.kind))


def keep_up(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """What is due has changed: an open intent that was not sent is for the new amount."""
    intent = pending(db, session)
    due = dues.due(session)
    if intent is None or due in (intent.amount, 0):
        return
    before = intent.facts()
    intent.amount = due
    db.flush()
    intent.note(EventType.INTENT_UPDATED, cause=cause, before=before)


def pending(db: Session, session: CheckoutSession) -> PaymentIntent | None:
    """The session's intent, locked, unless it was given up."""
    if session.payment_intent_id is None:
        return None
    intent = db.get_one(PaymentIntent, session.payment_intent_id, with_for_update=True)
    return None if intent.status in _GIVEN_UP else intent


def drop(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """Nothing is left to pay: an intent that was opened before is canceled, and no longer the session's."""
    intent = pending(db, session)
    if intent is not None:
        trigger = intent_lifecycle.Trigger.CANCELED
        parts.drop(db, intent, cause=cause, reason="nothing_due")
        intent.advance(trigger, cause=cause, cancel_reason="nothing_due")
    session.payment_intent_id = None


def attach(
    actor: Actor, intent_id: str, method_id: str, *, save: bool = False, consent: bool | None = None
) -> PaymentIntent:
    """Choose the method that the session is paid with, and keep it for its customer when asked (CK-023).

    The wish to keep it is the buyer's consent, unless `consent` says otherwise (OP-37).

    Raises:
        InvalidState: the payment is under way, or over.
        Unprocessable: `consent_required`, `customer_required`, or the method cannot be used for it.
    """
    if save and consent is False:
        raise methods.consent_required()
    customer_id = _customer(actor, intent_id) if save else None
    trigger = intent_lifecycle.Trigger.ATTACHED
    intent_lifecycle.LIFECYCLE.edge(intents.get(actor, intent_id).status, trigger)  # before a token is spent
    if method_id.startswith("tok_"):
        method_id = methods.create(actor, MethodDraft(method_id, "payment_method_id")).id
    with transaction(actor):
        intent = intents.attach(actor, intent_id, method_id)
        if save:
            saved_methods.attach(actor, method_id, customer_id=customer_id, consent=True)
        return intent


def refuse_unpayable(session: CheckoutSession) -> None:
    """Whether a session may be paid now.

    Raises:
        Conflict: `payment_in_progress`, `manual_review_pending`, `manual_review_rejected`.
        Gone: it has expired.
        InvalidState: it is over; `max_payment_attempts` where all tries were declined.
    """
    _refuse_over(session)
    reviews.refuse_pending(session)


def _refuse_over(session: CheckoutSession) -> None:
    """Raises as `refuse_unpayable` does; under review a payment may be opened, and is not confirmed."""
    if session.status == _S.PAYMENT_PROCESSING:
        raise Conflict("A payment is already under way", code="payment_in_progress")
    if has_lapsed(session):
        raise Gone("This checkout has expired", code="checkout_expired")
    if session.status == _S.FAILED and session.failure_reason == "payment_declined":
        raise _spent()
    if session.status not in lifecycle.OPEN:
        raise InvalidState(f"A checkout that is {session.status} cannot be paid")


def _spent() -> InvalidState:
    return InvalidState("This checkout was tried too often", code="max_payment_attempts")


def _customer(actor: Actor, intent_id: str) -> str:
    """Whom a method is kept for: the customer that the merchant's server named.

    Raises:
        Unprocessable: `customer_required`.
    """
    intent = intents.get(actor, intent_id)
    found = intent.customer_id
    if intent.checkout_id is not None:
        found = sessions.get(actor, intent.checkout_id).customer.get("customer_id")
    if not found:
        raise Unprocessable(
            "Keeping a method needs a customer", code="customer_required", field="save_method"
        )
    return str(found)


def _check(actor: Actor, session: CheckoutSession, terms: Terms) -> None:
    checkout_settings(actor.tenant).amounts.check(session.grand_total, session.currency)
    due = dues.due(session)
    if due == 0:
        raise Unprocessable("Nothing is left to pay: finish the checkout", code="nothing_due")
    if terms.currency not in (None, session.currency):
        raise Unprocessable(
            f"The checkout is in {session.currency}", code="currency_mismatch", field="currency"
        )
    if terms.amount not in (None, due):
        raise Unprocessable(
            "Another amount is due",
            code="amount_mismatch",
            field="amount",
            explain={"reason": "amount_mismatch", "amount": terms.amount, "due": due},
        )
    wanted = set(terms.method_types or ())
    taken = set(session.method_types or actor.tenant.settings.get("allowed_methods") or wanted)
    if wanted and not wanted & taken:
        raise Unprocessable(
            "None of these methods is taken here",
            code="payment_method_not_supported",
            field="payment_methods",
            explain={"reason": "payment_method_not_supported", "payment_methods": sorted(taken)},
        )


def _add(db: Session, actor: Actor, session: CheckoutSession, terms: Terms) -> PaymentIntent:
    if session.payment_attempts >= checkout_settings(actor.tenant).max_payment_attempts:
        raise _spent()
    draft = IntentDraft(
        amount=dues.due(session),
        currency=session.currency,
        capture_mode=terms.capture_mode or session.options.get("capture_mode"),
        customer_id=session.customer.get("customer_id"),
        description=session.title,
        metadata=session.metadata_ if terms.metadata is None else terms.metadata,
        checkout_id=session.id,
        method_types=_types(session, terms) or tuple(session.method_types),
        settles_with_checkout=session.finalises_itself,
    )
    if session.payment_attempts:
        draft = replace(draft, attempts=session.payment_attempts)
    intent = intents.add(db, actor, draft)
    session.payment_intent_id = intent.id
    return intent


def _change(db: Session, session: CheckoutSession, intent: PaymentIntent, terms: Terms) -> None:
    """Let an intent that was not sent take new terms; nothing is noted where they are the old ones."""
    before = intent.facts()
    _follow(session, intent)
    if terms.capture_mode is not None:
        intent.capture_mode = terms.capture_mode
    if terms.metadata is not None and terms.metadata != intent.metadata_:
        intent.metadata_ = terms.metadata
    wanted = _types(session, terms)
    if wanted and list(wanted) != intent.method_types:
        parts.drop(db, intent, cause="api", reason="split_replaced")
        intent.method_types = list(wanted)
    db.flush()
    if intent.version != before["version"]:
        intent.note(EventType.INTENT_UPDATED, cause="api", before=before)


def _follow(session: CheckoutSession, intent: PaymentIntent) -> None:
    due = dues.due(session)
    if intent.amount != due:
        intent.amount = due
    intent.customer_id = session.customer.get("customer_id")
    intent.settles_with_checkout = session.finalises_itself


def _types(session: CheckoutSession, terms: Terms) -> tuple[str, ...]:
    """The methods that are asked for, as far as the session takes them."""
    wanted = terms.method_types or ()
    return tuple(name for name in wanted if not session.method_types or name in session.method_types)
