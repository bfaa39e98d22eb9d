"""Webhook deliveries: leased, retried, delivered or exhausted; a replay is a new row."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    LEASED = "leased"
    RETRY_WAIT = "retry_wait"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"


class Trigger(StrEnum):
    """What happens to a delivery."""

    CREATED = "created"
    LEASED = "leased"
    LAPSED = "lapsed"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    EXHAUSTED = "exhausted"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "delivery",
    (
        Edge(None, _T.CREATED, _S.PENDING),
        Edge(_S.PENDING, _T.LEASED, _S.LEASED),
        Edge(_S.RETRY_WAIT, _T.LEASED, _S.LEASED),
        Edge(_S.LEASED, _T.LAPSED, _S.PENDING),
        Edge(_S.LEASED, _T.DELIVERED, _S.DELIVERED),
        Edge(_S.LEASED, _T.DEFERRED, _S.RETRY_WAIT),
        Edge(_S.LEASED, _T.EXHAUSTED, _S.EXHAUSTED),
        Edge(_S.PENDING, _T.EXHAUSTED, _S.EXHAUSTED),
        Edge(_S.RETRY_WAIT, _T.EXHAUSTED, _S.EXHAUSTED),
    ),
)
