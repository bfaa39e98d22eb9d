"""Payments with a checkout above them or standing alone: confirm, authenticate, capture, cancel.

The surfaces call these; which flow a payment follows is decided here (docs/adr/0007).
"""

from __future__ import annotations

from dataclasses import replace

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidState, PermissionDenied, Unprocessable
from app.domain.lifecycles import intents as lifecycle
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payment, reservations, sessions, split_runs, splits
from app.services.checkout.drafts import check_return_url
from app.services.checkout.payment import Order
from app.services.payments import apms, attempts, intents, methods, parts, threeds
from app.services.payments.threeds import Completion


def confirm(actor: Actor, intent_id: str, order: Order, *, method_id: str | None = None) -> PaymentIntent:
    """Confirm an intent, with its checkout where it has one; see `intents.confirm`.

    Raises:
        InvalidRequest: `return_url` is not one that a shopper may be sent to.
        PermissionDenied: a shopper's browser cannot say that the shopper is not there.
        Unprocessable: nor can anybody of a checkout.
    """
    check_return_url(actor, order.return_url, "return_url")
    intent, method = intents.with_method(actor, intent_id, method_id)
    if order.off_session and actor.is_shopper:
        raise PermissionDenied("Only the merchant's server may say off_session")
    if intent.split:
        return _confirm_split(actor, intent, order, method_id)
    _refuse_part(intent)
    chosen = method_id or intent.payment_method_id
    if chosen is None:
        raise InvalidState("Attach a payment method first", code="payment_method_required")
    if intent.checkout_id is not None:
        if order.off_session:
            raise Unprocessable("A checkout is paid by a shopper who is there", field="off_session")
        payment.pay_by_method(actor, intent.checkout_id, chosen, replace(order, intent_id=intent_id))
        return intents.get(actor, intent_id)
    return intents.confirm(
        actor,
        intent_id,
        nonce=order.nonce,
        method_id=chosen,
        return_url=order.return_url,
        force_three_ds=order.force_three_ds,
        off_session=order.off_session,
        flow=payment.flow_of(intent),
        seen=(intent, method),
    )


def start_three_ds(
    actor: Actor, intent_id: str, order: Order, *, method_id: str | None = None
) -> PaymentIntent:
    """Confirm with 3-D Secure whatever the card wants; a challenge that waits is answered as it is (PY-059).

    Raises:
        Unprocessable: `three_ds_not_applicable`, the method is no card.
    """
    intent = intents.get(actor, intent_id)
    _refuse_split(intent)
    waiting = threeds.challenged(actor, intent_id)
    if waiting is not None and attempts.waits_for_shopper(waiting):
        return intent
    chosen = method_id or intent.payment_method_id
    if chosen is not None and methods.get(actor, chosen).type != "card":
        raise Unprocessable("Only cards have 3-D Secure", code="three_ds_not_applicable")
    return confirm(actor, intent_id, replace(order, force_three_ds=True), method_id=chosen)


def complete_three_ds(actor: Actor, intent_id: str, told: Completion) -> PaymentIntent:
    """See `threeds.complete`; the challenge of a split payment is that of the part which is under way."""
    intent = intents.get(actor, intent_id)
    return _gone_on(actor, intent, threeds.complete(actor, intent_id, told, payment.flow_of(intent)))


def initiate_apm(actor: Actor, apm_id: str, intent_id: str, order: Order) -> tuple[PaymentIntent, Attempt]:
    """Start paying with a redirect, QR or transfer method (PY-061); see `apms.check`.

    Raises:
        InvalidRequest: `return_url` is not one that a shopper may be sent to.
        InvalidState: discounts cover the whole checkout, so that nothing is paid.
    """
    check_return_url(actor, order.return_url, "return_url")
    intent = intents.get(actor, intent_id)
    _refuse_split(intent)
    if not intents.was_asked(intent.id, order.nonce):
        apms.check(actor, apm_id, intent)
        if intent.checkout_id is not None:
            payment.pay_by_redirect(actor, intent.checkout_id, apm_id, replace(order, intent_id=intent_id))
        else:
            method = methods.redirect(actor, apm_id)
            confirm(actor, intent_id, order, method_id=method.id)
    attempt = attempts.newest(actor, intent_id)
    if attempt is None:
        raise InvalidState("Nothing is left to pay")
    return intents.get(actor, intent_id), attempt


