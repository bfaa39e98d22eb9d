"""The parcels of a session whose shipment plan was chosen, as its order and its buyer are told of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.domain.rules import shipments as rules
from app.models.checkout.calculation import Calculation
from app.models.checkout.session import CheckoutSession
from app.models.checkout.shipment_plan import ShipmentPlan


def of_session(db: Session, session: CheckoutSession) -> list[dict[str, Any]] | None:
    """Places, goods and totals of each parcel; None where no plan was chosen."""
    if session.shipment_plan_id is None:
        return None
    return priced(db, session, db.get_one(ShipmentPlan, session.shipment_plan_id))


def priced(db: Session, session: CheckoutSession, plan: ShipmentPlan) -> list[dict[str, Any]]:
    """The parcels of a plan, with totals that sum to the session's as they are now."""
    outputs = db.get_one(Calculation, session.calculation_id).outputs
    return [
        {
            "location": parcel["location"],
            "lines": [
                {name: line[name] for name in ("line_id", "sku", "quantity")} for line in parcel["lines"]
            ],
            "totals": totals,
        }
        for parcel, totals in zip(plan.shipments, rules.totals_of(plan.shipments, outputs), strict=True)
    ]
