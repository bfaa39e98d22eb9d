"""Hosted sessions: what the sessions surface shows of a checkout session's life."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Three words for seven states."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class Trigger(StrEnum):
    """What happens to it."""

    CREATED = "created"
    COMPLETED = "completed"
    EXPIRED = "expired"


LIFECYCLE = Lifecycle(
    "hosted_session",
    (
        Edge(None, Trigger.CREATED, Status.OPEN),
        Edge(Status.OPEN, Trigger.COMPLETED, Status.COMPLETE, EventType.CHECKOUT_SESSION_COMPLETED),
        Edge(Status.OPEN, Trigger.EXPIRED, Status.EXPIRED, EventType.CHECKOUT_SESSION_EXPIRED),
    ),
)
