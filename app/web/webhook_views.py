"""Webhook endpoints in JSON: the same store behind two surfaces (OP-17)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.domain.rules.delivery_hints import hint
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events.trials import Trial
from app.web.schemas import Body, Instant, View


class WebhookCreate(Body):
    """Where to send what; without a secret one is made and shown once."""

    url: str = Field(min_length=1, max_length=2000)
    events: list[str] = Field(min_length=1, max_length=50)
    secret: str | None = Field(None, max_length=200)
    description: str = Field("", max_length=200)


class WebhookView(View):
    """An endpoint; its secret is shown at creation only."""

    id: str
    url: str
    events: list[str]
    description: str
    status: str
    disabled_reason: str | None
    failing_since: Instant | None
    created_at: Instant
    secret: str | None = None

    @classmethod
    def of(cls, row: WebhookEndpoint, secret: str | None = None) -> WebhookView:
        """The view of a row."""
        return cls(
            id=row.id,
            url=row.url,
            events=row.events,
            description=row.description,
            status="disabled" if row.disabled_at else "active",
            disabled_reason=row.disabled_reason,
            failing_since=row.failing_since,
            created_at=row.created_at,
            secret=secret,
        )


class WebhookUpdate(Body):
    """What changes; `status` switches an endpoint off, and on again."""

    url: str | None = Field(None, min_length=1, max_length=2000)
    events: list[str] | None = Field(None, min_length=1, max_length=50)
    description: str | None = Field(None, max_length=200)
    status: Literal["active", "disabled"] | None = None


class SecretRoll(Body):
    """The next secret; without one it is made and shown once."""

    secret: str | None = Field(None, max_length=200)


class RolledView(View):
    """The endpoint's new secret, where it was made, and until when the old one signs beside it."""

    id: str
    secret: str | None
    previous_secret_until: Instant

    @classmethod
    def of(cls, row: WebhookEndpoint, secret: str | None) -> RolledView:
        """The view of a row."""
        assert row.previous_until is not None
        return cls(id=row.id, secret=secret, previous_secret_until=row.previous_until)


class WebhookList(View):
    """All endpoints of a merchant and mode."""

    data: list[WebhookView]
    has_more: bool = False
    next_cursor: str | None = None


class Received(View):
    """A gateway's event was taken; for one that came before, too."""

    received: bool = True


class TrialCreate(Body):
    """Which endpoint to try, with which event."""

    webhook_id: str = Field(min_length=1, max_length=64)
    event: str = Field(min_length=1, max_length=64)


class TrialView(View):
    """What the endpoint answered; `http_status` is null where nobody did, and `error` says why.

    `hint` says what usually lies behind such a failure.
    """

    webhook_id: str
    delivery_id: str
    event_id: str
    event: str
    delivered: bool
    http_status: int | None
    error: str | None
    hint: str | None
    duration_ms: int | None

    @classmethod
    def of(cls, trial: Trial) -> TrialView:
        """The view of a trial."""
        attempt = trial.attempt
        return cls(
            webhook_id=trial.endpoint.id,
            delivery_id=trial.delivery.id,
            event_id=trial.delivery.event_id,
            event=trial.delivery.event_type,
            delivered=trial.delivered,
            http_status=attempt.http_status if attempt else None,
            error=attempt.error if attempt else None,
            hint=hint(attempt.http_status, attempt.error) if attempt else None,
            duration_ms=attempt.duration_ms if attempt else None,
        )
