"""Refunds: a time-out stays processing, a failed one gives its amount back (reliability.md; decision 6)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The values of the payments surface."""

    PENDING = "pending"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Trigger(StrEnum):
    """What happens to a refund."""

    CREATED = "created"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ACTION_NEEDED = "action_needed"
    ACTED = "acted"
    CANCELED = "canceled"
    RETURNED = "returned"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "refund",
    (
        Edge(None, _T.CREATED, _S.PENDING, EventType.REFUND_CREATED),
        Edge(_S.PENDING, _T.SUBMITTED, _S.PROCESSING),
        Edge(_S.PROCESSING, _T.SUCCEEDED, _S.SUCCEEDED, EventType.REFUND_SUCCEEDED),
        Edge(_S.PROCESSING, _T.FAILED, _S.FAILED, EventType.REFUND_FAILED),
        Edge(_S.PROCESSING, _T.ACTION_NEEDED, _S.REQUIRES_ACTION),
        Edge(_S.REQUIRES_ACTION, _T.ACTED, _S.PROCESSING),
        Edge(_S.REQUIRES_ACTION, _T.FAILED, _S.FAILED, EventType.REFUND_FAILED),
        Edge(_S.PENDING, _T.CANCELED, _S.FAILED, EventType.REFUND_FAILED),
        Edge(_S.SUCCEEDED, _T.RETURNED, _S.FAILED, EventType.REFUND_FAILED),
    ),
)
