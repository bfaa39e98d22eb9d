"""Payments with a checkout above them or standing alone: confirm, authenticate, capture, cancel.

The surfaces call these; which flow a payment follows is decided here (docs/adr/0007).
"""

from __future__ import annotations

from dataclasses import replace

from app.domain.actor import Actor
from app.domain.errors import InvalidState, PermissionDenied, Unprocessable
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payment
from app.services.checkout.drafts import check_return_url
from app.services.checkout.payment import Order
from app.services.payments import apms, attempts, intents, methods, threeds
from app.services.payments.attempts import Flow
from app.services.payments.threeds import Completion


def confirm(actor: Actor, intent_id: str, order: Order, *, method_id: str | None = None) -> PaymentIntent:
    """Confirm an intent, with its checkout where it has one; see `intents.confirm`.

    Raises:
        InvalidRequest: `return_url` is not one that a shopper may be sent to.
        PermissionDenied: a shopper's browser cannot say that the shopper is not there.
        Unprocessable: nor can anybody of a checkout.
    """
    check_return_url(actor, order.return_url, "return_url")
    intent = intents.get(actor, intent_id)
    if order.off_session and actor.is_shopper:
        raise PermissionDenied("Only the merchant's server may say off_session")
    chosen = method_id or intent.payment_method_id
    if chosen is None:
        raise InvalidState("Attach a payment method first", code="payment_method_required")
    if intent.checkout_id is not None:
        if order.off_session:
            raise Unprocessable("A checkout is paid by a shopper who is there", field="off_session")
        payment.pay_by_method(actor, intent.checkout_id, chosen, order)
        return intents.get(actor, intent_id)
    return intents.confirm(
        actor,
        intent_id,
        nonce=order.nonce,
        method_id=chosen,
        return_url=order.return_url,
        force_three_ds=order.force_three_ds,
        off_session=order.off_session,
        seen=intent,
    )


def start_three_ds(
    actor: Actor, intent_id: str, order: Order, *, method_id: str | None = None
) -> PaymentIntent:
    """Confirm with 3-D Secure whatever the card wants; a challenge that waits is answered as it is (PY-059).

    Raises:
        Unprocessable: `three_ds_not_applicable`, the method is no card.
    """
    intent = intents.get(actor, intent_id)
    waiting = threeds.challenged(actor, intent_id)
    if waiting is not None and attempts.waits_for_shopper(waiting):
        return intent
    chosen = method_id or intent.payment_method_id
    if chosen is not None and methods.get(actor, chosen).type != "card":
        raise Unprocessable("Only cards have 3-D Secure", code="three_ds_not_applicable")
    return confirm(actor, intent_id, replace(order, force_three_ds=True), method_id=chosen)


def complete_three_ds(actor: Actor, intent_id: str, told: Completion) -> PaymentIntent:
    """See `threeds.complete`."""
    return threeds.complete(actor, intent_id, told, _flow(actor, intent_id))


def initiate_apm(actor: Actor, apm_id: str, intent_id: str, order: Order) -> tuple[PaymentIntent, Attempt]:
    """Start paying with a redirect, QR or transfer method (PY-061); see `apms.check`.

    Raises:
        InvalidRequest: `return_url` is not one that a shopper may be sent to.
        InvalidState: discounts cover the whole checkout, so that nothing is paid.
    """
    check_return_url(actor, order.return_url, "return_url")
    intent = intents.get(actor, intent_id)
    if not intents.was_asked(intent.id, order.nonce):
        apms.check(actor, apm_id, intent)
        if intent.checkout_id is not None:
            payment.pay_by_redirect(actor, intent.checkout_id, apm_id, order)
        else:
            method = methods.redirect(actor, apm_id)
            confirm(actor, intent_id, order, method_id=method.id)
    attempt = attempts.newest(actor, intent_id)
    if attempt is None:
        raise InvalidState("Nothing is left to pay")
    return intents.get(actor, intent_id), attempt


def confirm_apm(actor: Actor, apm_id: str, intent_id: str, token: str) -> PaymentIntent:
    """See `apms.confirm`."""
    return apms.confirm(actor, apm_id, intent_id, token, _flow(actor, intent_id))


def capture(
    actor: Actor,
    intent_id: str,
    amount: int | None = None,
    *,
    nonce: str | None = None,
    attempt_id: str | None = None,
) -> PaymentIntent:
    """Capture an intent; its checkout goes on with it (CK-026). See `intents.capture`."""
    flow = _flow(actor, intent_id)
    return intents.capture(actor, intent_id, amount, nonce=nonce, attempt_id=attempt_id, flow=flow)


def cancel(actor: Actor, intent_id: str, reason: str, *, attempt_id: str | None = None) -> PaymentIntent:
    """Cancel an intent; its checkout lets go of what it holds (CK-027). See `intents.cancel`."""
    flow = _flow(actor, intent_id)
    return intents.cancel(actor, intent_id, reason, attempt_id=attempt_id, flow=flow)


def _flow(actor: Actor, intent_id: str) -> Flow:
    return payment.flow_of(intents.get(actor, intent_id))
