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
class RolledSecret(Model):
    """An endpoint's next secret, shown once unless it was yours; the old one signs beside it for a while."""

    id: str
    secret: str | None = hidden()
    previous_secret_until: datetime


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
class Delivery(Model):
    """An event on its way to an endpoint: `pending`, `delivered` or `failed`."""

    id: str
    webhook_id: str
    event_id: str
    event: str
    status: str
    attempts: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    replay_of: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt(Model):
    """One try, and what came back."""

    number: int
    started_at: datetime
    duration_ms: int
    http_status: int | None
    error: str | None
    answer: str | None
    hint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetail(Delivery):
    """A delivery with its body and its tries."""

    payload: dict[str, Any]
    tries: list[DeliveryAttempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Model):
    """Events that are sent again, or in a dry run would be; with `has_more` go on at `next_cursor`."""

    dry_run: bool
    count: int
    by_event: dict[str, int]
    has_more: bool
    next_cursor: str | None


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
