"""How a reconciliation looks in JSON (contract/payments.md 3.7)."""

from __future__ import annotations

from app.models.treasury.reconciliation import Resolution
from app.services.treasury.reconciliations import Entry, Report
from app.web.schemas import Instant, View


class ResolutionView(View):
    """What was decided; `amount` is what was taken off the gateway's account, in minor units."""

    transaction_id: str
    outcome: str
    action: str
    note: str
    amount: int
    matched_to: str | None
    final: bool
    decided_by: str
    decided_at: Instant

    @classmethod
    def of(cls, row: Resolution) -> ResolutionView:
        """The view of a row."""
        return cls.model_construct(
            transaction_id=row.subject_id,
            outcome=row.outcome,
            action=row.action,
            note=row.note,
            amount=row.amount,
            matched_to=row.matched_to,
            final=row.final,
            decided_by=row.decided_by,
            decided_at=row.decided_at,
        )


class ReconciliationItemView(View):
    """One line of the report. `transaction_id` is ours, or the line's own id where it belongs to nothing."""

    transaction_id: str
    settlement_line_id: str | None
    settlement_id: str | None
    outcome: str
    type: str
    connector_id: str
    gateway_reference: str | None
    currency: str
    expected_amount: int | None
    actual_amount: int | None
    occurred_at: Instant
    resolution: ResolutionView | None

    @classmethod
    def of(cls, entry: Entry) -> ReconciliationItemView:
        """The view of an item and what was decided about it."""
        row, resolution = entry
        return cls.model_construct(
            transaction_id=row.transaction_id or row.subject_id,
            settlement_line_id=row.line_id,
            settlement_id=row.settlement_id,
            outcome=row.outcome,
            type=row.type,
            connector_id=row.connector_id,
            gateway_reference=row.reference,
            currency=row.currency,
            expected_amount=row.expected,
            actual_amount=row.actual,
            occurred_at=row.occurred_at,
            resolution=ResolutionView.of(resolution) if resolution else None,
        )


class SummaryRow(View):
    """How many there are of one outcome in one currency, and what they come to."""

    outcome: str
    currency: str
    count: int
    expected_amount: int
    actual_amount: int


class ReconciliationView(View):
    """A run, its summary once it is done, and a page of its items; `open` discrepancies want a decision."""

    job_id: str
    status: str
    error: str | None
    connector_id: str | None
    period_start: Instant
    period_end: Instant
    open: int
    summary: list[SummaryRow] | None
    created_at: Instant
    finished_at: Instant | None
    items: list[ReconciliationItemView]
    has_more: bool
    next_cursor: str | None

    @classmethod
    def of(cls, report: Report, entries: list[Entry], next_cursor: str | None) -> ReconciliationView:
        """The view of a report and some of its items."""
        run = report.run
        return cls.model_construct(
            job_id=run.id,
            status=report.status,
            error=report.error,
            connector_id=run.connector_id,
            period_start=run.from_,
            period_end=run.to,
            open=report.open,
            summary=_summary(run.summary) if run.summary is not None else None,
            created_at=run.created_at,
            finished_at=run.finished_at,
            items=[ReconciliationItemView.of(entry) for entry in entries],
            has_more=next_cursor is not None,
            next_cursor=next_cursor,
        )


class Resolved(View):
    """What is decided now, and how many discrepancies of the run are left."""

    job_id: str
    items: list[ResolutionView]
    open: int


def _summary(rows: list[dict[str, object]]) -> list[SummaryRow]:
    return [
        SummaryRow.model_validate({**row, "expected_amount": row["expected"], "actual_amount": row["actual"]})
        for row in rows
    ]
