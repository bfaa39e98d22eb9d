"""Health in JSON: the parts and the worst of them."""

from __future__ import annotations

from typing import Any

from app.kit import clock
from app.services.operations.health import State
from app.services.operations.probing import Health
from app.web.schemas import Instant, View


class PartView(View):
    """One part; `latency_ms` is null where it did not answer in time."""

    status: State
    latency_ms: int | None
    details: dict[str, Any]


class HealthView(View):
    """How the parts do, and the worst of them as the whole."""

    status: State
    checked_at: Instant
    components: dict[str, PartView]

    @classmethod
    def of(cls, found: Health) -> HealthView:
        """The view of what was found just now."""
        parts = {
            name: PartView(status=part.state, latency_ms=part.latency_ms, details=part.details)
            for name, part in found.parts.items()
        }
        return cls(status=found.state, checked_at=clock.now(), components=parts)
