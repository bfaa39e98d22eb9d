"""Reservations: stock held for a checkout; partial is a flag, extension an event (decision 5)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Where a hold stands."""

    ACTIVE = "active"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"
    RETURNED = "returned"


class Trigger(StrEnum):
    """What happens to a hold."""

    CREATED = "created"
    EXTENDED = "extended"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"
    RETURNED = "returned"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "reservation",
    (
        Edge(None, _T.CREATED, _S.ACTIVE),
        Edge(_S.ACTIVE, _T.EXTENDED, _S.ACTIVE),
        Edge(_S.ACTIVE, _T.CAPTURED, _S.CAPTURED),
        Edge(_S.ACTIVE, _T.RELEASED, _S.RELEASED),
        Edge(_S.ACTIVE, _T.EXPIRED, _S.EXPIRED),
        Edge(_S.CAPTURED, _T.RETURNED, _S.RETURNED),
    ),
)
