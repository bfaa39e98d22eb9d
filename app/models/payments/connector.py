"""Connectors: a merchant's accounts at gateways, the rules that choose among them, and a log of calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import connectors
from app.kit import clock
from app.models.base import Base, Owned, Timestamped, Versioned
from app.models.stateful import Stateful
from app.models.types import PrimaryId, Ref


class ConnectorAccount(Owned, Timestamped, Stateful, Base):
    """An account at a gateway of `type`. `config` is encrypted JSON; after a rotation the one before it
    stands in `previous_config` until `previous_until`, for webhooks that were signed under it.

    A deleted one takes no new payment; its configuration is kept where payments went through it, since they
    may still have to be captured, asked about or refunded there.
    """

    __tablename__ = "connectors"
    __table_args__ = (Index("ix_connectors_tenant", "tenant_id", "mode", "id"),)
    lifecycle = connectors.LIFECYCLE

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(100))
    type: Mapped[str] = mapped_column(String(40))
    config: Mapped[str | None]
    previous_config: Mapped[str | None]
    previous_until: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(Integer, default=100)
    region: Mapped[str | None] = mapped_column(String(40))
    status_reason: Mapped[str | None] = mapped_column(String(64))
    last_test: Mapped[dict[str, Any] | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`; nothing of the configuration."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "priority": self.priority,
            "region": self.region,
            "status": self.status,
            "status_reason": self.status_reason,
            "version": self.version,
        }


class RoutingRule(Owned, Timestamped, Versioned, Base):
    """Payments that `match` go to this connector first; of several such rules the lowest priority wins."""

    __tablename__ = "routing_rules"
    __table_args__ = (
        Index("ix_routing_rules_tenant", "tenant_id", "mode", "id"),
        Index("ix_routing_rules_connector", "connector_id"),
    )

    id: Mapped[PrimaryId]
    match: Mapped[dict[str, Any]]
    connector_id: Mapped[Ref] = mapped_column(ForeignKey("connectors.id"))
    priority: Mapped[int] = mapped_column(Integer, default=100)

    def facts(self) -> dict[str, Any]:
        """What the journal shows."""
        return {
            "id": self.id,
            "match": self.match,
            "connector_id": self.connector_id,
            "priority": self.priority,
            "version": self.version,
        }


class ConnectorLog(Owned, Base):
    """One call of a gateway: how it went and how long it took; never what was said.

    `connector_id` is the type's name where the merchant has no connector of that type (the built-in sandbox).
    """

    __tablename__ = "connector_logs"
    __table_args__ = (
        Index("ix_connector_logs_connector", "tenant_id", "mode", "connector_id", "id"),
        Index("ix_connector_logs_created_at", "created_at"),
    )

    id: Mapped[PrimaryId]
    connector_id: Mapped[Ref]
    type: Mapped[str] = mapped_column(String(40))
    operation: Mapped[str] = mapped_column(String(24))
    outcome: Mapped[str] = mapped_column(String(24))
    error: Mapped[str | None] = mapped_column(String(64))
    latency_ms: Mapped[int] = mapped_column(Integer)
    key: Mapped[str | None] = mapped_column(String(80))
    entity_id: Mapped[str | None] = mapped_column(String(40))
    reference: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
