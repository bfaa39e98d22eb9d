"""PY-053 to PY-057, PY-083: webhook endpoints of the merchant, and the gateway's events."""

from __future__ import annotations

from flask import request

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.events import deliveries, inbound, trials, webhooks
from app.web.surface import PUBLIC, Idempotency
from app.web.webhook_views import (
    Received,
    Retried,
    TrialCreate,
    TrialView,
    WebhookCreate,
    WebhookList,
    WebhookView,
)


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


@surface.post("/webhook/gateway", "PY-057", returns=Received, auth=PUBLIC, signed=True)
def gateway() -> Received:
    """Take a signed event of a gateway; duplicates are acknowledged without effect.

    At the merchant's own address so is what else is signed under a secret of theirs.
    """
    tenant_id = (request.view_args or {}).get("tenant_id")
    inbound.receive(request.get_data(), dict(request.headers), tenant_id=tenant_id)
    return Received()


@surface.post(
    "/webhooks/test",
    "PY-056",
    body=TrialCreate,
    returns=TrialView,
    permission="webhooks:write",
    idempotency=Idempotency.LEASED,
)
def test(actor: Actor, body: TrialCreate) -> TrialView:
    """Send a test event to an endpoint and see what it answers."""
    return TrialView.of(trials.send(actor, body.webhook_id, body.event))


@surface.post("/maintenance/retry-failed-webhooks", "PY-083", returns=Retried, status=202, permission="*")
def retry_failed(actor: Actor) -> Retried:
    """Send again what was given up."""
    return Retried(count=deliveries.retry_failed(actor))
