"""CK-057, CK-058: sending the goods in several parcels."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field

from app.api.checkout.session_views import SessionView, answer
from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.checkout import shipments
from app.services.checkout.shipments import Suggestion
from app.web.endpoint import Answer
from app.web.schemas import Body, Nothing, View
from app.web.surface import BROWSER


class EstimateView(View):
    """When a parcel arrives, by which delivery."""

    shipping_option_id: str
    label: str
    earliest_delivery_date: date
    latest_delivery_date: date


class ShipmentView(View):
    """A parcel: its goods, where they lie (null: not told), and its part of the session's totals."""

    location: str | None
    lines: list[dict[str, Any]]
    estimate: EstimateView | None
    totals: dict[str, Any]


class PlanView(View):
    """A way to send everything; `kind` says what it is best at."""

    plan_id: str
    kind: str
    selected: bool
    shipments: list[ShipmentView]

    @classmethod
    def of(cls, found: Suggestion) -> PlanView:
        """The view of a suggestion."""
        estimate = EstimateView.model_validate(found.estimate) if found.estimate else None
        parcels = [ShipmentView(**parcel, estimate=estimate) for parcel in found.shipments]
        return cls(plan_id=found.plan.id, kind=found.plan.kind, selected=found.is_selected, shipments=parcels)


class PlansView(View):
    """Suggestions, the one with the fewest parcels first."""

    plans: list[PlanView]


class Select(Body):
    """The chosen plan."""

    plan_id: str = Field(min_length=1, max_length=64)


@surface.post(
    "/sessions/{checkout_id}/split-shipment-plan",
    "CK-057",
    body=Nothing,
    returns=PlansView,
    auth=BROWSER,
    permission="checkout:write",
)
def suggest(actor: Actor, checkout_id: str, body: Nothing) -> PlansView:
    """Suggest split shipments with estimates and per-shipment totals."""
    return PlansView(plans=[PlanView.of(found) for found in shipments.suggest(actor, checkout_id)])


@surface.post(
    "/sessions/{checkout_id}/select-shipment-plan",
    "CK-058",
    body=Select,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def select(actor: Actor, checkout_id: str, body: Select) -> Answer:
    """Choose a shipment plan before finalization."""
    return answer(actor, shipments.select_plan(actor, checkout_id, body.plan_id))
