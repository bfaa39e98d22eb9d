"""Payment methods: active until they are revoked, which is for good (PY-006)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The values of the payments surface."""

    ACTIVE = "active"
    REVOKED = "revoked"


class Trigger(StrEnum):
    """What happens to a method."""

    CREATED = "created"
    REVOKED = "revoked"


LIFECYCLE = Lifecycle(
    "payment_method",
    (
        Edge(None, Trigger.CREATED, Status.ACTIVE, EventType.METHOD_CREATED),
        Edge(Status.ACTIVE, Trigger.REVOKED, Status.REVOKED),
    ),
)
