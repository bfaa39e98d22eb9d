"""Checkout sessions: contract/checkout.md 2.2 and reliability.md, as one table."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The seven states of the checkout surface."""

    CREATED = "created"
    COLLECTING = "collecting"
    RESERVED = "reserved"
    PAYMENT_PROCESSING = "payment_processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class Trigger(StrEnum):
    """What happens to a session."""

    CREATED = "created"
    EDITED = "edited"
    RESERVED = "reserved"
    HOLD_LAPSED = "hold_lapsed"
    PAYMENT_STARTED = "payment_started"
    DECLINED = "declined"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    RESOLVED = "resolved"
    RESOLVED_HELD = "resolved_held"
    OVERRIDDEN = "overridden"
    ROLLED_BACK = "rolled_back"


_S, _T, _E = Status, Trigger, EventType

#: May still be edited and paid.
OPEN = frozenset({_S.CREATED, _S.COLLECTING, _S.RESERVED})

LIFECYCLE = Lifecycle(
    "checkout",
    (
        Edge(None, _T.CREATED, _S.CREATED, _E.CHECKOUT_CREATED),
        Edge(_S.CREATED, _T.EDITED, _S.COLLECTING),
        Edge(_S.CREATED, _T.RESERVED, _S.RESERVED),
        Edge(_S.COLLECTING, _T.RESERVED, _S.RESERVED),
        Edge(_S.RESERVED, _T.HOLD_LAPSED, _S.COLLECTING, note="edited, released, or the hold lapsed"),
        Edge(_S.CREATED, _T.PAYMENT_STARTED, _S.PAYMENT_PROCESSING),
        Edge(_S.COLLECTING, _T.PAYMENT_STARTED, _S.PAYMENT_PROCESSING),
        Edge(_S.RESERVED, _T.PAYMENT_STARTED, _S.PAYMENT_PROCESSING),
        Edge(_S.PAYMENT_PROCESSING, _T.DECLINED, _S.RESERVED, note="attempts left"),
        Edge(_S.COLLECTING, _T.COMPLETED, _S.COMPLETED, _E.CHECKOUT_COMPLETED, "nothing left to pay"),
        Edge(_S.RESERVED, _T.COMPLETED, _S.COMPLETED, _E.CHECKOUT_COMPLETED),
        Edge(_S.PAYMENT_PROCESSING, _T.COMPLETED, _S.COMPLETED, _E.CHECKOUT_COMPLETED),
        Edge(_S.RESERVED, _T.FAILED, _S.FAILED, _E.CHECKOUT_FAILED, "finalisation broke off"),
        Edge(_S.PAYMENT_PROCESSING, _T.FAILED, _S.FAILED, _E.CHECKOUT_FAILED),
        Edge(_S.CREATED, _T.CANCELED, _S.CANCELED, _E.CHECKOUT_CANCELED),
        Edge(_S.COLLECTING, _T.CANCELED, _S.CANCELED, _E.CHECKOUT_CANCELED),
        Edge(_S.RESERVED, _T.CANCELED, _S.CANCELED, _E.CHECKOUT_CANCELED),
        Edge(_S.PAYMENT_PROCESSING, _T.CANCELED, _S.CANCELED, _E.CHECKOUT_CANCELED, "after the void"),
        Edge(_S.FAILED, _T.CANCELED, _S.CANCELED, _E.CHECKOUT_CANCELED),
        Edge(_S.FAILED, _T.RESOLVED, _S.COLLECTING),
        Edge(_S.FAILED, _T.RESOLVED_HELD, _S.RESERVED, note="resolved while its hold is still alive"),
        Edge(_S.FAILED, _T.OVERRIDDEN, _S.COMPLETED, _E.CHECKOUT_COMPLETED, "manual override, audited"),
        Edge(_S.COMPLETED, _T.ROLLED_BACK, _S.FAILED, _E.CHECKOUT_FAILED, "OP-78"),
    ),
)


def merchant_word(status: str, cancel_reason: str | None) -> str:
    """The status as the merchant surface says it (OP-01)."""
    if status == _S.CANCELED:
        return "expired" if cancel_reason == "expired" else "canceled"
    return status if status in (_S.COMPLETED, _S.FAILED) else "pending"


def hosted_word(status: str, *, lapsed: bool) -> str:
    """The status as the sessions surface says it: open, complete or expired (OP-01)."""
    if status == _S.COMPLETED:
        return "complete"
    if status == _S.CANCELED or (lapsed and status != _S.PAYMENT_PROCESSING):
        return "expired"
    return "open"
