"""Idempotency keys: what was asked under a key, by whom, and the answer it got (OP-13)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Json


class IdempotencyRecord(Base):
    """A key in use. `status` is null while its holder works; a lapsed lease lets another resume."""

    __tablename__ = "idempotency_records"
    __table_args__ = (
        Index("ix_idempotency_records_created_at", "created_at"),
        Index("ix_idempotency_records_tenant", "tenant_id", "mode", "created_at", "scope_hash"),
        Index("ix_idempotency_records_key", "tenant_id", "key"),
    )

    #: SHA-256 over tenant, mode, caller, method, route and key: one narrow primary key for all of them.
    scope_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(40))
    #: None, as the three below, where an older release wrote the row.
    mode: Mapped[str | None] = mapped_column(String(4))
    caller: Mapped[str | None] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    route: Mapped[str] = mapped_column(String(160))
    fingerprint: Mapped[str] = mapped_column(String(64))
    #: The fields of the body, each with a keyed hash of its value: what tells which of them differed.
    shape: Mapped[dict[str, str] | None] = mapped_column(Json)
    #: How often another request came under the key (None: never), and which fields of the last one differed.
    clashes: Mapped[int | None] = mapped_column(Integer)
    clash: Mapped[dict[str, Any] | None] = mapped_column(Json)
    request_id: Mapped[str] = mapped_column(String(64))
    lease_until: Mapped[datetime | None]
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, str] | None] = mapped_column(Json)
    body: Mapped[str | None]
    created_at: Mapped[datetime]
