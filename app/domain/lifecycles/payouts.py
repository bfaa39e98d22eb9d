"""Payouts: money on its way to the merchant."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The values of the payments surface."""

    PENDING = "pending"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"


class Trigger(StrEnum):
    """What happens to a payout."""

    CREATED = "created"
    SUBMITTED = "submitted"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "payout",
    (
        Edge(None, _T.CREATED, _S.PENDING),
        Edge(_S.PENDING, _T.SUBMITTED, _S.PROCESSING),
        Edge(_S.PROCESSING, _T.PAID, _S.PAID),
        Edge(_S.PROCESSING, _T.FAILED, _S.FAILED),
        Edge(_S.PAID, _T.RETURNED, _S.FAILED),
    ),
)
