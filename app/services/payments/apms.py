"""Alternative payment methods: redirects, QR codes, transfers and wallets (PY-061, PY-062)."""

from __future__ import annotations

import hmac

from app.domain.actor import Actor
from app.domain.errors import InvalidState, NotFound, Unprocessable
from app.domain.lifecycles import intents as lifecycle
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.payments import attempts, claims, driver, intents
from app.services.payments.attempts import Flow

#: What `apm_id` may name; which of them can be used is for the connectors and the merchant to say.
KNOWN = frozenset(
    {
        "paypal",
        "ideal",
        "bancontact",
        "klarna",
        "buy_now_pay_later",
        "bank_transfer",
        "promptpay",
        "apple_pay",
        "google_pay",
    }
)


def check(actor: Actor, apm_id: str, intent: PaymentIntent) -> None:
    """Whether this intent can be paid with this method now.

    Raises:
        NotFound: no method has this id.
        Unprocessable: the merchant, or the intent, does not take it.
        InvalidState: the intent is being paid, or over.
    """
    if apm_id not in KNOWN:
        raise NotFound("There is no such payment method", code="apm_not_found")
    claims.refuse_type(actor, intent, apm_id)
    if not lifecycle.LIFECYCLE.allows(intent.status, lifecycle.Trigger.CONFIRMED):
        raise InvalidState(f"A payment that is {intent.status} cannot be started")


def confirm(actor: Actor, apm_id: str, intent_id: str, token: str, flow: Flow) -> PaymentIntent:
    """Look at the gateway after the payer's return; `token` is what `initiate` gave, good for one outcome.

    Raises:
        NotFound: the intent is not being paid with this method.
        Unprocessable: `payment_token_invalid`, the token is not the payment's.
        Conflict: the token was used before.
    """
    attempt = attempts.newest(actor, intents.get(actor, intent_id).id)
    if attempt is None or attempts.load(attempt.id)[2].type != apm_id:
        raise NotFound("This payment is not being made with this method", code="apm_not_found")
    if not is_token(attempt, token):
        raise Unprocessable("This token is not the payment's", code="payment_token_invalid", field="token")
    driver.drive(attempt.id, flow, "return")
    attempts.use_up(attempt.id)
    return intents.get(actor, intent_id)


def is_token(attempt: Attempt, token: str) -> bool:
    """Whether it is the attempt's own, compared in constant time."""
    return hmac.compare_digest(attempt.return_nonce.encode(), token.encode())
