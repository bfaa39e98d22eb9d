"""Webhook deliveries in JSON: how each stands, what every attempt brought, and sending again."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from app.domain.lifecycles.deliveries import Status
from app.domain.rules.delivery_hints import hint
from app.models.events.delivery import Delivery, DeliveryAttempt
from app.services.events.replays import Replayed, Span, Which
from app.web.periods import Moment
from app.web.schemas import Body, Instant, NumberedQuery, View

#: The words of this API for where a delivery stands (OP-41).
WORDS: dict[str, tuple[str, ...]] = {
    "pending": (Status.PENDING, Status.LEASED, Status.RETRY_WAIT),
    "delivered": (Status.DELIVERED,),
    "failed": (Status.EXHAUSTED,),
}


class DeliveryQuery(NumberedQuery):
    """Which deliveries."""

    webhook_id: str | None = Field(None, min_length=1, max_length=64)
    event_id: str | None = Field(None, min_length=1, max_length=64)
    status: Literal["pending", "delivered", "failed"] | None = None

    def statuses(self) -> tuple[str, ...]:
        """What is stored for the word."""
        return WORDS[self.status] if self.status else ()


class DeliveryView(View):
    """One event for one endpoint; `next_attempt_at` while it waits, `replay_of` where it was sent again."""

    id: str
    webhook_id: str
    event_id: str
    event: str
    status: str
    attempts: int
    next_attempt_at: Instant | None
    delivered_at: Instant | None
    replay_of: str | None
    created_at: Instant

    @classmethod
    def of(cls, row: Delivery) -> DeliveryView:
        """The view of a row."""
        return cls(**_fields(row))


def _fields(row: Delivery) -> dict[str, Any]:
    waits = row.status in (Status.PENDING, Status.RETRY_WAIT)
    return {
        "id": row.id,
        "webhook_id": row.endpoint_id,
        "event_id": row.event_id,
        "event": row.event_type,
        "status": next(word for word, stored in WORDS.items() if row.status in stored),
        "attempts": row.tries,
        "next_attempt_at": row.due_at if waits else None,
        "delivered_at": row.delivered_at,
        "replay_of": row.replay_of,
        "created_at": row.created_at,
    }


class AttemptView(View):
    """What one try brought: the answer's status and first 64 KiB, or why there was none; what may mend it."""

    number: int
    started_at: Instant
    duration_ms: int
    http_status: int | None
    error: str | None
    answer: str | None
    hint: str | None

    @classmethod
    def of(cls, row: DeliveryAttempt) -> AttemptView:
        """The view of a row."""
        return cls(
            number=row.number,
            started_at=row.started_at,
            duration_ms=row.duration_ms,
            http_status=row.http_status,
            error=row.error,
            answer=row.answer,
            hint=hint(row.http_status, row.error),
        )


class DeliveryDetail(DeliveryView):
    """A delivery with the event as it is sent, and every attempt."""

    payload: dict[str, Any]
    tries: list[AttemptView]

    @classmethod
    def with_tries(cls, row: Delivery, tries: list[DeliveryAttempt]) -> DeliveryDetail:
        """The view of a row and its attempts."""
        return cls(
            **_fields(row), payload=json.loads(row.body), tries=[AttemptView.of(each) for each in tries]
        )


class ReplayCreate(Body):
    """Events from `since` until before `until` that the endpoint lists.

    `which`: `failed` ones were given up, `missing` ones never sent to this endpoint (it was off, or not there
    yet), `all` are all but those that still wait. A `dry_run` counts and sends nothing.
    """

    webhook_id: str = Field(min_length=1, max_length=64)
    since: Moment
    until: Moment
    which: Literal["failed", "missing", "all"] = "failed"
    events: list[str] = Field(default_factory=list, max_length=50)
    dry_run: bool = False
    cursor: str | None = Field(None, max_length=128)

    def span(self) -> Span:
        """What the service takes."""
        return Span(
            self.webhook_id, self.since, self.until, Which(self.which), tuple(self.events), self.cursor
        )


class ReplayView(View):
    """How many events are sent again, or would be, by type; the rest of a long span goes by its cursor."""

    dry_run: bool
    count: int
    by_event: dict[str, int]
    has_more: bool
    next_cursor: str | None

    @classmethod
    def of(cls, made: Replayed, *, dry_run: bool) -> ReplayView:
        """The view of what was done."""
        return cls(
            dry_run=dry_run,
            count=made.count,
            by_event=made.by_event,
            has_more=made.next_cursor is not None,
            next_cursor=made.next_cursor,
        )


class Retried(View):
    """How many failed deliveries are sent again."""

    count: int
