"""Webhook endpoints in JSON: the same store behind two surfaces (OP-17)."""

from __future__ import annotations

from pydantic import Field

from app.models.events.webhook_endpoint import WebhookEndpoint
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
            created_at=row.created_at,
            secret=secret,
        )


class WebhookList(View):
    """All endpoints of a merchant and mode."""

    data: list[WebhookView]
    has_more: bool = False
    next_cursor: str | None = None
