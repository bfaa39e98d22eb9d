"""Deliveries of events to endpoints, and what each attempt brought."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import deliveries
from app.models.base import Base, Owned, Timestamped
from app.models.types import PrimaryId, Ref

#: Not taken: given up, or to be tried again; few beside those that were.
FAILING = "status IN ('exhausted', 'retry_wait')"


class Delivery(Owned, Timestamped, Base):
    """One event for one endpoint; leased by a worker while it is being sent.

    Not `Stateful`: a delivery reports the journal and must not write to it. Its status still changes
    through the lifecycle table alone, in `move()` and in the claim's compare-and-set.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_due", "status", "due_at"),
        Index("ix_deliveries_endpoint", "endpoint_id", "id"),
        Index("ix_deliveries_event", "event_id"),
        Index("ix_deliveries_listed", "tenant_id", "mode", "id"),
        Index("ix_deliveries_outcome", "tenant_id", "mode", "status", "id"),
        Index(
            "ix_deliveries_in_flight",
            "endpoint_id",
            "lease_until",
            sqlite_where=text("lease_until IS NOT NULL"),
            postgresql_where=text("lease_until IS NOT NULL"),
        ),
        Index(
            "ix_deliveries_failing",
            "endpoint_id",
            "created_at",
            "status",
            sqlite_where=text(FAILING),
            postgresql_where=text(FAILING),
        ),
    )
    lifecycle = deliveries.LIFECYCLE

    id: Mapped[PrimaryId]
    endpoint_id: Mapped[Ref] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[Ref]
    event_type: Mapped[str] = mapped_column(String(64))
    body: Mapped[str]
    status: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[datetime]
    lease_token: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    replay_of: Mapped[str | None] = mapped_column(String(40))

    def move(self, trigger: deliveries.Trigger, **changes: Any) -> None:
        """Follow one edge of the delivery lifecycle, setting `changes` with it."""
        self.status = str(self.lifecycle.edge(self.status, trigger).target)
        for name, value in changes.items():
            setattr(self, name, value)


class DeliveryAttempt(Base):
    """What one try brought: status, time taken, and the first 64 KiB of the answer."""

    __tablename__ = "delivery_attempts"

    id: Mapped[PrimaryId]
    delivery_id: Mapped[Ref] = mapped_column(ForeignKey("deliveries.id"), index=True)
    number: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime]
    duration_ms: Mapped[int] = mapped_column(Integer)
    http_status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None]
    answer: Mapped[str | None]
