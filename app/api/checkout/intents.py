"""CK-022, CK-024, CK-028: the payment of a session."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidState
from app.kit.ids import random_token
from app.services.checkout import payment
from app.services.payments import intents, refunds
from app.web.intent_views import IntentView
from app.web.refund_views import RefundView
from app.web.schemas import Body, Integer
from app.web.surface import BROWSER, Idempotency


class Confirm(Body):
    """The method to pay with, when it is not attached yet."""

    payment_method_id: str | None = Field(None, max_length=64)


class RefundAsk(Body):
    """How much goes back, and why; without an amount all that is left."""

    amount: Integer | None = None
    reason: str | None = Field(None, max_length=500)


@surface.get(
    "/payment-intents/{payment_intent_id}",
    "CK-022",
    returns=IntentView,
    auth=BROWSER,
    permission="intents:read",
)
def get(actor: Actor, payment_intent_id: str) -> IntentView:
    """Read a payment intent."""
    return IntentView.of(payment.intent_of(actor, payment_intent_id), redirect_word="redirect")


@surface.post(
    "/payment-intents/{payment_intent_id}/confirm",
    "CK-024",
    body=Confirm,
    returns=IntentView,
    auth=BROWSER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def confirm(actor: Actor, payment_intent_id: str, body: Confirm, idempotency_key: str | None) -> IntentView:
    """Confirm the intent; may answer requires_action with next_action."""
    intent = payment.intent_of(actor, payment_intent_id)
    chosen = body.payment_method_id or intent.payment_method_id
    if chosen is None or intent.checkout_id is None:
        raise InvalidState("Attach a payment method first", code="payment_method_required")
    order = payment.Order(nonce=idempotency_key or random_token())
    payment.pay_by_method(actor, intent.checkout_id, chosen, order)
    return IntentView.of(intents.get(actor, payment_intent_id), redirect_word="redirect")


@surface.post(
    "/payment-intents/{payment_intent_id}/refund",
    "CK-028",
    body=RefundAsk,
    returns=RefundView,
    status=201,
    permission="refunds:create",
)
def refund(actor: Actor, payment_intent_id: str, body: RefundAsk) -> Any:
    """Trigger a refund through the payment service."""
    return RefundView.of(refunds.create(actor, payment_intent_id, body.amount, body.reason))
