"""Reconciliations: asking for a run, how far it is, and its report (PY-050, PY-052)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.domain.lifecycles import jobs as job_lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.events.journal import record
from app.models.operations.job import Job
from app.models.treasury.reconciliation import Reconciliation, ReconciliationItem, Resolution
from app.services.operations import jobs
from app.services.operations.paging import newest_first
from app.services.treasury import comparison, gateways

#: What a run looks at, when nobody says since when.
DEFAULT_SPAN = timedelta(days=35)
#: More is asked for in several runs.
LONGEST_SPAN = timedelta(days=400)

Entry = tuple[ReconciliationItem, Resolution | None]


@dataclass(frozen=True, slots=True)
class Report:
    """A run, how far it is (OP-35), and how many of its discrepancies nobody has finally decided."""

    run: Reconciliation
    status: str
    error: str | None
    open: int


def create(
    actor: Actor,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    connector_id: str | None = None,
) -> Reconciliation:
    """Have what was settled, and what should have been, in a span of time compared by a job.

    Raises:
        InvalidRequest: the span is empty or too long.
        NotFound: no such connector.
    """
    to = until or clock.now()
    since = since or to - DEFAULT_SPAN
    if not timedelta(0) < to - since <= LONGEST_SPAN:
        words = f"`from` must be before `to`, by {LONGEST_SPAN.days} days at most"
        raise InvalidRequest(words, code="invalid_field", field="from")
    if connector_id is not None:
        gateways.named(connector_id, gateways.settling(actor.tenant_id, str(actor.mode)))
    whose: dict[str, Any] = {"tenant_id": actor.tenant_id, "mode": str(actor.mode)}
    run = Reconciliation(
        id=new_id("job"),
        connector_id=connector_id,
        from_=since,
        to=to,
        phase=comparison.PHASES[0],
        created_at=clock.now(),
        **whose,
    )
    with transaction(actor) as db:
        db.add(run)
        jobs.enqueue(db, "reconciliations.run", {"job_id": run.id}, job_id=run.id, **whose)
        record(
            db,
            "reconciliation.requested",
            entity="reconciliation",
            entity_id=run.id,
            cause="api",
            after={
                "id": run.id,
                "connector_id": connector_id,
                "from": clock.to_rfc3339(since),
                "to": clock.to_rfc3339(to),
            },
            **whose,
        )
    return run


def get(actor: Actor, job_id: str) -> Report:
    """A run and how far it is.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    item = ReconciliationItem
    with reading() as db:
        run = find(db, actor, job_id)
        undecided = ~exists().where(Resolution.subject_id == item.subject_id, Resolution.final)
        waiting = select(func.count()).where(
            item.job_id == job_id, item.outcome.in_(comparison.DISCREPANCIES), undecided
        )
        status, error = _progress(run, db.get(Job, job_id))
        return Report(run, status, error, db.scalar(waiting) or 0)


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Reconciliation]:
    """Runs of this merchant, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    row = Reconciliation
    statement = select(row).where(row.tenant_id == actor.tenant_id, row.mode == actor.mode)
    return newest_first(statement, row.id, limit=limit, cursor=cursor)


def item(actor: Actor, job_id: str, subject_id: str) -> Entry:
    """What came of one line or transaction of a run, with what was decided.

    Raises:
        NotFound: no such run, or nothing of that id in it.
    """
    row = ReconciliationItem
    statement = (
        select(row, Resolution)
        .outerjoin(Resolution, Resolution.subject_id == row.subject_id)
        .where(row.job_id == job_id, row.subject_id == subject_id)
    )
    with reading() as db:
        find(db, actor, job_id)
        found = db.execute(statement).one_or_none()
    if found is None:
        raise NotFound("No such transaction in this reconciliation", code="transaction_not_found")
    return found[0], found[1]


def candidates(
    actor: Actor, of: ReconciliationItem, *, limit: int = DEFAULT_LIMIT
) -> list[ReconciliationItem]:
    """Lines that nobody knew, and that a missing transaction may be: of its kind, connector and amount."""
    row = ReconciliationItem
    undecided = ~exists().where(Resolution.subject_id == row.subject_id, Resolution.final)
    statement = (
        select(row)
        .where(
            row.job_id == of.job_id,
            row.outcome == comparison.UNMATCHED,
            row.type == of.type,
            row.connector_id == of.connector_id,
            row.currency == of.currency,
            row.actual == of.expected,
            row.transaction_id.is_(None),
            undecided,
        )
        .order_by(row.subject_id)
        .limit(limit)
    )
    with reading() as db:
        find(db, actor, of.job_id)
        return list(db.scalars(statement))


def items(
    actor: Actor,
    job_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    outcome: str | None = None,
    resolved: bool | None = None,
) -> Page[Entry]:
    """What came of each line and transaction, with what was decided; `resolved` asks for discrepancies alone.

    Raises:
        InvalidRequest: not a cursor of this list.
        NotFound: no such run.
    """
    item = ReconciliationItem
    statement = (
        select(item, Resolution)
        .outerjoin(Resolution, Resolution.subject_id == item.subject_id)
        .where(item.job_id == job_id)
    )
    if outcome:
        statement = statement.where(item.outcome == outcome)
    if resolved is not None:
        final = func.coalesce(Resolution.final, False)
        statement = statement.where(item.outcome.in_(comparison.DISCREPANCIES), final == resolved)
    if cursor:
        last = decode_cursor(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(item.subject_id > last)
    with reading() as db:
        find(db, actor, job_id)
        page = db.execute(statement.order_by(item.subject_id).limit(limit + 1))
        rows: list[Entry] = [(entry, decision) for entry, decision in page]
    return Page(rows[:limit], encode_cursor(rows[limit - 1][0].subject_id) if len(rows) > limit else None)


def find(db: Session, actor: Actor, job_id: str, *, lock: bool = False) -> Reconciliation:
    """The run of this merchant and mode, locked where that is asked for.

    Raises:
        NotFound: there is none.
    """
    statement = select(Reconciliation).where(
        Reconciliation.tenant_id == actor.tenant_id,
        Reconciliation.mode == actor.mode,
        Reconciliation.id == job_id,
    )
    found = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Reconciliation not found", code="reconciliation_not_found")
    return found


def _progress(run: Reconciliation, job: Job | None) -> tuple[str, str | None]:
    """The job's status in the words of OP-35; an error's own words are for the operator alone."""
    if run.finished_at is not None:
        return "succeeded", None
    if job is None or job.status == job_lifecycle.Status.DEAD:
        return "failed", f"It was given up after {job.tries} tries" if job else None
    started = run.cursor or job.status == job_lifecycle.Status.LEASED
    return ("running" if started else "queued"), None
