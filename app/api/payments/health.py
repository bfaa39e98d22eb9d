"""PY-084 to PY-086: health, diagnostics, audit."""

from __future__ import annotations

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.permissions import AUDIT_READ
from app.services.payments import diagnostics, probes
from app.services.payments.diagnostics import Diagnosis
from app.web import audit_views
from app.web.audit_views import AuditEntryView, AuditQuery
from app.web.health_views import HealthView
from app.web.schemas import Instant, Listing, View, pages_of


@surface.get("/health", "PY-084", returns=HealthView, permission="health:read")
def health(actor: Actor) -> HealthView:
    """Try database, gateways, vault, job queue, webhook delivery and reconciliation worker."""
    return HealthView.of(probes.check(actor))


class WaitingView(View):
    """How many stand in a status; `needs_review` of them want a person."""

    status: str
    count: int
    oldest_at: Instant | None
    needs_review: int


class InFlightView(View):
    """A payment that waits for a gateway or a shopper."""

    intent_id: str
    status: str
    created_at: Instant


class FailureView(View):
    """Attempts of the last day that were declined."""

    connector: str
    code: str
    count: int


class LatencyView(View):
    """Authorisations of the last day that did not wait for a shopper."""

    connector: str
    count: int
    average_ms: int
    longest_ms: int


class DiagnosticsView(View):
    """Where payments stand right now."""

    in_flight: list[WaitingView]
    oldest_in_flight: list[InFlightView]
    failed_attempts: list[FailureView]
    gateway_latencies: list[LatencyView]
    queued_refunds: list[WaitingView]

    @classmethod
    def of(cls, found: Diagnosis) -> DiagnosticsView:
        """The view of a diagnosis."""
        oldest = [
            InFlightView(intent_id=intent_id, status=status, created_at=at)
            for intent_id, status, at in found.oldest
        ]
        return cls.model_validate(
            {
                "in_flight": found.in_flight,
                "oldest_in_flight": oldest,
                "failed_attempts": found.failed_attempts,
                "gateway_latencies": found.latencies,
                "queued_refunds": found.queued_refunds,
            }
        )


@surface.get("/diagnostics", "PY-085", returns=DiagnosticsView, permission="health:read")
def diagnose(actor: Actor) -> DiagnosticsView:
    """See intents in flight, failed attempts, gateway latencies and queued refunds."""
    return DiagnosticsView.of(diagnostics.diagnose(actor))


@surface.get("/audit", "PY-086", query=AuditQuery, returns=pages_of(AuditEntryView), permission=AUDIT_READ)
def audit(actor: Actor, query: AuditQuery) -> Listing[AuditEntryView]:
    """Search the audit by actor, action and time."""
    return audit_views.search(actor, query)
