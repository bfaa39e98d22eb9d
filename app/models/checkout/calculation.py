"""Calculations: each authoritative computation of totals, stored with its inputs so that it can be redone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import PrimaryId, Ref


class Calculation(Owned, Base):
    """Inputs and outputs of one computation, under its `calculation_id`."""

    __tablename__ = "calculations"
    __table_args__ = (Index("ix_calculations_checkout", "checkout_id", "id"),)

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"))
    inputs: Mapped[dict[str, Any]]
    outputs: Mapped[dict[str, Any]]
    calculated_at: Mapped[datetime]
