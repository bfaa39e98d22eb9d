"""CK-039 to CK-044, OP-36: webhook endpoints of the merchant, and what gateways and providers send."""

from __future__ import annotations

from flask import request

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.checkout import fraud_notices, identity
from app.services.events import inbound, trials, webhooks
from app.web.surface import PUBLIC, Idempotency
from app.web.webhook_views import Received, TrialCreate, TrialView, WebhookCreate, WebhookList, WebhookView


@surface.get("/webhooks", "CK-039", returns=WebhookList, permission="webhooks:read")
def list_all(actor: Actor) -> WebhookList:
    """List webhook endpoints; secrets are not shown again."""
    return WebhookList(data=[WebhookView.of(row) for row in webhooks.list_all(actor)])


@surface.post(
    "/webhooks",
    "CK-040",
    body=WebhookCreate,
    returns=WebhookView,
    status=201,
    permission="webhooks:write",
)
def create(actor: Actor, body: WebhookCreate) -> WebhookView:
    """Register a webhook endpoint."""
    row, secret = webhooks.create(
        actor, body.url, body.events, secret=body.secret, description=body.description
    )
    return WebhookView.of(row, None if body.secret else secret)


@surface.delete("/webhooks/{webhook_id}", "CK-041", status=204, permission="webhooks:write")
def delete(actor: Actor, webhook_id: str) -> None:
    """Remove a webhook endpoint."""
    webhooks.delete(actor, webhook_id)


@surface.post(
    "/webhooks/test",
    "CK-042",
    body=TrialCreate,
    returns=TrialView,
    permission="webhooks:write",
    idempotency=Idempotency.LEASED,
)
def test(actor: Actor, body: TrialCreate) -> TrialView:
    """Send a test event to an endpoint and see what it answers."""
    return TrialView.of(trials.send(actor, body.webhook_id, body.event))


@surface.post("/webhook/payment", "CK-043", returns=Received, auth=PUBLIC, signed=True)
def payment() -> Received:
    """Take a signed event of a gateway; duplicates are acknowledged without effect."""
    inbound.receive(request.get_data(), dict(request.headers))
    return Received()


@surface.post("/webhook/fraud", "CK-044", returns=Received, auth=PUBLIC, signed=True)
def fraud() -> Received:
    """Take a signed decision of the fraud provider; duplicates are acknowledged without effect."""
    fraud_notices.receive(request.get_data(), dict(request.headers))
    return Received()


@surface.post("/webhook/kyc", "OP-36-kyc", returns=Received, auth=PUBLIC, signed=True)
def kyc() -> Received:
    """Take a signed decision of the KYC provider; duplicates are acknowledged without effect."""
    identity.receive(request.get_data(), dict(request.headers))
    return Received()
