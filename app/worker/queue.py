"""The job engine: Huey, which carries ids of our rows to worker threads (docs/adr/0004).

Dequeueing deletes, so the engine alone would lose a task at `kill -9`; our rows have leases and are found
again by the poller.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

import structlog
from huey import Huey, MemoryHuey, PostgresHuey, RedisHuey, SqliteHuey
from huey.serializer import SignedSerializer
from sqlalchemy.engine import make_url

from app import settings
from app.db import engine
from app.kit.http import SafeClient
from app.models.operations.job import Job
from app.services.events import deliveries
from app.services.operations import jobs
from app.settings import Settings
from app.worker.handlers import HANDLERS

log = structlog.get_logger("till.worker")

#: Of PostgreSQL's advisory locks, the one under which the queue's own tables are made.
_SCHEMA_LOCK = 7_461_001

#: Set when a task has ended: there may be room for the next one of the same endpoint.
ended = threading.Event()

#: Deliveries that could not be claimed: whoever handed them over may do it again as soon as they are due.
refused: deque[str] = deque()

_client: SafeClient | None = None
_running: dict[str, Job] = {}
_lock = threading.Lock()


def build() -> Huey:
    """The queue that `TILL_QUEUE_URL` names; without it, one beside or in the database."""
    current = settings.current()
    serializer = SignedSerializer(secret=current.signing_key.decode(), salt="till-queue")
    options: dict[str, Any] = {"results": False, "serializer": serializer, "utc": True}
    url = current.queue_url or _beside(current)
    if url.startswith("redis"):
        return RedisHuey("till", url=url, **options)
    if url.startswith("postgresql"):
        return _on_postgresql(url, options)
    if url == "memory://":
        return MemoryHuey("till", **options)
    return SqliteHuey("till", filename=url.removeprefix("sqlite:///"), fsync=False, **options)


def _on_postgresql(url: str, options: dict[str, Any]) -> Huey:
    """Workers may start together, and PostgreSQL's `IF NOT EXISTS` does not hold against that."""
    huey = PostgresHuey("till", dsn=url, create_tables=False, **options)
    with engine().begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
        huey.storage.initialize_schema()
    return huey


def _beside(current: Settings) -> str:
    database = make_url(current.database)
    if database.get_backend_name() == "postgresql":
        return database.set(drivername="postgresql").render_as_string(hide_password=False)
    if not database.database or database.database == ":memory:":
        return "memory://"
    path = Path(database.database)
    return f"sqlite:///{path.with_name(f'{path.stem}-queue.db')}"


def register(huey: Huey) -> tuple[Any, Any]:
    """The two tasks; both take ids only."""
    return huey.task(name="deliver")(deliver), huey.task(name="run_job")(run_job)


def deliver(delivery_id: str) -> None:
    """Send one webhook delivery, if it is still due."""
    try:
        _deliver(delivery_id)
    finally:
        ended.set()


def _deliver(delivery_id: str) -> None:
    claimed = deliveries.claim(delivery_id, lease_seconds=settings.current().worker_lease_seconds)
    if claimed is None:
        refused.append(delivery_id)
        return
    taken = deliveries.deliver(claimed, client())
    log.info("webhook_delivered" if taken else "webhook_failed", delivery_id=delivery_id)


def run_job(job_id: str) -> None:
    """Run one job, if it is still due; a failure is kept on its row."""
    job = jobs.claim(job_id, lease_seconds=settings.current().worker_lease_seconds)
    if job is None:
        return
    with _lock:
        _running[job.id] = job
    try:
        result = HANDLERS[job.name](job.arguments)
    except Exception as error:  # the row keeps it; the job runs again or is shown as dead
        log.exception("job_failed", job_id=job_id, job=job.name)
        jobs.fail(job, f"{type(error).__name__}: {error}")
    else:
        jobs.finish(job, result)
    finally:
        with _lock:
            _running.pop(job.id, None)
        ended.set()


def keep_leases() -> int:
    """Extend the leases of the jobs that run here now. Returns how many."""
    with _lock:
        running = list(_running.values())
    seconds = settings.current().worker_lease_seconds
    return sum(jobs.extend(job, lease_seconds=seconds) for job in running)


def client() -> SafeClient:
    """The one HTTP client of this worker: connections are kept alive."""
    global _client
    with _lock:
        if _client is None:
            _client = deliveries.new_client()
        return _client