def confirm_apm(actor: Actor, apm_id: str, intent_id: str, token: str) -> PaymentIntent:
    """See `apms.confirm`; the bank's page of a split payment is that of the part which is under way."""
    intent = intents.get(actor, intent_id)
    return _gone_on(actor, intent, apms.confirm(actor, apm_id, intent_id, token, payment.flow_of(intent)))


def capture(
    actor: Actor,
    intent_id: str,
    amount: int | None = None,
    *,
    nonce: str | None = None,
    attempt_id: str | None = None,
) -> PaymentIntent:
    """Capture an intent; its checkout goes on with it (CK-026). See `intents.capture`."""
    intent = intents.get(actor, intent_id)
    if intent.split:
        return splits.capture(actor, intent, amount)
    _refuse_part(intent)
    flow = payment.flow_of(intent)
    return intents.capture(actor, intent_id, amount, nonce=nonce, attempt_id=attempt_id, flow=flow)


def capture_and_finish(
    actor: Actor, intent_id: str, amount: int | None = None, *, nonce: str | None = None
) -> tuple[PaymentIntent, CheckoutSession | None]:
    """Capture an intent, and the checkout that it belongs to as far as it goes on with it (CK-026, OP-31).

    A good capture stands whatever becomes of the sale. See `intents.capture`.
    """
    done = capture(actor, intent_id, amount, nonce=nonce)
    session = sessions.get(actor, done.checkout_id) if done.checkout_id is not None else None
    return done, session


def cancel(actor: Actor, intent_id: str, reason: str, *, attempt_id: str | None = None) -> PaymentIntent:
    """Cancel an intent; its checkout lets go of what it holds (CK-027). See `intents.cancel`.

    Where nothing was sent yet the checkout goes on without its hold and may have another payment; else it
    ends with its payment.
    """
    intent = intents.get(actor, intent_id)
    _refuse_part(intent)
    if intent.checkout_id is not None and attempt_id is None:
        unsent = _cancel_unsent(actor, intent_id, intent.checkout_id, reason)
        if unsent is not None:
            return unsent
    if intent.split:
        return splits.cancel(actor, intent, reason)
    flow = payment.flow_of(intent)
    return intents.cancel(actor, intent_id, reason, attempt_id=attempt_id, flow=flow)


def _cancel_unsent(actor: Actor, intent_id: str, checkout_id: str, reason: str) -> PaymentIntent | None:
    """Cancel a payment that no gateway has heard of, and release the hold at once; None where one has."""
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        intent = intents.find(db, actor, intent_id, lock=True)
        if not lifecycle.LIFECYCLE.allows(intent.status, lifecycle.Trigger.CANCELED):
            return None
        parts.drop(db, intent, cause=str(actor.kind), reason=reason)
        intent.advance(lifecycle.Trigger.CANCELED, cause=str(actor.kind), cancel_reason=reason)
        reservations.let_go(db, session, actor.tenant, cause=str(actor.kind))
        return intent


def _confirm_split(actor: Actor, intent: PaymentIntent, order: Order, method_id: str | None) -> PaymentIntent:
    if method_id is not None:
        raise InvalidState("This payment is split: its parts have their methods", code="payment_is_split")
    return splits.confirm(actor, intent, nonce=order.nonce, return_url=order.return_url)


def _refuse_split(intent: PaymentIntent) -> None:
    _refuse_part(intent)
    if intent.split:
        raise InvalidState("This payment is split; confirm it as a whole", code="payment_is_split")


def _refuse_part(intent: PaymentIntent) -> None:
    """A part goes with its payment; alone only its method is chosen and its challenge completed."""
    if intent.parent_intent_id is not None:
        raise InvalidState("This is a part of a split payment", code="part_of_split")


def _gone_on(actor: Actor, intent: PaymentIntent, done: PaymentIntent) -> PaymentIntent:
    """Take a split payment further, where it is one."""
    if payment.flow_of(intent) is not split_runs.PART:
        return done
    split_runs.go_on(intent.parent_intent_id or intent.id, "return")
    return intents.get(actor, intent.id)
