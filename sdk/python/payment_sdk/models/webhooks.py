"""Webhook endpoints, and the events that come to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payment_sdk._models import Model, hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint(Model):
    """Where events go; `secret` is shown once, when the endpoint is made.

    `failing_since` is there while nothing is taken; after five days of that `status` is `disabled`.
    """

    id: str
    url: str
    events: list[str]
    description: str
    status: str
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    secret: str | None = hidden()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTrial(Model):
    """What became of a test event; `hint` says what may be wrong where it was not taken."""

    webhook_id: str
    delivery_id: str
    event_id: str
    event: str
    delivered: bool
    http_status: int | None
    error: str | None
    hint: str | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventData(Model):
    """What an event is about: the thing as it is now, and as it was before and after."""

    object: dict[str, Any]
    checkout_id: str | None
    payment_intent_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent(Model):
    """An event; `id` is the same however often it is delivered: keep it, and act once."""

    id: str
    type: str
    created_at: datetime
    correlation_id: str | None
    data: EventData
