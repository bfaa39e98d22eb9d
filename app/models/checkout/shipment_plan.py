"""Shipment plans: ways to send the goods of one session in several parcels."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import clock
from app.models.base import Base, Owned
from app.models.types import PrimaryId, Ref


class ShipmentPlan(Owned, Base):
    """A suggestion: which units come from where. Its id is a hash of that, so the same one is stored once.

    Each shipment: `location` (None: not tracked) and `lines`, each `line_id sku quantity`.
    """

    __tablename__ = "shipment_plans"

    id: Mapped[PrimaryId]
    checkout_id: Mapped[Ref] = mapped_column(ForeignKey("checkout_sessions.id"), index=True)
    kind: Mapped[str]
    shipments: Mapped[list[dict[str, Any]]]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    def lots(self) -> dict[tuple[str, str], int]:
        """Units by SKU and place, of what has a place."""
        units: dict[tuple[str, str], int] = defaultdict(int)
        for shipment in self.shipments:
            for line in shipment["lines"]:
                if shipment["location"] is not None and line["tracked"]:
                    units[line["sku"], shipment["location"]] += line["quantity"]
        return dict(units)
