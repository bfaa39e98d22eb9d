"""PY-053 to PY-055, PY-057: webhook endpoints of the merchant, and the gateway's events."""

from __future__ import annotations

from flask import request

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.events import inbound, webhooks
from app.web.schemas import View
from app.web.surface import PUBLIC
from app.web.webhook_views import WebhookCreate, WebhookList, WebhookView


@surface.get("/webhooks", "PY-053", returns=WebhookList, permission="webhooks:read")
def list_all(actor: Actor) -> WebhookList:
    """List webhook endpoints; secrets are not shown again."""
    return WebhookList(data=[WebhookView.of(row) for row in webhooks.list_all(actor)])


@surface.post(
    "/webhooks",
    "PY-054",
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


@surface.delete("/webhooks/{webhook_id}", "PY-055", status=204, permission="webhooks:write")
def delete(actor: Actor, webhook_id: str) -> None:
    """Remove a webhook endpoint."""
    webhooks.delete(actor, webhook_id)


class Received(View):
    """The event was taken."""

    received: bool


@surface.post("/webhook/gateway", "PY-057", returns=Received, auth=PUBLIC, signed=True)
def gateway() -> Received:
    """Take a signed event of a gateway; duplicates are acknowledged without effect."""
    inbound.receive(request.get_data(), dict(request.headers))
    return Received(received=True)
