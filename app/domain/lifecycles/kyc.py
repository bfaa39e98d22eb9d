"""Identity checks of buyers: pending until documents are there, submitted until somebody decides (OP-42)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The values of the contract."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"


class Trigger(StrEnum):
    """What happens to a check."""

    STARTED = "started"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"


_S, _T = Status, Trigger

#: Somebody still has to do something.
OPEN = frozenset({_S.PENDING, _S.SUBMITTED})

LIFECYCLE = Lifecycle(
    "kyc",
    (
        Edge(None, _T.STARTED, _S.PENDING),
        Edge(_S.PENDING, _T.SUBMITTED, _S.SUBMITTED),
        Edge(_S.PENDING, _T.APPROVED, _S.APPROVED, note="a provider may look at documents of its own"),
        Edge(_S.PENDING, _T.REJECTED, _S.REJECTED),
        Edge(_S.SUBMITTED, _T.APPROVED, _S.APPROVED),
        Edge(_S.SUBMITTED, _T.REJECTED, _S.REJECTED),
    ),
)
