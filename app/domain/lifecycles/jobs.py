"""Jobs: leased with a fencing token; a lapsed lease puts them back in the queue."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    LEASED = "leased"
    RETRY_WAIT = "retry_wait"
    DONE = "done"
    DEAD = "dead"


class Trigger(StrEnum):
    """What happens to a job."""

    CREATED = "created"
    LEASED = "leased"
    LAPSED = "lapsed"
    DONE = "done"
    DEFERRED = "deferred"
    BURIED = "buried"
    DUE = "due"
    REVIVED = "revived"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "job",
    (
        Edge(None, _T.CREATED, _S.QUEUED),
        Edge(_S.QUEUED, _T.LEASED, _S.LEASED),
        Edge(_S.LEASED, _T.LAPSED, _S.QUEUED),
        Edge(_S.LEASED, _T.DONE, _S.DONE),
        Edge(_S.LEASED, _T.DEFERRED, _S.RETRY_WAIT),
        Edge(_S.LEASED, _T.BURIED, _S.DEAD),
        Edge(_S.RETRY_WAIT, _T.LEASED, _S.LEASED),
        Edge(_S.RETRY_WAIT, _T.DUE, _S.QUEUED),
        Edge(_S.DEAD, _T.REVIVED, _S.QUEUED),
    ),
)
