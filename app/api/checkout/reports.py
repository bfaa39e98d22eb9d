"""CK-064, CK-065: what became of checkouts, and exports of what happened to them."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.operations import checkout_metrics, exports
from app.services.operations.checkout_metrics import Funnel
from app.web.export_views import ExportAsk, ExportSpan, ExportView
from app.web.periods import Before, Since
from app.web.schemas import Instant, Query, View


class MetricsQuery(Query):
    """A span, by default of the last 30 days: `from` belongs to it, `to` does not, a day of `to` does."""

    since: Since | None = Field(None, alias="from")
    until: Before | None = Field(None, alias="to")


class AbandonedStepView(View):
    """How many checkouts were abandoned when they had come so far, and their share of the abandoned ones."""

    step: Literal["cart", "address", "delivery", "payment"]
    count: int
    share: float | None


class MetricsView(View):
    """Checkouts that were begun in the span, and what has become of them by now.

    Abandoned are those that ended without a purchase: expired, canceled, failed, or sold and taken back.
    The rates, from 0 to 1, are of the checkouts that have ended, and null where none has. Seconds from the
    creation of a checkout to its completion are `avg_time_to_purchase`. Attempts and challenges are those
    that were made in the span.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    since: Instant = Field(alias="from")
    until: Instant = Field(alias="to")
    checkout_initiated: int
    completed: int
    abandoned: int
    open: int
    payment_attempts: int
    three_ds_challenges: int = Field(alias="3ds_challenges")
    abandon_rate: float | None
    conversion_rate: float | None
    avg_time_to_purchase: int | None
    abandoned_by_step: list[AbandonedStepView]

    @classmethod
    def of(cls, found: Funnel) -> MetricsView:
        """The view of a funnel."""
        names = set(cls.model_fields) - {"since", "until", "three_ds_challenges", "abandoned_by_step"}
        total = found.abandoned
        steps = [
            AbandonedStepView.model_validate({"step": step, "count": count, "share": _share(count, total)})
            for step, count in found.abandoned_by_step.items()
        ]
        return cls.model_validate(
            {
                **{name: getattr(found, name) for name in names},
                "from": found.since,
                "to": found.until,
                "3ds_challenges": found.three_ds_challenges,
                "abandoned_by_step": steps,
            }
        )


def _share(count: int, total: int) -> float | None:
    return round(count / total, 4) if total else None


class ExportQuery(ExportSpan):
    """Which rows: `from` and `to` by the time of the event, the others by what they are.

    `event` and `checkout_id` are for events, `currency`, `reason` and `status` (of the session by now) for
    failed sessions.
    """

    type: Literal["checkout_events", "failed_sessions"] = "checkout_events"
    event: str | None = Field(None, min_length=1, max_length=64)
    checkout_id: str | None = Field(None, min_length=1, max_length=40)
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    reason: str | None = Field(None, min_length=1, max_length=64)
    status: str | None = Field(None, min_length=1, max_length=32)


class ExportCreate(ExportAsk):
    """What to export, in which format, to where."""

    query: ExportQuery = Field(default_factory=ExportQuery)


@surface.get("/metrics", "CK-064", query=MetricsQuery, returns=MetricsView, permission="reports:read")
def metrics(actor: Actor, query: MetricsQuery) -> MetricsView:
    """See how many checkouts were begun, bought and abandoned, where, and how long buying took."""
    return MetricsView.of(checkout_metrics.funnel(actor, since=query.since, until=query.until))


@surface.post(
    "/exports", "CK-065", body=ExportCreate, returns=ExportView, status=202, permission="exports:write"
)
def export(actor: Actor, body: ExportCreate) -> ExportView:
    """Export events of checkouts, or sessions that failed, by a job: `GET /jobs/{job_id}` follows it."""
    return ExportView.of(exports.create(actor, body.draft_of(body.query.type, body.query)))
