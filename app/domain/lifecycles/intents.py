"""Payment intents: reliability.md's table, with `authorized` as OP-21 has it and declines as decision 1."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The nine values, the same on every surface."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    FAILED = "failed"


class Trigger(StrEnum):
    """What happens to an intent."""

    CREATED = "created"
    ATTACHED = "attached"
    CONFIRMED = "confirmed"
    CHALLENGED = "challenged"
    RETURNED = "returned"
    APPROVED = "approved"
    HELD = "held"
    CAPTURE_STARTED = "capture_started"
    CAPTURE_FAILED = "capture_failed"
    CAPTURED = "captured"
    DECLINED = "declined"
    EXHAUSTED = "exhausted"
    RELEASED = "released"
    CANCELED = "canceled"


_S, _T, _E = Status, Trigger, EventType

#: Statuses in which an attempt may be holding money or about to.
LIVE = frozenset({_S.PROCESSING, _S.REQUIRES_ACTION, _S.AUTHORIZED, _S.REQUIRES_CAPTURE})
#: Amount, capture mode and options are open in these; no authorisation is under way.
EDITABLE = frozenset({_S.REQUIRES_PAYMENT_METHOD, _S.REQUIRES_CONFIRMATION})

LIFECYCLE = Lifecycle(
    "payment_intent",
    (
        Edge(None, _T.CREATED, _S.REQUIRES_PAYMENT_METHOD, _E.INTENT_CREATED),
        Edge(None, _T.CREATED, _S.REQUIRES_CONFIRMATION, _E.INTENT_CREATED),
        Edge(_S.REQUIRES_PAYMENT_METHOD, _T.ATTACHED, _S.REQUIRES_CONFIRMATION, _E.INTENT_UPDATED),
        Edge(_S.REQUIRES_CONFIRMATION, _T.ATTACHED, _S.REQUIRES_CONFIRMATION, _E.INTENT_UPDATED),
        Edge(_S.REQUIRES_PAYMENT_METHOD, _T.CONFIRMED, _S.PROCESSING, _E.INTENT_PROCESSING),
        Edge(_S.REQUIRES_CONFIRMATION, _T.CONFIRMED, _S.PROCESSING, _E.INTENT_PROCESSING),
        Edge(_S.PROCESSING, _T.CHALLENGED, _S.REQUIRES_ACTION, _E.INTENT_REQUIRES_ACTION),
        Edge(_S.REQUIRES_ACTION, _T.RETURNED, _S.PROCESSING, _E.INTENT_PROCESSING),
        Edge(_S.PROCESSING, _T.APPROVED, _S.AUTHORIZED, note="automatic: the capture is under way"),
        Edge(_S.PROCESSING, _T.HELD, _S.REQUIRES_CAPTURE, _E.INTENT_CAPTURABLE, "manual capture"),
        Edge(_S.AUTHORIZED, _T.CAPTURED, _S.SUCCEEDED, _E.PAYMENT_SUCCEEDED),
        Edge(_S.PROCESSING, _T.CAPTURED, _S.SUCCEEDED, _E.PAYMENT_SUCCEEDED),
        Edge(_S.PROCESSING, _T.DECLINED, _S.REQUIRES_PAYMENT_METHOD, _E.PAYMENT_FAILED),
        Edge(_S.REQUIRES_ACTION, _T.DECLINED, _S.REQUIRES_PAYMENT_METHOD, _E.PAYMENT_FAILED),
        Edge(
            _S.AUTHORIZED,
            _T.DECLINED,
            _S.REQUIRES_PAYMENT_METHOD,
            _E.PAYMENT_FAILED,
            "the capture was definitely refused and the authorisation released",
        ),
        Edge(_S.PROCESSING, _T.EXHAUSTED, _S.FAILED, _E.PAYMENT_FAILED),
        Edge(_S.REQUIRES_ACTION, _T.EXHAUSTED, _S.FAILED, _E.PAYMENT_FAILED),
        Edge(_S.AUTHORIZED, _T.EXHAUSTED, _S.FAILED, _E.PAYMENT_FAILED),
        Edge(_S.REQUIRES_CAPTURE, _T.CAPTURE_STARTED, _S.PROCESSING, _E.INTENT_PROCESSING),
        Edge(_S.PROCESSING, _T.CAPTURE_FAILED, _S.REQUIRES_CAPTURE, _E.CAPTURE_FAILED),
        Edge(_S.REQUIRES_PAYMENT_METHOD, _T.CANCELED, _S.CANCELED, _E.INTENT_CANCELED),
        Edge(_S.REQUIRES_CONFIRMATION, _T.CANCELED, _S.CANCELED, _E.INTENT_CANCELED),
        Edge(_S.REQUIRES_ACTION, _T.RELEASED, _S.CANCELED, _E.INTENT_CANCELED, "void confirmed"),
        Edge(_S.REQUIRES_CAPTURE, _T.RELEASED, _S.CANCELED, _E.INTENT_CANCELED, "void confirmed"),
        Edge(
            _S.PROCESSING,
            _T.RELEASED,
            _S.CANCELED,
            _E.INTENT_CANCELED,
            "cancel was asked for while processing, and the outcome was voided",
        ),
        Edge(_S.AUTHORIZED, _T.RELEASED, _S.CANCELED, _E.INTENT_CANCELED, "likewise"),
    ),
)
