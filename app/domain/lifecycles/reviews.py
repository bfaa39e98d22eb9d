"""Manual reviews: a checkout waits until a person, or the provider that asked, has decided (CK-049)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Where a review stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class Trigger(StrEnum):
    """What happens to a review."""

    OPENED = "opened"
    ASSIGNED = "assigned"
    APPROVED = "approved"
    REJECTED = "rejected"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "review",
    (
        Edge(None, _T.OPENED, _S.PENDING),
        Edge(_S.PENDING, _T.ASSIGNED, _S.PENDING, EventType.REVIEW_ASSIGNED),
        Edge(_S.PENDING, _T.APPROVED, _S.APPROVED),
        Edge(_S.PENDING, _T.REJECTED, _S.REJECTED),
    ),
)
