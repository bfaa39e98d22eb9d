"""PY-050 to PY-052: reconciliations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.kit.pagination import MAX_LIMIT
from app.services.treasury import reconciliations, resolutions
from app.services.treasury.resolutions import Decision
from app.web import periods
from app.web.job_views import JobAccepted
from app.web.reconciliation_views import ReconciliationView, ResolutionView, Resolved
from app.web.schemas import Body, Query


class ReconciliationCreate(Body):
    """What to compare: by default the last 35 days of every connector."""

    from_: periods.Since | None = Field(None, alias="from")
    to: periods.Until | None = None
    connector_id: str | None = Field(None, min_length=1, max_length=64)


class ReportQuery(Query):
    """Which items, and where to go on."""

    outcome: Literal["matched", "unmatched", "amount_mismatch", "duplicate", "missing"] | None = None
    resolved: bool | None = None
    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=200)


class ResolutionItem(Body):
    """A decision; `match` names the line of the statement that the transaction is."""

    transaction_id: str = Field(min_length=1, max_length=40)
    action: Literal["accept", "write_off", "match", "investigate"]
    note: str = Field("", max_length=1000)
    settlement_line_id: str | None = Field(None, min_length=1, max_length=40)


class Resolutions(Body):
    """Decisions, all of them or none."""

    items: list[ResolutionItem] = Field(min_length=1, max_length=100)


@surface.post(
    "/reconciliations",
    "PY-050",
    body=ReconciliationCreate,
    returns=JobAccepted,
    status=202,
    permission="reconciliations:write",
)
def create(actor: Actor, body: ReconciliationCreate) -> JobAccepted:
    """Compare captured transactions with settlement records, as a job."""
    run = reconciliations.create(actor, since=body.from_, until=body.to, connector_id=body.connector_id)
    return JobAccepted.of(run.id)


@surface.post(
    "/reconciliations/{job_id}/resolve",
    "PY-051",
    body=Resolutions,
    returns=Resolved,
    permission="reconciliations:write",
)
def resolve(actor: Actor, job_id: str, body: Resolutions) -> Resolved:
    """Decide about discrepancies by hand."""
    made = resolutions.resolve(actor, job_id, [Decision(**item.model_dump()) for item in body.items])
    return Resolved(
        job_id=job_id,
        items=[ResolutionView.of(row) for row in made],
        open=reconciliations.get(actor, job_id).open,
    )


@surface.get(
    "/reconciliations/{job_id}",
    "PY-052",
    query=ReportQuery,
    returns=ReconciliationView,
    permission="reconciliations:read",
)
def get(actor: Actor, job_id: str, query: ReportQuery) -> ReconciliationView:
    """Report what is matched, and what is not."""
    page = reconciliations.items(
        actor,
        job_id,
        limit=query.limit,
        cursor=query.cursor,
        outcome=query.outcome,
        resolved=query.resolved,
    )
    return ReconciliationView.of(reconciliations.get(actor, job_id), page.data, page.next_cursor)
