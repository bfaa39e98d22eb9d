"""Exports in JSON, as the surfaces answer them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.kit.clock import to_rfc3339
from app.models.operations.export import Export
from app.models.operations.job import Job
from app.services.operations import exports
from app.services.operations.exports import ExportDraft
from app.web.job_views import Word, word_of
from app.web.periods import Since, Until
from app.web.schemas import Body, Instant, View


class ExportSpan(Body):
    """When something was made: from `from` on, up to the last moment or day of `to`."""

    since: Since | None = Field(None, alias="from")
    until: Until | None = Field(None, alias="to")


class ExportAsk(Body):
    """In which format, to where: `local` is kept here for download."""

    destination: str = Field("local", min_length=1, max_length=300)
    format: Literal["csv", "json", "parquet", "qbo", "xero"] = "csv"

    def draft_of(self, dataset: str, query: ExportSpan) -> ExportDraft:
        """The draft that the service takes; what a query says beside its span filters the dataset."""
        return ExportDraft(
            dataset=dataset,
            format=self.format,
            destination=self.destination,
            since=query.since,
            until=query.until,
            filters=query.model_dump(exclude_none=True, exclude={"type", "since", "until"}),
        )


class ExportView(View):
    """An export. `download_url` opens the file without credentials for a quarter of an hour."""

    job_id: str
    status: Word
    type: str
    format: str
    destination: str
    query: dict[str, Any]
    rows: int
    size_bytes: int | None
    sha256: str | None
    created_at: Instant
    finished_at: Instant | None
    expires_at: Instant | None
    location: str | None
    download_url: str | None
    errors: list[str]

    @classmethod
    def of(cls, found: tuple[Export, Job]) -> ExportView:
        """The view of an export and its job."""
        export, job = found
        word = "succeeded" if export.finished_at else word_of(job)
        return cls.model_validate(
            {
                "job_id": export.job_id,
                "status": word,
                "type": export.dataset,
                "format": export.format,
                "destination": export.destination,
                "query": {**export.filters, "from": _text(export.since), "to": _text(export.until)},
                "rows": export.rows_written,
                "size_bytes": export.size_bytes,
                "sha256": export.sha256,
                "created_at": export.created_at,
                "finished_at": export.finished_at,
                "expires_at": export.expires_at,
                "location": exports.location(export),
                "download_url": exports.link(export),
                "errors": exports.problems(job),
            }
        )


def _text(instant: datetime | None) -> str | None:
    return to_rfc3339(instant) if instant else None
