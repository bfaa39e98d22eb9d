"""Jobs: the rows that are the truth about background work; the queue engine only carries their ids."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import jobs
from app.models.base import Base, Timestamped
from app.models.types import PrimaryId

#: Still to be done.
_OPEN = "status IN ('queued', 'leased', 'retry_wait')"


class Job(Timestamped, Base):
    """One piece of work, leased with a fencing token. `unique_key` makes enqueueing idempotent."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_due", "status", "due_at"),
        Index("ix_jobs_tenant", "tenant_id", "mode", "id"),
        Index(
            "ix_jobs_open",
            "tenant_id",
            "mode",
            "name",
            "id",
            sqlite_where=text(_OPEN),
            postgresql_where=text(_OPEN),
        ),
        UniqueConstraint("unique_key"),
    )
    lifecycle = jobs.LIFECYCLE

    id: Mapped[PrimaryId]
    tenant_id: Mapped[str] = mapped_column(String(40))
    mode: Mapped[str] = mapped_column(String(4))
    name: Mapped[str] = mapped_column(String(64))
    arguments: Mapped[dict[str, Any]]
    unique_key: Mapped[str | None] = mapped_column(String(128))
    status: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    max_tries: Mapped[int] = mapped_column(Integer, default=10)
    due_at: Mapped[datetime]
    lease_token: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    errors: Mapped[list[Any]] = mapped_column(default=list)
    finished_at: Mapped[datetime | None]

    def move(self, trigger: jobs.Trigger, **changes: Any) -> None:
        """Follow one edge of the job lifecycle, setting `changes` with it."""
        self.status = str(self.lifecycle.edge(self.status, trigger).target)
        for name, value in changes.items():
            setattr(self, name, value)
