"""Which payment a gateway's event is about, read before the event is trusted: beside base.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from app.connectors.base import ReceivesWebhooks


@dataclass(frozen=True, slots=True)
class EventSubject:
    """A payment, by our authorise key or by the gateway's own id of it."""

    attempt_key: str | None = None
    payment_reference: str | None = None


@runtime_checkable
class NamesSubjects(ReceivesWebhooks, Protocol):
    """Receives webhooks, and can tell whose secret verifies one."""

    def subject(self, raw: bytes) -> EventSubject:
        """What a body says that it is about."""
        ...
