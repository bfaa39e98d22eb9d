"""Stripe's Checkout: the shopper pays on Stripe's page, which asks for all that a method needs.

A session that nobody has finished is the payment, and its id the reference; once the shopper is through, the
PaymentIntent is. Its parameters hang on the attempt alone, so that the same key may be sent again.
"""

from __future__ import annotations

from datetime import timedelta

from app.connectors import base
from app.connectors.base import ConnectorContext
from app.connectors.stripe import marks
from app.connectors.stripe.amounts import to_stripe
from app.connectors.stripe.api import Api, Json
from app.kit import clock
from app.kit.ids import new_id, time_of

#: The "token" of a payment whose method the shopper gives to Stripe's page.
TOKEN = "checkout"

#: Our method types → Stripe's. Wallets show by themselves where cards are taken.
TYPES = {
    "card": "card",
    "apple_pay": "card",
    "google_pay": "card",
    "paypal": "paypal",
    "ideal": "ideal",
    "bancontact": "bancontact",
    "klarna": "klarna",
    "buy_now_pay_later": "klarna",
    "promptpay": "promptpay",
}
#: Can be authorised now and captured later; the others are captured at once.
_CAPTURED_LATER = frozenset({"card", "paypal", "klarna"})

#: Stripe's shortest session is thirty minutes from when the call arrives, by Stripe's clock, which may be
#: `marks.LATEST` and `marks.SKEW` after our key was made.
SESSION_MINUTES = 33

_SESSIONS = "/v1/checkout/sessions"
_INTENT = ["payment_intent.latest_charge"]


def open_session(at: Api, context: ConnectorContext, request: base.AuthorizeRequest) -> Json:
    """A session for exactly one payment."""
    kind = TYPES[request.method_type]
    metadata = {**marks.merchants(request.metadata), **marks.write(context, request.key)}
    asked = time_of(request.key) or clock.now()
    name = (request.description or "Payment")[:250]
    price = {
        "currency": request.currency.lower(),
        "unit_amount": to_stripe(request.amount, request.currency, by_card=kind == "card"),
        "product_data": {"name": name},
    }
    return at.post(
        _SESSIONS,
        request.key,
        mode="payment",
        payment_method_types=[kind],
        line_items=[{"quantity": 1, "price_data": price}],
        client_reference_id=request.attempt_id,
        success_url=request.return_url,
        cancel_url=request.return_url,
        expires_at=int((asked + timedelta(minutes=SESSION_MINUTES)).timestamp()),
        metadata=metadata,
        payment_intent_data={
            "capture_method": "manual" if kind in _CAPTURED_LATER else "automatic",
            "description": name,
            "metadata": {**metadata, marks.CHECKOUT: "1"},
        },
    )


def read(at: Api, session_id: str) -> Json:
    """A session with its PaymentIntent."""
    return at.get(f"{_SESSIONS}/{session_id}", expand=_INTENT)


def search(at: Api, context: ConnectorContext, key: str) -> Json | None:
    """The session that was opened under a key; raises as `marks.made_near`."""
    found = marks.made_near(at, context, _SESSIONS, key)
    return read(at, found["id"]) if found is not None else None


def expire(at: Api, session_id: str) -> None:
    """Let nobody pay in a session any more; under a key of its own, as to release a payment is."""
    at.post(f"{_SESSIONS}/{session_id}/expire", new_id("close"))
