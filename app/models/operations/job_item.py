"""Items of bulk jobs: what became of each, and the proof that it is done (a job may run twice)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Timestamped
from app.models.types import Ref


class JobItem(Timestamped, Base):
    """One item of a job, written in the transaction that does it: a second run finds it done."""

    __tablename__ = "job_items"

    job_id: Mapped[Ref] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    entity_id: Mapped[str | None] = mapped_column(String(40))
    error: Mapped[dict[str, Any] | None]
