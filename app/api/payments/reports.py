"""PY-076 to PY-078: what payments came to, and exports of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import ConfigDict, Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.operations import exports, payment_metrics
from app.services.operations.payment_metrics import Measures, Report
from app.web.export_views import ExportAsk, ExportSpan, ExportView
from app.web.periods import Since, Until
from app.web.schemas import Instant, Query, View


class MetricsQuery(Query):
    """A span, by default of the last 30 days, and how to divide it."""

    since: Since | None = Field(None, alias="from")
    until: Until | None = Field(None, alias="to")
    group_by: Literal["day", "week", "month", "connector", "currency", "method"] | None = None


class MeasuresView(View):
    """Rates from 0 to 1, null where nothing can be divided; the delay in seconds."""

    payments_count: int
    success_rate: float | None
    decline_rate: float | None
    chargeback_rate: float | None
    avg_settlement_delay: int | None
    avg_authorization_latency_ms: int | None
    three_ds_challenge_rate: float | None
    refund_failure_rate: float | None
    dispute_win_rate: float | None


class GroupView(MeasuresView):
    """The measures of one group; a week is named by its Monday, a connector by its id or else its type."""

    key: str

    @classmethod
    def of(cls, key: str, measures: Measures) -> GroupView:
        """The view of a group."""
        return cls(key=key, **asdict(measures))


class DeclineReasonView(View):
    """How many attempts were declined for a reason."""

    code: str
    count: int


class MetricsView(MeasuresView):
    """The measures of a span, as a whole and by group and connector."""

    model_config = ConfigDict(serialize_by_alias=True)

    since: Instant = Field(alias="from")
    until: Instant = Field(alias="to")
    group_by: str | None
    groups: list[GroupView]
    connectors: list[GroupView]
    decline_reasons: list[DeclineReasonView]

    @classmethod
    def of(cls, found: Report, group_by: str | None) -> MetricsView:
        """The view of a report."""
        return cls.model_validate(
            {
                **asdict(found.total),
                "from": found.since,
                "to": found.until,
                "group_by": group_by,
                "groups": [GroupView.of(*group) for group in found.groups],
                "connectors": [GroupView.of(*group) for group in found.connectors],
                "decline_reasons": [{"code": code, "count": count} for code, count in found.decline_reasons],
            }
        )


@surface.get("/metrics", "PY-076", query=MetricsQuery, returns=MetricsView, permission="reports:read")
def metrics(actor: Actor, query: MetricsQuery) -> MetricsView:
    """See what payments came to: counts, rates, latencies, reasons."""
    found = payment_metrics.report(actor, since=query.since, until=query.until, group_by=query.group_by)
    return MetricsView.of(found, query.group_by)


class ExportQuery(ExportSpan):
    """Which rows: `from` and `to` by the time of their creation, the others by what they are."""

    type: Literal["transactions", "settlements", "chargebacks"] = "transactions"
    status: str | None = Field(None, min_length=1, max_length=32)
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    connector: str | None = Field(None, min_length=1, max_length=40)


class ExportCreate(ExportAsk):
    """What to export, in which format, to where."""

    query: ExportQuery = Field(default_factory=ExportQuery)


@surface.post(
    "/exports", "PY-077", body=ExportCreate, returns=ExportView, status=202, permission="exports:write"
)
def create(actor: Actor, body: ExportCreate) -> ExportView:
    """Export transactions, settlements or chargebacks to a file, by a job."""
    return ExportView.of(exports.create(actor, body.draft_of(body.query.type, body.query)))


@surface.get("/exports/{job_id}", "PY-078", returns=ExportView, permission="exports:read")
def get(actor: Actor, job_id: str) -> ExportView:
    """See how far an export is, and where to get it."""
    return ExportView.of(exports.get(actor, job_id))
