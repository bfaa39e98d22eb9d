"""Exports: what was asked for, how far its job is, and where the file lies (PY-077, PY-078)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped
from app.models.types import PrimaryId, Ref


class Export(Owned, Timestamped, Base):
    """One export. It has no status of its own: that is its job's (`job_id`).

    `since` and `until` are fixed when it is asked for, so that a second run writes the same span.
    """

    __tablename__ = "exports"
    __table_args__ = (
        Index("ix_exports_tenant", "tenant_id", "mode", "id"),
        Index(
            "ix_exports_expiry",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    job_id: Mapped[str] = mapped_column(String(40), unique=True)
    dataset: Mapped[str] = mapped_column(String(24))
    format: Mapped[str] = mapped_column(String(12))
    filters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    since: Mapped[datetime | None]
    until: Mapped[datetime]
    destination: Mapped[str]
    created_by: Mapped[str | None] = mapped_column(String(40))
    rows_written: Mapped[int] = mapped_column(default=0)
    #: About how many there will be, counted before the first is written.
    rows_expected: Mapped[int | None]
    size_bytes: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    runs: Mapped[int] = mapped_column(Integer, default=0)
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
