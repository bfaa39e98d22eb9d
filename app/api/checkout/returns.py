"""CK-032, CK-033: the way back from a bank, and the payment service's 3-D Secure results."""

from __future__ import annotations

from flask import request
from pydantic import ConfigDict, Field

from app.api.checkout.session_views import SessionIntent, intent_of
from app.api.checkout.surface import surface
from app.domain.errors import Conflict
from app.services.checkout import returns
from app.services.checkout.payment import Landing
from app.web.endpoint import Answer
from app.web.schemas import Query, View
from app.web.surface import PUBLIC, Idempotency
from app.web.webhook_views import Received


class Back(Query):
    """What comes with the browser; `status` and whatever else a bank adds is not believed."""

    model_config = ConfigDict(extra="ignore")

    checkout_id: str = Field(min_length=1, max_length=64)
    payment_token: str = Field(min_length=1, max_length=128)
    status: str | None = Field(None, max_length=200)


class ReturnView(View):
    """How the payment stands, as its gateway says."""

    checkout_id: str
    checkout_status: str
    status: str
    payment_intent_id: str
    payment_intent: SessionIntent


@surface.get(
    "/redirect/return",
    "CK-032",
    query=Back,
    returns=ReturnView,
    auth=PUBLIC,
    signed=True,
    may_lead_on=True,
)
def come_back(query: Back) -> Answer:
    """Take a shopper back: look at the gateway again, and lead on to the session's page where it has one."""
    landing, fresh = returns.land(query.checkout_id, query.payment_token)
    hint = returns.hint(landing.intent)
    onward = _onward(landing, hint)
    if onward is not None:
        return Answer(None, {"Location": onward, "Cache-Control": "no-store"}, status=302)
    if not fresh:
        raise Conflict("This was completed before; read the payment", code="already_completed")
    assert landing.session is not None
    shown = intent_of(landing.intent)
    assert shown is not None
    view = ReturnView.model_construct(
        checkout_id=landing.session.id,
        checkout_status=landing.session.status,
        status=hint,
        payment_intent_id=landing.intent.id,
        payment_intent=shown,
    )
    return Answer(view, {"Cache-Control": "no-store"})


@surface.post(
    "/3ds/callback", "CK-033", returns=Received, auth=PUBLIC, signed=True, idempotency=Idempotency.NONE
)
def three_ds_callback() -> Received:
    """Take a signed 3-D Secure result; a repeated one is acknowledged without effect."""
    returns.receive_three_ds(request.get_data(), request.headers.get("X-Webhook-Signature", ""))
    return Received()


def _onward(landing: Landing, hint: str) -> str | None:
    """The session's page for a good end, also for one that is still open, or for a bad one."""
    assert landing.session is not None
    url = landing.session.cancel_url if hint == "failed" else landing.session.success_url
    if url is None:
        return None
    return returns.with_words(
        url,
        checkout_id=landing.session.id,
        payment_intent_id=landing.intent.id,
        redirect_status=hint,
    )
