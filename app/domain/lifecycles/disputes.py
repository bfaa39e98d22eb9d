"""Disputes: inquiry, evidence, outcome (reliability.md; decision 7)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """What the merchant sees."""

    WARNING = "warning"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"


class Trigger(StrEnum):
    """What happens to a dispute."""

    RECEIVED = "received"
    INQUIRED = "inquired"
    ESCALATED = "escalated"
    EVIDENCE_SUBMITTED = "evidence_submitted"
    ACCEPTED = "accepted"
    DEADLINE_PASSED = "deadline_passed"
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "dispute",
    (
        Edge(None, _T.RECEIVED, _S.NEEDS_RESPONSE, EventType.DISPUTE_CREATED),
        Edge(None, _T.INQUIRED, _S.WARNING, EventType.DISPUTE_CREATED),
        Edge(_S.WARNING, _T.ESCALATED, _S.NEEDS_RESPONSE),
        Edge(_S.WARNING, _T.CLOSED, _S.CLOSED),
        Edge(_S.NEEDS_RESPONSE, _T.EVIDENCE_SUBMITTED, _S.UNDER_REVIEW),
        Edge(_S.NEEDS_RESPONSE, _T.ACCEPTED, _S.LOST),
        Edge(_S.NEEDS_RESPONSE, _T.DEADLINE_PASSED, _S.LOST),
        Edge(_S.UNDER_REVIEW, _T.WON, _S.WON),
        Edge(_S.UNDER_REVIEW, _T.LOST, _S.LOST),
        Edge(_S.WON, _T.CLOSED, _S.CLOSED),
        Edge(_S.LOST, _T.CLOSED, _S.CLOSED),
    ),
)
