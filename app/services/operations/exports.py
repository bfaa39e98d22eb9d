"""Exports: asked for, written by a job, kept for a while (PY-077, PY-078, CK-065, OP-48).

The job writes a draft in chunks and then puts it at its place in one step, so that nobody ever sees half a
file; a worker that dies leaves a draft that the next one drops.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Gone, InvalidRequest, NotFound, ServiceUnavailable, Unprocessable
from app.domain.lifecycles import jobs as job_lifecycle
from app.kit import clock, signing
from app.kit.failpoints import failpoint
from app.kit.ids import new_id, random_token
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.access.tenant import Tenant
from app.models.events.journal import record
from app.models.operations.export import Export
from app.models.operations.job import Job
from app.services.operations import jobs
from app.services.operations.exporting import checkouts, datasets, places
from app.services.operations.exporting.files import FORMATS
from app.services.operations.settings import checkout_settings

#: So many of one merchant and mode may wait or run.
MAX_OPEN = 10
MAX_TRIES = 5
#: How long a link to a file opens it.
LINK_SECONDS = 900
#: Progress is written after each so many rows.
PROGRESS_ROWS = 5000

#: What can be exported, by name.
DATASETS = {**datasets.DATASETS, **checkouts.DATASETS}

#: The name of the job that writes one.
JOB = "exports.run"
_LINK = "export"
_J = job_lifecycle.Status
_OPEN = (_J.QUEUED, _J.LEASED, _J.RETRY_WAIT)


@dataclass(frozen=True, slots=True)
class ExportDraft:
    """What is asked for; without `until` everything up to now."""

    dataset: str
    format: str
    destination: str = places.LOCAL
    since: datetime | None = None
    until: datetime | None = None
    filters: dict[str, str] | None = None


def create(actor: Actor, draft: ExportDraft) -> tuple[Export, Job]:
    """Ask for an export; a job writes it.

    Raises:
        InvalidRequest: the span is empty, or the destination no address.
        Unprocessable: dataset, format, filter or destination that cannot be served here.
    """
    _check(draft)
    places.check(actor, draft.destination)
    export = _row(actor, draft)
    with transaction(actor) as db:
        _refuse_too_many(db, actor)
        db.add(export)
        jobs.enqueue(
            db,
            JOB,
            {"export_id": export.id},
            tenant_id=export.tenant_id,
            mode=export.mode,
            max_tries=MAX_TRIES,
            job_id=export.job_id,
        )
        _note(db, export, "export.created", str(actor.kind), _facts(export))
        db.flush()
        return export, db.get_one(Job, export.job_id)


def _row(actor: Actor, draft: ExportDraft) -> Export:
    now = clock.now()
    return Export(
        id=new_id("exp"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        job_id=new_id("job"),
        dataset=draft.dataset,
        format=draft.format,
        filters=draft.filters or {},
        since=draft.since,
        until=min(draft.until or now, now),
        destination=draft.destination,
        created_by=actor.id,
        rows_written=0,
        runs=0,
    )


def _refuse_too_many(db: Session, actor: Actor) -> None:
    mine = (Export.tenant_id == actor.tenant_id, Export.mode == actor.mode, Export.finished_at.is_(None))
    waiting = select(func.count()).select_from(Export).join(Job, Job.id == Export.job_id)
    if (db.scalar(waiting.where(*mine, Job.status.in_(_OPEN))) or 0) >= MAX_OPEN:
        raise Unprocessable(f"{MAX_OPEN} exports are under way already", code="too_many_exports")


def get(actor: Actor, job_id: str) -> tuple[Export, Job]:
    """An export and its job.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    statement = (
        select(Export, Job)
        .join(Job, Job.id == Export.job_id)
        .where(Export.job_id == job_id, Export.tenant_id == actor.tenant_id, Export.mode == actor.mode)
    )
    with reading() as db:
        found = db.execute(statement).one_or_none()
    if found is None:
        raise NotFound("Export not found", code="export_not_found")
    return found[0], found[1]


