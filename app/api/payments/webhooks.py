"""PY-053 to PY-057, OP-17: webhook endpoints of the merchant, and the gateway's events."""

from __future__ import annotations

from flask import request

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.events import inbound, trials, webhooks
from app.web.surface import PUBLIC, Idempotency
from app.web.webhook_views import (
    Received,
    RolledView,
    SecretRoll,
    TrialCreate,
    TrialView,
    WebhookCreate,
    WebhookList,
    WebhookUpdate,
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


@surface.get("/webhooks/{webhook_id}", "OP-17-get", returns=WebhookView, permission="webhooks:read")
def get(actor: Actor, webhook_id: str) -> WebhookView:
    """Read a webhook endpoint."""
    return WebhookView.of(webhooks.get(actor, webhook_id))


@surface.patch(
    "/webhooks/{webhook_id}",
    "OP-17-update",
    body=WebhookUpdate,
    returns=WebhookView,
    permission="webhooks:write",
    mfa="webhooks",
)
def update(actor: Actor, webhook_id: str, body: WebhookUpdate) -> WebhookView:
    """Change an endpoint's address, events or description; switch it off, and on again."""
    changes = body.model_dump(exclude={"status"})
    enabled = None if body.status is None else body.status == "active"
    return WebhookView.of(webhooks.update(actor, webhook_id, **changes, enabled=enabled))


@surface.post(
    "/webhooks/{webhook_id}/roll-secret",
    "OP-17-roll",
    body=SecretRoll,
    returns=RolledView,
    permission="webhooks:write",
    mfa="webhooks",
)
def roll_secret(actor: Actor, webhook_id: str, body: SecretRoll) -> RolledView:
    """Give an endpoint another secret; for 24 hours every delivery is signed with both."""
    row, secret = webhooks.roll_secret(actor, webhook_id, secret=body.secret)
    return RolledView.of(row, None if body.secret else secret)


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
