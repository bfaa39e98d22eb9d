"""Settlements: a gateway's statement, from its arrival until every line of it is accounted for (OP-42)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The values of the payments surface."""

    PENDING = "pending"
    POSTED = "posted"
    RECONCILED = "reconciled"


class Trigger(StrEnum):
    """What happens to a settlement."""

    RECEIVED = "received"
    POSTED = "posted"
    RECONCILED = "reconciled"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "settlement",
    (
        Edge(None, _T.RECEIVED, _S.PENDING, note="its lines are being read, or its money is not there yet"),
        Edge(_S.PENDING, _T.POSTED, _S.POSTED, note="read to the end, and its day of availability has come"),
        Edge(_S.POSTED, _T.RECONCILED, _S.RECONCILED, note="each line is matched or resolved"),
    ),
)
