"""Signs of life of the workers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class WorkerHeartbeat(Base):
    """One worker process; `seen_at` is touched every few seconds while it lives."""

    __tablename__ = "worker_heartbeats"

    worker: Mapped[str] = mapped_column(String(80), primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
