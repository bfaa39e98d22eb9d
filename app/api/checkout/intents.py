"""CK-022, CK-024, CK-028: the payment of a session."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.checkout import payments
from app.services.checkout.payment import Order
from app.services.payments import intents, refunds
from app.services.payments.attempts import nonce_of
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
    return IntentView.of(intents.get(actor, payment_intent_id), redirect_word="redirect")


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
    order = Order(nonce_of(idempotency_key))
    done = payments.confirm(actor, payment_intent_id, order, method_id=body.payment_method_id)
    return IntentView.of(done, redirect_word="redirect")


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
