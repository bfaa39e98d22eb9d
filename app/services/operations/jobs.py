"""Jobs: enqueue in the transaction of the change that wants them, claim under a lease, finish once.

The row is the truth; the queue engine carries only its id (docs/adr/0004). A lapsed lease puts a job back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, Update, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.domain.lifecycles import jobs as lifecycle
from app.domain.rules.retry import job_delay
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.events.journal import record
from app.models.operations.job import Job
from app.services.operations.paging import newest_first

#: A job that is not done within this time is taken from its worker.
LEASE_SECONDS = 60

_S, _T = lifecycle.Status, lifecycle.Trigger


def enqueue(
    db: Session,
    name: str,
    arguments: dict[str, Any],
    *,
    tenant_id: str,
    mode: str,
    unique_key: str | None = None,
    due_at: datetime | None = None,
    max_tries: int = 10,
    job_id: str | None = None,
) -> None:
    """Add a job in this transaction; with a `unique_key` that exists already nothing is added.

    `job_id` is for callers that refer to the job; others leave it to be made.
    """
    now = clock.now()
    values: dict[str, Any] = {
        "id": job_id or new_id("job"),
        "tenant_id": tenant_id,
        "mode": mode,
        "name": name,
        "arguments": arguments,
        "unique_key": unique_key,
        "status": str(_S.QUEUED),
        "tries": 0,
        "max_tries": max_tries,
        "due_at": due_at or now,
        "errors": [],
        "created_at": now,
        "updated_at": now,
    }
    dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Job).values(values)
    db.execute(statement.on_conflict_do_nothing(index_elements=["unique_key"]))


def due(limit: int = 50) -> list[str]:
    """Ids of jobs that may run now, oldest first; lapsed leases among them."""
    now = clock.now()
    statement = (
        select(Job.id)
        .where(
            or_(
                Job.status.in_((_S.QUEUED, _S.RETRY_WAIT)) & (Job.due_at <= now),
                (Job.status == _S.LEASED) & (Job.lease_until < now) & (Job.tries < Job.max_tries),
            )
        )
        .order_by(Job.due_at)
        .limit(limit)
    )
    with reading() as db:
        return list(db.scalars(statement))


def claim(job_id: str, *, lease_seconds: int = LEASE_SECONDS) -> Job | None:
    """Lease a due job with a fresh fencing token; None when another worker has it."""
    now = clock.now()
    fresh = Job.status.in_((_S.QUEUED, _S.RETRY_WAIT)) & (Job.due_at <= now)
    lapsed = (Job.status == _S.LEASED) & (Job.lease_until < now) & (Job.tries < Job.max_tries)
    claimed = (
        update(Job)
        .where(Job.id == job_id, or_(fresh, lapsed))
        .values(
            status=str(_S.LEASED),
            tries=Job.tries + 1,
            lease_token=random_token(),
            lease_until=now + timedelta(seconds=lease_seconds),
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    with transaction() as db:
        if not db.execute(claimed).rowcount:  # type: ignore[attr-defined]
            return None
        return db.get_one(Job, job_id, populate_existing=True)


def extend(job: Job, *, lease_seconds: int = LEASE_SECONDS) -> bool:
    """Keep the lease of a job that takes long; False when it was lost."""
    statement = _held(job).values(lease_until=clock.now() + timedelta(seconds=lease_seconds))
    with transaction() as db:
        return bool(db.execute(statement).rowcount)  # type: ignore[attr-defined]


def bury_lapsed() -> int:
    """Declare dead what lost its worker on its last try: such a job kills who runs it. Returns how many."""
    now = clock.now()
    lapsed = select(Job).where(Job.status == _S.LEASED, Job.lease_until < now, Job.tries >= Job.max_tries)
    with transaction() as db:
        lost = list(db.scalars(lapsed.with_for_update(skip_locked=True)))
        for job in lost:
            errors = _with_error(job, "its worker was lost at the last try")
            job.move(_T.BURIED, errors=errors, lease_token=None, lease_until=None, finished_at=now)
    return len(lost)


def get(actor: Actor, job_id: str) -> Job:
    """One job of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        found = db.scalars(_mine(actor).where(Job.id == job_id)).one_or_none()
    if found is None:
        raise NotFound("Job not found", code="job_not_found")
    return found


def list_page(
    actor: Actor,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    status: str | None = None,
) -> Page[Job]:
    """Jobs of this merchant, newest first."""
    statement = _mine(actor)
    if status:
        statement = statement.where(Job.status == status)
    return newest_first(statement, Job.id, limit=limit, cursor=cursor)


def revive(actor: Actor, job_id: str) -> Job:
    """Put a dead job back in the queue, with all its tries (reliability.md 32).

    Raises:
        IllegalTransition: it is not dead.
        NotFound: there is no such job.
    """
    with transaction(actor) as db:
        job = db.scalars(_mine(actor).where(Job.id == job_id).with_for_update()).one_or_none()
        if job is None:
            raise NotFound("Job not found", code="job_not_found")
        job.move(_T.REVIVED, tries=0, due_at=clock.now(), finished_at=None)
        record(
            db,
            "job.revived",
            tenant_id=job.tenant_id,
            mode=job.mode,
            entity="job",
            entity_id=job.id,
            cause="operator",
            after={"id": job.id, "name": job.name},
        )
        return job


def finish(job: Job, result: dict[str, Any] | None) -> bool:
    """Record success; False when the lease was lost meanwhile, and so the result does not count."""
    return _end(job, _T.DONE, result=result, finished_at=clock.now(), lease_until=None)


def fail(job: Job, error: str) -> bool:
    """Record a failure: run again later, or `dead` after the last try, for a person to see."""
    errors = _with_error(job, error)
    if job.tries >= job.max_tries:
        return _end(job, _T.BURIED, errors=errors, finished_at=clock.now(), lease_until=None)
    later = clock.now() + timedelta(seconds=job_delay(job.tries))
    return _end(job, _T.DEFERRED, errors=errors, due_at=later, lease_until=None)


def _with_error(job: Job, error: str) -> list[Any]:
    """The errors of a job with one more; what no database can keep in it is replaced."""
    text = error[:500].encode("utf-8", "replace").decode().replace("\x00", "?")
    return [*job.errors, {"at": clock.to_rfc3339(clock.now()), "error": text}]


def _end(job: Job, trigger: lifecycle.Trigger, **changes: Any) -> bool:
    target = job.lifecycle.edge(job.status, trigger).target
    statement = _held(job).values(status=str(target), lease_token=None, updated_at=clock.now(), **changes)
    with transaction() as db:
        return bool(db.execute(statement).rowcount)  # type: ignore[attr-defined]


def _held(job: Job) -> Update:
    """An update that counts only while this worker has the lease."""
    return (
        update(Job)
        .where(Job.id == job.id, Job.lease_token == job.lease_token, Job.status == _S.LEASED)
        .execution_options(synchronize_session=False)
    )


def _mine(actor: Actor) -> Select[Job]:
    return select(Job).where(Job.tenant_id == actor.tenant_id, Job.mode == actor.mode)
