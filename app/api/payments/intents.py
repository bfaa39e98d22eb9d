"""PY-008, PY-009, PY-011, PY-012, PY-014, PY-015: intents."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.errors import Unprocessable
from app.kit.ids import random_token
from app.services.checkout import payment
from app.services.payments import intents
from app.services.payments.intents import IntentDraft
from app.web.intent_views import IntentView
from app.web.schemas import Body, Integer
from app.web.surface import BROWSER, Idempotency


class IntentCreate(Body):
    """What an intent is made from; `amount` in minor units."""

    request_id: str | None = Field(None, min_length=1, max_length=128)
    amount: Integer
    currency: str = Field(pattern="^[A-Z]{3}$")
    customer_id: str | None = Field(None, max_length=64)
    payment_method_id: str | None = Field(None, max_length=64)
    capture_mode: Literal["auto", "manual"] | None = None
    description: str | None = Field(None, max_length=500)
    metadata: dict[str, Any] = Field(default_factory=dict)
    payment_method_options: dict[str, Any] = Field(default_factory=dict)
    merchant_account_id: str | None = Field(None, max_length=40)

    def draft(self) -> IntentDraft:
        """The draft that the service takes.

        Raises:
            Unprocessable: `capture_mode_conflict` (OP-24).
        """
        method = (self.payment_method_options.get("card") or {}).get("capture_method")
        said = {"automatic": "auto", "manual": "manual"}.get(str(method))
        if said and self.capture_mode and said != self.capture_mode:
            raise Unprocessable(
                "capture_mode and capture_method contradict each other",
                code="capture_mode_conflict",
                field="capture_mode",
            )
        fields = self.model_dump()
        return IntentDraft(**{**fields, "capture_mode": self.capture_mode or said})


class MethodChoice(Body):
    """The method to pay with."""

    payment_method_id: str = Field(min_length=1, max_length=64)


class Confirm(Body):
    """The method, when it is not attached yet; `off_session` says that the shopper is not there."""

    payment_method_id: str | None = Field(None, max_length=64)
    return_url: str | None = Field(None, max_length=2000)
    off_session: bool = False


class Capture(Body):
    """How much to take; without an amount all that was authorised."""

    amount: Integer | None = None


class CancelAsk(Body):
    """Why."""

    reason: Literal["user_cancel", "timeout", "fraud"] = "user_cancel"


@surface.post(
    "/intents",
    "PY-008",
    body=IntentCreate,
    returns=IntentView,
    status=201,
    permission="intents:write",
    key_required=True,
)
def create(actor: Actor, body: IntentCreate) -> IntentView:
    """Create a payment intent."""
    return IntentView.of(intents.create(actor, body.draft()))


@surface.get("/intents/{intent_id}", "PY-009", returns=IntentView, auth=BROWSER, permission="intents:read")
def get(actor: Actor, intent_id: str) -> IntentView:
    """Read a payment intent."""
    return IntentView.of(payment.intent_of(actor, intent_id))


@surface.post(
    "/intents/{intent_id}/attach-method",
    "PY-011",
    body=MethodChoice,
    returns=IntentView,
    auth=BROWSER,
    permission="intents:write",
)
def attach(actor: Actor, intent_id: str, body: MethodChoice) -> IntentView:
    """Attach a payment method."""
    intent = payment.intent_of(actor, intent_id)
    return IntentView.of(intents.attach(actor, intent.id, body.payment_method_id))


@surface.post(
    "/intents/{intent_id}/confirm",
    "PY-012",
    body=Confirm,
    returns=IntentView,
    auth=BROWSER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
    key_required=True,
)
def confirm(actor: Actor, intent_id: str, body: Confirm, idempotency_key: str | None) -> IntentView:
    """Confirm: authorise at the gateway; may answer requires_action."""
    nonce = idempotency_key or random_token()
    return IntentView.of(
        payment.confirm_intent(
            actor,
            intent_id,
            nonce=nonce,
            method_id=body.payment_method_id,
            off_session=body.off_session,
        )
    )


@surface.post(
    "/intents/{intent_id}/capture",
    "PY-014",
    body=Capture,
    returns=IntentView,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
    key_required=True,
)
def capture(actor: Actor, intent_id: str, body: Capture) -> IntentView:
    """Capture what was authorised, or part of it."""
    return IntentView.of(payment.capture_intent(actor, intent_id, body.amount))


@surface.post(
    "/intents/{intent_id}/cancel",
    "PY-015",
    body=CancelAsk,
    returns=IntentView,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def cancel(actor: Actor, intent_id: str, body: CancelAsk) -> IntentView:
    """Cancel; a pre-authorisation is released."""
    return IntentView.of(payment.cancel_intent(actor, intent_id, body.reason))
