"""MR-008, MR-009: a test event to the merchant's own endpoint, and the events that Stripe sends."""

from __future__ import annotations

import json
from typing import Annotated, Any

from flask import request
from pydantic import AfterValidator, Field

from app.api.merchant.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, Unauthenticated
from app.domain.permissions import WEBHOOKS_MANAGE
from app.services.access import tenants
from app.services.events import inbound, trials
from app.web.schemas import Body, Query, View
from app.web.surface import CONFIRMED, PUBLIC, Idempotency, Limit
from app.web.webhook_views import Received

#: What we send stays under 20 kB with its envelope (sandbox.md).
_LARGEST = 16_000


def _fits(data: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")) > _LARGEST:
        raise ValueError(f"must be under {_LARGEST} bytes")
    return data


class TrialCreate(Body):
    """Which event, and what it is to say: the newest endpoint that lists it gets it (OP-52)."""

    eventType: str = Field(min_length=1, max_length=64)  # noqa: N815 - the contract's spelling
    data: Annotated[dict[str, Any], AfterValidator(_fits)] = Field(default_factory=dict)


class TrialSent(View):
    """Where it went; `sent` is false where the endpoint did not take it."""

    sent: bool
    webhookEventId: str  # noqa: N815
    targetUrl: str  # noqa: N815


@surface.post(
    "/webhooks/test",
    "MR-008",
    body=TrialCreate,
    returns=TrialSent,
    auth=CONFIRMED,
    permission=WEBHOOKS_MANAGE,
    mfa="webhooks",
    limit=Limit(5, "tenant"),
    idempotency=Idempotency.LEASED,
)
def test(actor: Actor, body: TrialCreate) -> TrialSent:
    """Send a test event to the webhook endpoint that would get it."""
    trial = trials.send_to_newest(actor, body.eventType, body.data)
    return TrialSent(
        sent=trial.delivered, webhookEventId=trial.delivery.event_id, targetUrl=trial.endpoint.url
    )


class StripeQuery(Query):
    """Whose Stripe account it is, where it is the merchant's own: their id or slug."""

    tenant: str | None = Field(None, min_length=1, max_length=64)


@surface.post(
    "/webhooks/stripe",
    "MR-009",
    query=StripeQuery,
    returns=Received,
    auth=PUBLIC,
    signed=True,
    idempotency=Idempotency.NONE,
)
def stripe(query: StripeQuery) -> Received:
    """Take an event of Stripe's; one that came before, or is about nothing of ours, is acknowledged."""
    whose = query.tenant or request.headers.get("X-Tenant")
    tenant_id = tenants.named(whose) if whose else None
    try:
        inbound.receive(request.get_data(), dict(request.headers), "stripe", tenant_id=tenant_id)
    except Unauthenticated as refused:
        raise InvalidRequest(refused.message, code=refused.code) from refused
    return Received()
