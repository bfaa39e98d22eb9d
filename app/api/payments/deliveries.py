"""PY-083, OP-17: deliveries of events to webhook endpoints, and sending them again."""

from __future__ import annotations

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.events import deliveries, replays
from app.web.delivery_views import (
    DeliveryDetail,
    DeliveryQuery,
    DeliveryView,
    ReplayCreate,
    ReplayView,
    Retried,
)
from app.web.schemas import Listing, pages_of


@surface.get(
    "/webhooks/deliveries",
    "OP-17-deliveries",
    query=DeliveryQuery,
    returns=pages_of(DeliveryView),
    permission="webhooks:read",
)
def list_page(actor: Actor, query: DeliveryQuery) -> Listing[DeliveryView]:
    """List deliveries, newest first."""
    page = deliveries.list_page(
        actor,
        endpoint_id=query.webhook_id,
        event_id=query.event_id,
        statuses=query.statuses(),
        **query.place(),
    )
    return Listing[DeliveryView].of(page, DeliveryView.of)


@surface.get(
    "/webhooks/deliveries/{delivery_id}",
    "OP-17-delivery",
    returns=DeliveryDetail,
    permission="webhooks:read",
)
def get(actor: Actor, delivery_id: str) -> DeliveryDetail:
    """Read a delivery with what each attempt brought."""
    return DeliveryDetail.with_tries(*deliveries.get(actor, delivery_id))


@surface.post(
    "/webhooks/deliveries/{delivery_id}/replay",
    "OP-17-resend",
    returns=DeliveryView,
    status=201,
    permission="webhooks:write",
)
def resend(actor: Actor, delivery_id: str) -> DeliveryView:
    """Send an event again, as a new delivery of the same body under the same event id."""
    return DeliveryView.of(replays.one(actor, delivery_id))


@surface.post(
    "/webhooks/replay",
    "OP-17-replay",
    body=ReplayCreate,
    returns=ReplayView,
    status=202,
    permission="webhooks:write",
)
def replay(actor: Actor, body: ReplayCreate) -> ReplayView:
    """Send the events of a span of time again, at most 1,000 a call; as a dry run count them all."""
    made = (replays.dry_run if body.dry_run else replays.of_span)(actor, body.span())
    return ReplayView.of(made, dry_run=body.dry_run)


@surface.post("/maintenance/retry-failed-webhooks", "PY-083", returns=Retried, status=202, permission="*")
def retry_failed(actor: Actor) -> Retried:
    """Send again what was given up."""
    return Retried(count=replays.failed(actor))
