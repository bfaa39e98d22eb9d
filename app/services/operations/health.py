"""Health: is the database there, does a worker live, does the queue move (PY-084, CK-072, /healthz)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from app.db import reading, transaction
from app.domain.lifecycles import deliveries, jobs
from app.kit import clock
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry
from app.models.operations.heartbeat import WorkerHeartbeat
from app.models.operations.job import Job

#: A worker that was not seen for so long is thought gone.
ALIVE_SECONDS = 20
#: Work that has been due for longer than this is late.
LATE_SECONDS = 60
#: Heartbeats of workers that are long gone are dropped.
FORGET_AFTER = timedelta(days=1)


class State(StrEnum):
    """How a part does (CK-073)."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """What was found; ages are seconds by which the oldest due work is late, 0 where none is."""

    database: State
    worker: State
    database_ms: int = 0
    workers: int = 0
    jobs_due: int = 0
    jobs_dead: int = 0
    oldest_job_seconds: int = 0
    deliveries_due: int = 0
    oldest_delivery_seconds: int = 0
    unsealed: int = 0

    @property
    def queue(self) -> State:
        """Jobs are taken in time."""
        return _moving(self.worker, self.oldest_job_seconds)

    @property
    def webhooks(self) -> State:
        """Deliveries are taken in time."""
        return _moving(self.worker, self.oldest_delivery_seconds)

    @property
    def ready(self) -> bool:
        """Whether this process can serve: its database answers."""
        return self.database == State.OK

    @property
    def overall(self) -> State:
        """The worst of all."""
        states = (self.database, self.worker, self.queue, self.webhooks)
        return next((s for s in (State.DOWN, State.DEGRADED) if s in states), State.OK)


def _moving(worker: State, late_seconds: int) -> State:
    if late_seconds <= LATE_SECONDS:
        return State.OK
    return State.DEGRADED if worker == State.OK else State.DOWN


def ping() -> int | None:
    """Milliseconds that the database takes to answer, or None where it does not."""
    started = time.monotonic()
    try:
        with reading() as db:
            db.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return None
    return round((time.monotonic() - started) * 1000)


def check() -> Health:
    """Everything at once; never raises."""
    took = ping()
    if took is None:
        return Health(database=State.DOWN, worker=State.DOWN)
    try:
        return _look(took)
    except SQLAlchemyError:
        return Health(database=State.DOWN, worker=State.DOWN, database_ms=took)


def _look(took: int) -> Health:
    now = clock.now()
    waiting = (deliveries.Status.PENDING, deliveries.Status.RETRY_WAIT)
    queued = (jobs.Status.QUEUED, jobs.Status.RETRY_WAIT)
    alive_since = now - timedelta(seconds=ALIVE_SECONDS)
    with reading() as db:
        jobs_due, oldest_job = db.execute(
            select(func.count(), func.min(Job.due_at)).where(Job.status.in_(queued), Job.due_at <= now)
        ).one()
        deliveries_due, oldest_delivery = db.execute(
            select(func.count(), func.min(Delivery.due_at)).where(
                Delivery.status.in_(waiting), Delivery.due_at <= now
            )
        ).one()
        dead = db.scalar(select(func.count()).where(Job.status == jobs.Status.DEAD)) or 0
        unsealed = db.scalar(select(func.count()).where(JournalEntry.sequence.is_(None))) or 0
        workers = db.scalar(select(func.count()).where(WorkerHeartbeat.seen_at >= alive_since)) or 0
    return Health(
        database=State.OK,
        worker=State.OK if workers else State.DOWN,
        database_ms=took,
        workers=workers,
        jobs_due=jobs_due,
        jobs_dead=dead,
        oldest_job_seconds=_age(oldest_job, now),
        deliveries_due=deliveries_due,
        oldest_delivery_seconds=_age(oldest_delivery, now),
        unsealed=unsealed,
    )


def _age(since: datetime | None, now: datetime) -> int:
    return 0 if since is None else max(0, int((now - since).total_seconds()))


def beat(worker: str) -> None:
    """A worker says that it lives."""
    now = clock.now()
    values = {"worker": worker, "started_at": now, "seen_at": now}
    with transaction() as db:
        seen = update(WorkerHeartbeat).where(WorkerHeartbeat.worker == worker).values(seen_at=now)
        if db.execute(seen).rowcount:  # type: ignore[attr-defined]
            return
        dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
        db.execute(dialect.insert(WorkerHeartbeat).values(values).on_conflict_do_nothing())
        db.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.seen_at < now - FORGET_AFTER))


def gone(worker: str) -> None:
    """A worker says that it stops."""
    with transaction() as db:
        db.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.worker == worker))