def list_page(
    actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[tuple[Export, Job]]:
    """Exports of this merchant with their jobs, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = (
        select(Export, Job)
        .join(Job, Job.id == Export.job_id)
        .where(Export.tenant_id == actor.tenant_id, Export.mode == actor.mode)
    )
    if cursor:
        last = decode_cursor(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(Export.id < last)
    with reading() as db:
        found = db.execute(statement.order_by(Export.id.desc()).limit(limit + 1))
        rows = [(export, job) for export, job in found]
    return Page(rows[:limit], encode_cursor(rows[limit - 1][0].id) if len(rows) > limit else None)


def result(actor: Actor, job_id: str) -> dict[str, Any] | None:
    """What has come of the export of a job, for whoever reads the job; None until its file is there."""
    export, _ = get(actor, job_id)
    if export.finished_at is None:
        return None
    return {
        "type": export.dataset,
        "format": export.format,
        "rows": export.rows_written,
        "size_bytes": export.size_bytes,
        "sha256": export.sha256,
        "location": location(export),
        "download_url": link(export),
        "expires_at": clock.to_rfc3339(export.expires_at) if export.expires_at else None,
    }


def link(export: Export) -> str | None:
    """A URL that opens a finished export for a quarter of an hour; None while or when there is no file."""
    if export.finished_at is None or export.expires_at is None:
        return None
    if export.destination != places.LOCAL:
        return places.presigned(export.destination, file_name(export), LINK_SECONDS)
    ends = int(clock.now().timestamp()) + LINK_SECONDS
    token = signing.sign_token(_LINK, {"e": export.id, "exp": ends}, settings.current().signing_key)
    return f"{settings.current().base_url}/exports/{token}"


def location(export: Export) -> str | None:
    """Where a finished export lies in an object store."""
    return places.location(export.destination, file_name(export)) if export.finished_at else None


def problems(job: Job) -> list[str]:
    """Why it did not work so far, in words that name nothing of the machine."""
    told = [str(error["error"]).partition(": ") for error in job.errors]
    return [text if kind == ServiceUnavailable.__name__ else "Something went wrong" for kind, _, text in told]


def open_link(token: str) -> tuple[Path, str, str]:
    """The file behind a link: path, name and media type.

    Raises:
        NotFound: not a link of ours, or its time is up.
        Gone: the file is no longer kept, or lies on another machine.
    """
    claims = signing.read_token(_LINK, token, settings.current().signing_key, clock.now())
    if claims is None:
        raise NotFound("This link is not valid, or its time is up")
    with reading() as db:
        export = db.get(Export, claims["e"])
    if export is None:
        raise NotFound
    path = places.folder() / file_name(export)
    if export.expires_at is None or not path.is_file():
        raise Gone("This export is no longer kept here", code="export_gone")
    return path, file_name(export), FORMATS[export.format].media_type


def file_name(export: Export) -> str:
    """`till-transactions-20250829-job_….csv`."""
    day = f"{export.until:%Y%m%d}"
    return f"till-{export.dataset}-{day}-{export.job_id}.{FORMATS[export.format].suffix}"


def run(export_id: str) -> None:
    """Write an export and put it at its place; the job `exports.run`. What is done is not done again.

    Raises:
        ServiceUnavailable: disk or store did not take it; the job runs again.
    """
    with transaction() as db:
        export = db.get_one(Export, export_id, with_for_update=True)
        if export.finished_at is not None:
            return
        export.runs += 1
        export.rows_written, export.rows_expected = 0, None
        profile = db.get_one(Tenant, export.tenant_id).profile(export.mode)
        accounts = dict(checkout_settings(profile).gl_accounts)
    _note_progress(export.id, rows_expected=_expected(export))
    _drop_drafts(f".{export.id}-*")
    draft = places.folder() / f".{export.id}-{random_token(6)}.part"
    try:
        count = _write(export, draft, accounts)
        size, digest = draft.stat().st_size, _digest(draft)
        failpoint("export_written")
        places.deliver(draft, export.destination, file_name(export))
        failpoint("export_delivered")
    except OSError as error:
        raise ServiceUnavailable(f"The file could not be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    _finish(export, count, size, digest)


def clean() -> int:
    """Delete files whose time is up, and drafts that nobody finished. Returns how many exports expired."""
    _drop_drafts(".*.part", older_than=timedelta(days=1))
    statement = select(Export).where(Export.expires_at < clock.now()).limit(500)
    with reading() as db:
        over = list(db.scalars(statement))
    for export in over:
        if export.destination == places.LOCAL:
            (places.folder() / file_name(export)).unlink(missing_ok=True)
        with transaction() as db:
            db.execute(update(Export).where(Export.id == export.id).values(expires_at=None))
    return len(over)


def _check(draft: ExportDraft) -> None:
    dataset, format_ = DATASETS.get(draft.dataset), FORMATS[draft.format]
    if draft.since and draft.since >= min(draft.until or clock.now(), clock.now()):
        raise InvalidRequest("The span from `from` to `to` is empty", field="query.from")
    if dataset is None:
        raise Unprocessable(
            f"{draft.dataset} cannot be exported here", code="dataset_not_available", field="query.type"
        )
    if not format_.available or (format_.statement and draft.dataset != "transactions"):
        raise Unprocessable(
            f"{draft.format} cannot be written here", code="unsupported_format", field="format"
        )
    filters = set(draft.filters or {})
    if format_.statement and "currency" not in filters:
        raise Unprocessable(
            "A bank statement is in one currency: send query.currency",
            code="currency_required",
            field="query.currency",
        )
    unknown = filters - ({"currency"} if format_.statement else dataset.filters)
    if unknown:
        raise Unprocessable(
            f"{min(unknown)} does not filter {draft.dataset} as {draft.format}",
            code="unsupported_filter",
            field=f"query.{min(unknown)}",
        )


def _write(export: Export, draft: Path, accounts: dict[str, str]) -> int:
    dataset, format_ = DATASETS[export.dataset], FORMATS[export.format]
    rows = datasets.movements(export, accounts) if format_.statement else dataset.rows(export, accounts)
    count = 0
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        writer = format_.writer(file, dataset.columns, export)
        for row in rows:
            writer.add(row)
            count += 1
            if count % PROGRESS_ROWS == 0:
                _note_progress(export.id, rows_written=count)
        writer.close()
        file.flush()
        os.fsync(file.fileno())
    return count


def _expected(export: Export) -> int | None:
    """About how many rows there will be; None where it takes the database too long to say."""
    count = datasets.count_movements if FORMATS[export.format].statement else DATASETS[export.dataset].count
    try:
        return count(export)
    except OperationalError:
        return None


def _note_progress(export_id: str, **changes: int | None) -> None:
    with transaction() as db:
        db.execute(update(Export).where(Export.id == export_id).values(changes))


def _finish(seen: Export, count: int, size: int, digest: str) -> None:
    now = clock.now()
    with transaction() as db:
        export = db.get_one(Export, seen.id, with_for_update=True, populate_existing=True)
        if export.finished_at is not None:
            return
        export.rows_written, export.size_bytes, export.sha256 = count, size, digest
        export.finished_at = now
        export.expires_at = now + timedelta(days=settings.current().export_keep_days)
        facts = {**_facts(export), "rows": count, "sha256": digest}
        _note(db, export, "export.finished", "worker", facts)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _drop_drafts(pattern: str, older_than: timedelta | None = None) -> None:
    for path in places.folder().glob(pattern):
        try:
            aged = clock.now().timestamp() - path.stat().st_mtime
            if older_than is None or aged > older_than.total_seconds():
                path.unlink()
        except FileNotFoundError:  # another worker was quicker
            continue


def _note(db: Session, export: Export, type_: str, cause: str, after: dict[str, Any]) -> None:
    record(
        db,
        type_,
        tenant_id=export.tenant_id,
        mode=export.mode,
        entity="export",
        entity_id=export.id,
        cause=cause,
        after=after,
    )


def _facts(export: Export) -> dict[str, Any]:
    return {
        "id": export.id,
        "job_id": export.job_id,
        "type": export.dataset,
        "format": export.format,
        "destination": export.destination,
        "filters": export.filters,
    }
