"""Finalisations: how far a checkout's last steps have come, and how far they were undone (OP-31, OP-78)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Where the last steps stand."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"


class Trigger(StrEnum):
    """What happens to a finalisation."""

    STARTED = "started"
    REMEMBERED = "remembered"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    ROLLBACK_STARTED = "rollback_started"
    UNDONE = "undone"
    ROLLBACK_FAILED = "rollback_failed"


_S, _T = Status, Trigger

#: It is being undone, or was, as far as that could be.
UNDOES = frozenset({_S.UNDOING, _S.UNDONE, _S.UNDO_FAILED})

LIFECYCLE = Lifecycle(
    "finalization",
    (
        Edge(None, _T.STARTED, _S.RUNNING),
        Edge(None, _T.REMEMBERED, _S.COMPLETED, note="a sale that finalised by itself, to be rolled back"),
        Edge(_S.RUNNING, _T.COMPLETED, _S.COMPLETED),
        Edge(_S.RUNNING, _T.FAILED, _S.FAILED, note="broke off; a capture that was asked for stands"),
        Edge(_S.RUNNING, _T.CANCELED, _S.CANCELED, note="its payment was canceled meanwhile"),
        Edge(_S.RUNNING, _T.ROLLBACK_STARTED, _S.UNDOING, note="broke off, or by hand"),
        Edge(_S.COMPLETED, _T.ROLLBACK_STARTED, _S.UNDOING),
        Edge(_S.FAILED, _T.ROLLBACK_STARTED, _S.UNDOING),
        Edge(_S.UNDOING, _T.UNDONE, _S.UNDONE),
        Edge(_S.UNDOING, _T.ROLLBACK_FAILED, _S.UNDO_FAILED, EventType.CHECKOUT_ROLLBACK_FAILED),
        Edge(_S.UNDO_FAILED, _T.ROLLBACK_STARTED, _S.UNDOING, note="tried again"),
    ),
)
