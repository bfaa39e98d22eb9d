"""Connectors of a merchant: in use, switched off, or unusable with a reason (OP-42)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The values of the payments surface, and `deleted`; only an active one takes new payments."""

    ACTIVE = "active"
    DISABLED = "disabled"
    ERROR = "error"
    DELETED = "deleted"


class Trigger(StrEnum):
    """What happens to a connector."""

    CREATED = "created"
    ENABLED = "enabled"
    DISABLED = "disabled"
    FAILED = "failed"
    RECOVERED = "recovered"
    DELETED = "deleted"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "connector",
    (
        Edge(None, _T.CREATED, _S.ACTIVE, EventType.CONNECTOR_CREATED),
        Edge(None, _T.CREATED, _S.ERROR, EventType.CONNECTOR_CREATED),
        Edge(_S.ACTIVE, _T.DISABLED, _S.DISABLED),
        Edge(_S.ACTIVE, _T.FAILED, _S.ERROR),
        Edge(_S.ERROR, _T.RECOVERED, _S.ACTIVE),
        Edge(_S.ERROR, _T.ENABLED, _S.ACTIVE),
        Edge(_S.ERROR, _T.DISABLED, _S.DISABLED),
        Edge(_S.DISABLED, _T.ENABLED, _S.ACTIVE),
        Edge(_S.ACTIVE, _T.DELETED, _S.DELETED),
        Edge(_S.DISABLED, _T.DELETED, _S.DELETED),
        Edge(_S.ERROR, _T.DELETED, _S.DELETED),
    ),
)
