"""PY-013, PY-059, PY-060: 3-D Secure, and what the client has to do next."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payments
from app.services.checkout.payment import Order
from app.services.payments import attempts, intents
from app.services.payments.attempts import nonce_of
from app.services.payments.threeds import Completion, Result
from app.web.endpoint import Answer
from app.web.intent_views import IntentView, NextActionView, answer
from app.web.schemas import Body, View
from app.web.surface import PAYER, Idempotency


class ThreeDSStart(Body):
    """The card, when it is not attached yet; and where the shopper goes after the challenge."""

    payment_method_id: str | None = Field(None, max_length=64)
    return_url: str | None = Field(None, max_length=2000)


class ThreeDSComplete(Body):
    """How the challenge ended, as the client saw it (CK-025)."""

    result: Result = Field(Result.AUTHENTICATED, strict=False)
    transaction_id: str | None = Field(None, max_length=64)
    cres: str | None = Field(None, max_length=20_000)


class ThreeDSView(View):
    """Where 3-D Secure stands: a challenge with its parameters, or the result without one."""

    intent_id: str
    payment_intent_id: str
    status: str
    challenge_required: bool
    acs_url: str | None
    challenge: dict[str, Any] | None
    expires_at: str | None
    three_ds_result: str | None
    last_error: dict[str, Any] | None

    @classmethod
    def of(cls, intent: PaymentIntent, attempt: Attempt | None) -> ThreeDSView:
        """The view of an intent and its newest attempt."""
        action = intent.next_action or {}
        asked = action.get("type") == "3ds_challenge"
        return cls.model_construct(
            intent_id=intent.id,
            payment_intent_id=intent.id,
            status=intent.status,
            challenge_required=asked,
            acs_url=action.get("url") if asked else None,
            challenge=action.get("challenge") if asked else None,
            expires_at=action.get("expires_at") if asked else None,
            three_ds_result=attempt.three_ds_result if attempt else None,
            last_error=intent.last_error,
        )


@surface.post(
    "/intents/{intent_id}/3ds/start",
    "PY-059",
    body=ThreeDSStart,
    returns=ThreeDSView,
    auth=PAYER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def start(actor: Actor, intent_id: str, body: ThreeDSStart, idempotency_key: str | None) -> ThreeDSView:
    """Start 3-D Secure: the challenge to show, or the result where none is needed."""
    order = Order(nonce_of(idempotency_key), return_url=body.return_url)
    intent = payments.start_three_ds(actor, intent_id, order, method_id=body.payment_method_id)
    return ThreeDSView.of(intent, attempts.newest(actor, intent_id))


@surface.post(
    "/intents/{intent_id}/3ds/complete",
    "PY-013",
    body=ThreeDSComplete,
    returns=IntentView,
    auth=PAYER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def complete(actor: Actor, intent_id: str, body: ThreeDSComplete) -> Answer:
    """Submit the result of 3-D Secure; the gateway is asked whether it is true."""
    told = Completion(body.result, body.transaction_id, body.cres)
    return answer(actor, payments.complete_three_ds(actor, intent_id, told))


@surface.get(
    "/intents/{intent_id}/next-action",
    "PY-060",
    returns=NextActionView,
    auth=PAYER,
    permission="intents:read",
    may_be_empty=True,
    tells_payers=True,
)
def next_action(actor: Actor, intent_id: str) -> Answer:
    """Poll what the client has to do next; 204 when there is nothing."""
    action = intents.get(actor, intent_id).next_action
    return Answer(NextActionView.of(action)) if action else Answer(None, status=204)
