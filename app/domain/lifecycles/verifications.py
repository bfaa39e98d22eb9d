"""Proofs that a payment method belongs to the customer: pending until the gateway has decided (PY-007)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The values of the payments surface."""

    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"


class Trigger(StrEnum):
    """What happens to a proof."""

    STARTED = "started"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


LIFECYCLE = Lifecycle(
    "method_verification",
    (
        Edge(None, Trigger.STARTED, Status.PENDING),
        Edge(Status.PENDING, Trigger.CONFIRMED, Status.VERIFIED),
        Edge(Status.PENDING, Trigger.REFUSED, Status.FAILED),
    ),
)
