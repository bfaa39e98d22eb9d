"""Endpoints that do not take what they are sent: how much was given up, and how much is being tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text

from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles.deliveries import Status
from app.models.events.delivery import FAILING, Delivery
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import webhooks


@dataclass(frozen=True, slots=True)
class Failing:
    """An endpoint with deliveries that failed for good, or so far."""

    endpoint: WebhookEndpoint
    failed: int
    retrying: int

    @property
    def total(self) -> int:
        """Both."""
        return self.failed + self.retrying


def endpoints(actor: Actor, since: datetime, until: datetime) -> list[Failing]:
    """Endpoints with failing deliveries of a span (`until` excluded), the worst first.

    An index has the deliveries that fail and no others, so what succeeded costs nothing here.
    """
    known = {endpoint.id: endpoint for endpoint in webhooks.list_all(actor)}
    if not known:
        return []
    statement = (
        select(Delivery.endpoint_id, Delivery.status, func.count())
        .where(
            Delivery.endpoint_id.in_(list(known)),
            Delivery.created_at >= since,
            Delivery.created_at < until,
            text(FAILING),
        )
        .group_by(Delivery.endpoint_id, Delivery.status)
    )
    counts: dict[tuple[str, str], int] = {}
    with reading() as db:
        for endpoint_id, status, number in db.execute(statement):
            counts[(endpoint_id, status)] = number
    found = [
        Failing(
            endpoint,
            counts.get((endpoint_id, str(Status.EXHAUSTED)), 0),
            counts.get((endpoint_id, str(Status.RETRY_WAIT)), 0),
        )
        for endpoint_id, endpoint in known.items()
    ]
    return sorted((one for one in found if one.total), key=lambda one: -one.total)
