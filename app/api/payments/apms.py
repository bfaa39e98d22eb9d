"""PY-061, PY-062: alternative payment methods."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payments
from app.services.checkout.payment import Order
from app.services.payments.attempts import nonce_of
from app.web.endpoint import Answer
from app.web.intent_views import IntentView, NextActionView, answer
from app.web.schemas import Body, View
from app.web.surface import PAYER, Idempotency


class ApmInitiate(Body):
    """What is paid, and where the payer goes afterwards."""

    intent_id: str = Field(min_length=1, max_length=64)
    return_url: str | None = Field(None, max_length=2000)


class ApmConfirm(Body):
    """The payment, and the token that initiating it gave."""

    intent_id: str = Field(min_length=1, max_length=64)
    token: str = Field(min_length=1, max_length=128)


class ApmView(View):
    """A payment that goes on at a bank's page, by a QR code or by a transfer."""

    apm_id: str
    intent_id: str
    payment_intent_id: str
    charge_id: str
    status: str
    redirect_url: str | None
    qr_payload: str | None
    details: dict[str, Any] | None
    expires_at: str | None
    token: str
    next_action: NextActionView | None

    @classmethod
    def of(cls, apm_id: str, intent: PaymentIntent, attempt: Attempt) -> ApmView:
        """The view of a payment that was started."""
        action = intent.next_action or {}
        return cls.model_construct(
            apm_id=apm_id,
            intent_id=intent.id,
            payment_intent_id=intent.id,
            charge_id=attempt.id,
            status=intent.status,
            redirect_url=action.get("url"),
            qr_payload=action.get("qr_payload"),
            details=action.get("details"),
            expires_at=action.get("expires_at"),
            token=attempt.return_nonce,
            next_action=NextActionView.of(action) if action else None,
        )


@surface.post(
    "/apm/{apm_id}/initiate",
    "PY-061",
    body=ApmInitiate,
    returns=ApmView,
    auth=PAYER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def initiate(actor: Actor, apm_id: str, body: ApmInitiate, idempotency_key: str | None) -> ApmView:
    """Start paying with a redirect, QR or transfer method."""
    order = Order(nonce_of(idempotency_key), return_url=body.return_url)
    return ApmView.of(apm_id, *payments.initiate_apm(actor, apm_id, body.intent_id, order))


@surface.post(
    "/apm/{apm_id}/confirm",
    "PY-062",
    body=ApmConfirm,
    returns=IntentView,
    auth=PAYER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def confirm(actor: Actor, apm_id: str, body: ApmConfirm) -> Answer:
    """Confirm after the payer's return: the gateway is asked how it went."""
    return answer(actor, payments.confirm_apm(actor, apm_id, body.intent_id, body.token))
