"""PY-084 to PY-086: health, diagnostics, audit."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.permissions import AUDIT_READ
from app.kit import clock
from app.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from app.services.events import inspection
from app.services.events.inspection import Filters, Proven
from app.services.operations.health import State
from app.services.payments import diagnostics, probes
from app.services.payments.diagnostics import Diagnosis
from app.web.periods import Since, Until
from app.web.schemas import Instant, Listing, Query, View


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


@surface.get("/health", "PY-084", returns=HealthView, permission="health:read")
def health(actor: Actor) -> HealthView:
    """Try database, gateways, vault, job queue, webhook delivery and reconciliation worker."""
    found = probes.check(actor)
    parts = {
        name: PartView(status=part.state, latency_ms=part.latency_ms, details=part.details)
        for name, part in found.parts.items()
    }
    return HealthView(status=found.state, checked_at=clock.now(), components=parts)


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


class AuditQuery(Query):
    """What is looked for; `action` is an event type, or all of a kind as `api_key.*`."""

    actor: str | None = Field(None, min_length=1, max_length=64)
    action: str | None = Field(None, min_length=1, max_length=64)
    since: Since | None = Field(None, alias="from")
    until: Until | None = Field(None, alias="to")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=128)


class AuditEntryView(View):
    """An entry with its place in the hash chain; `intact` is null until it has one."""

    id: str
    action: str
    entity: str
    entity_id: str
    actor: str
    actor_kind: str
    on_behalf_of: str | None
    cause: str
    from_status: str | None
    to_status: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: str
    created_at: Instant
    sequence: int | None
    previous_hash: str | None
    hash: str | None
    intact: bool | None

    @classmethod
    def of(cls, found: Proven) -> AuditEntryView:
        """The view of an entry."""
        row = found.entry
        return cls(
            id=row.id,
            action=row.type,
            entity=row.entity,
            entity_id=row.entity_id,
            actor=row.actor_id,
            actor_kind=row.actor_kind,
            on_behalf_of=row.on_behalf_of,
            cause=row.cause,
            from_status=row.from_status,
            to_status=row.to_status,
            before=row.data.get("before"),
            after=row.data.get("after"),
            correlation_id=row.correlation_id,
            created_at=row.created_at,
            sequence=row.sequence,
            previous_hash=found.previous_hash,
            hash=row.hash,
            intact=found.intact,
        )


@surface.get("/audit", "PY-086", query=AuditQuery, returns=Listing[AuditEntryView], permission=AUDIT_READ)
def audit(actor: Actor, query: AuditQuery) -> Listing[AuditEntryView]:
    """Search the audit by actor, action and time."""
    filters = Filters(query.actor, query.action, query.since, query.until)
    page = inspection.search(actor, filters, limit=query.limit, cursor=query.cursor)
    rows = [AuditEntryView.of(row) for row in page.data]
    return Listing[AuditEntryView](data=rows, has_more=page.has_more, next_cursor=page.next_cursor)
