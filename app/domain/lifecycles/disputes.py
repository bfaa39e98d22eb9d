"""Disputes: inquiry, evidence, outcome (reliability.md; decision 7)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Kind(StrEnum):
    """What the cardholder's bank sent: a claim on the money, a question, or a warning of fraud."""

    CHARGEBACK = "chargeback"
    INQUIRY = "inquiry"
    EARLY_FRAUD_WARNING = "early_fraud_warning"


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
        Edge(_S.WARNING, _T.ESCALATED, _S.NEEDS_RESPONSE, EventType.DISPUTE_NEEDS_RESPONSE),
        Edge(_S.WARNING, _T.CLOSED, _S.CLOSED, EventType.DISPUTE_CLOSED),
        Edge(_S.NEEDS_RESPONSE, _T.EVIDENCE_SUBMITTED, _S.UNDER_REVIEW, EventType.DISPUTE_UNDER_REVIEW),
        Edge(_S.NEEDS_RESPONSE, _T.ACCEPTED, _S.LOST, EventType.DISPUTE_LOST),
        Edge(_S.NEEDS_RESPONSE, _T.DEADLINE_PASSED, _S.LOST, EventType.DISPUTE_LOST),
        Edge(_S.UNDER_REVIEW, _T.WON, _S.WON, EventType.DISPUTE_WON),
        Edge(_S.UNDER_REVIEW, _T.LOST, _S.LOST, EventType.DISPUTE_LOST),
        Edge(_S.WON, _T.CLOSED, _S.CLOSED, EventType.DISPUTE_CLOSED),
        Edge(_S.LOST, _T.CLOSED, _S.CLOSED, EventType.DISPUTE_CLOSED),
    ),
)

#: In these the gateway, or the cardholder, has the money.
HOLDS = frozenset({_S.NEEDS_RESPONSE, _S.UNDER_REVIEW, _S.LOST})
#: Nobody has decided yet.
OPEN = frozenset({_S.WARNING, _S.NEEDS_RESPONSE, _S.UNDER_REVIEW})

_STEPS: dict[tuple[str, str], tuple[Trigger, ...]] = {
    (_S.NEEDS_RESPONSE, _S.UNDER_REVIEW): (_T.EVIDENCE_SUBMITTED,),
    (_S.NEEDS_RESPONSE, _S.WON): (_T.EVIDENCE_SUBMITTED, _T.WON),
    (_S.UNDER_REVIEW, _S.WON): (_T.WON,),
    (_S.UNDER_REVIEW, _S.LOST): (_T.LOST,),
    (_S.WARNING, _S.CLOSED): (_T.CLOSED,),
}

#: How far a dispute has come; a decision may be contradicted, but not taken back.
_ORDER = {_S.WARNING: 0, _S.NEEDS_RESPONSE: 1, _S.UNDER_REVIEW: 2, _S.WON: 3, _S.LOST: 3, _S.CLOSED: 4}


def is_behind(status: str, known: str) -> bool:
    """Whether a gateway's status is an older one than what is known: it was asked, or spoke, before."""
    return _ORDER[_S(status)] < _ORDER[_S(known)]


def path(source: str, target: str, *, overdue: bool) -> tuple[Trigger, ...]:
    """The triggers that lead from our status to the gateway's; none where it has not gone forward.

    A dispute that was lost without an answer was given up by the merchant, or `overdue`.
    """
    if source == _S.WARNING and target in (_S.NEEDS_RESPONSE, _S.UNDER_REVIEW, _S.WON, _S.LOST):
        return (_T.ESCALATED, *path(_S.NEEDS_RESPONSE, target, overdue=overdue))
    if (source, target) == (_S.NEEDS_RESPONSE, _S.LOST):
        return (_T.DEADLINE_PASSED if overdue else _T.ACCEPTED,)
    return _STEPS.get((source, target), ())
