"""Trial events: a merchant tries an endpoint and sees at once what it answered (CK-042, PY-056, MR-008)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, InvalidState
from app.domain.event_types import PUBLISHED
from app.domain.lifecycles import deliveries as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.events.delivery import Delivery, DeliveryAttempt
from app.models.events.journal import record
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import deliveries, webhooks


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a test event."""

    endpoint: WebhookEndpoint
    delivery: Delivery
    attempt: DeliveryAttempt | None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint took it."""
        return self.delivery.status == lifecycle.Status.DELIVERED


def send(actor: Actor, endpoint_id: str, event: str, data: dict[str, Any] | None = None) -> Trial:
    """Send one event that never happened, signed like a real one; it is tried once.

    Its correlation id is `test`. No transaction may be open: the endpoint is called.

    Raises:
        NotFound: there is no such endpoint.
        InvalidState: it is switched off.
        InvalidRequest: nothing is told under that name.
    """
    endpoint = webhooks.get(actor, endpoint_id)
    if endpoint.disabled_at is not None:
        raise InvalidState("The endpoint is switched off")
    if event not in {str(name) for name in PUBLISHED}:
        raise InvalidRequest(f"There is no event {event}", field="event")
    row = _delivery(endpoint, event, data or {})
    with transaction(actor) as db:
        db.add(row)
        record(
            db,
            "webhook.test.sent",
            tenant_id=endpoint.tenant_id,
            mode=endpoint.mode,
            entity="webhook_endpoint",
            entity_id=endpoint.id,
            cause="api",
            after={"id": row.event_id, "type": event, "url": endpoint.url},
        )
        db.flush()
        claimed = deliveries.claim(
            row.id, beside_others=True
        )  # in one transaction, so that no worker is faster
        assert claimed is not None
    client = deliveries.new_client()
    try:
        deliveries.deliver(claimed, client, last=True)
    finally:
        client.close()
    delivery, tries = deliveries.get(actor, row.id)
    return Trial(endpoint, delivery, tries[-1] if tries else None)


def send_to_newest(actor: Actor, event: str, data: dict[str, Any]) -> Trial:
    """As `send`, to the newest endpoint that is on and lists the event (OP-52).

    Raises:
        InvalidRequest: `no_webhook_endpoint`.
    """
    endpoint = webhooks.newest_for(actor, event)
    if endpoint is None:
        raise InvalidRequest(f"No active webhook endpoint lists {event}", code="no_webhook_endpoint")
    return send(actor, endpoint.id, event, data)


def _delivery(endpoint: WebhookEndpoint, event: str, data: dict[str, Any]) -> Delivery:
    now, event_id = clock.now(), new_id("evt")
    body = {
        "id": event_id,
        "type": event,
        "created_at": clock.to_rfc3339(now),
        "correlation_id": "test",
        "data": {
            "object": data,
            "checkout_id": None,
            "payment_intent_id": None,
            "before": None,
            "after": data,
        },
    }
    return Delivery(
        id=new_id("dlv"),
        tenant_id=endpoint.tenant_id,
        mode=endpoint.mode,
        endpoint_id=endpoint.id,
        event_id=event_id,
        event_type=event,
        body=json.dumps(body, separators=(",", ":")),
        status=str(lifecycle.LIFECYCLE.initial),
        tries=0,
        due_at=now,
    )
