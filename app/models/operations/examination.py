"""Examinations: what the worker's nightly look over the installation found (PY-075)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from app.models.base import Base
from app.models.types import PrimaryId


class Examination(Base):
    """One look: text cells read, places of what looks like a card number, encryption keys in use.

    `findings` maps `table.column` to how many cells; `keys` maps a key id to how many cells stand under it
    and when it was first seen. `chains` maps a merchant to what is wrong with its journal's hash chain,
    and to the last entry that was seen of it.
    """

    __tablename__ = "examinations"
    __table_args__ = (Index("ix_examinations_finished_at", "finished_at"),)

    id: Mapped[PrimaryId]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    tables: Mapped[int]
    cells: Mapped[int]
    findings: Mapped[dict[str, Any]]
    keys: Mapped[dict[str, Any]]
    chains: Mapped[dict[str, Any]]
