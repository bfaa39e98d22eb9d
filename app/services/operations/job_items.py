"""Items of a bulk job: each is claimed, done and noted in one transaction; no second run doubles it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import Command, reading
from app.domain.errors import DomainError
from app.kit import clock
from app.models.operations.job_item import JobItem

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_CLAIM = Command(lambda name: _INSERT[name](JobItem.__table__).on_conflict_do_nothing())


def claim(db: Session, job_id: str, position: int) -> bool:
    """Take an item in this transaction; False where it is done. Another worker waits for our commit here."""
    now = clock.now()
    values = {"job_id": job_id, "position": position, "created_at": now, "updated_at": now}
    return _CLAIM.run(db, values) == 1


def note(
    db: Session,
    job_id: str,
    position: int,
    *,
    entity_id: str | None = None,
    refused: DomainError | None = None,
) -> None:
    """Write what became of a claimed item."""
    error = {"code": refused.code, "error": refused.message, "field": refused.field} if refused else None
    statement = update(JobItem).where(JobItem.job_id == job_id, JobItem.position == position)
    db.execute(statement.values(entity_id=entity_id, error=error, updated_at=clock.now()))


def done(job_id: str) -> set[int]:
    """The positions that need no more work."""
    with reading() as db:
        return set(db.scalars(select(JobItem.position).where(JobItem.job_id == job_id)))


def of_job(job_id: str) -> list[dict[str, Any]]:
    """What became of the items so far, in the order in which they were sent."""
    statement = select(JobItem).where(JobItem.job_id == job_id).order_by(JobItem.position)
    with reading() as db:
        return [
            {
                "index": row.position,
                "status": "failed" if row.error else "succeeded",
                "id": row.entity_id,
                "error": row.error,
            }
            for row in db.scalars(statement)
        ]
