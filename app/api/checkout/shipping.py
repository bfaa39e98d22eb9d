"""CK-011 to CK-013: delivery."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field

from app.api.checkout.details import Address
from app.api.checkout.session_views import SessionView, answer
from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.providers.base import ShippingOption
from app.services.checkout import shipping
from app.web.endpoint import Answer
from app.web.schemas import Body, Query, View
from app.web.surface import BROWSER
from app.web.versions import expected_version


class OptionsQuery(Query):
    """Whether dates are wanted."""

    include_estimated_delivery_dates: bool = False


class OptionView(View):
    """A way of delivery; `cost` in minor units."""

    shipping_option_id: str
    label: str
    carrier: str
    service_code: str
    cost: int
    currency: str


class DatedOptionView(OptionView):
    """With the day on which goods ordered now have arrived."""

    estimated_delivery_date: date


class OptionsView(View):
    """Ways of delivery, cheapest first."""

    shipping_options: list[DatedOptionView | OptionView]


class Select(Body):
    """The chosen option; carrier and service, when sent, have to be its own."""

    shipping_option_id: str = Field(min_length=1, max_length=40)
    carrier: str | None = Field(None, max_length=40)
    service_code: str | None = Field(None, max_length=40)


class Pickup(Body):
    """The shop to collect from."""

    location_id: str = Field(min_length=1, max_length=64)
    name: str | None = Field(None, max_length=200)
    address: Address | None = None


@surface.get(
    "/sessions/{checkout_id}/shipping-options",
    "CK-011",
    query=OptionsQuery,
    returns=OptionsView,
    auth=BROWSER,
    permission="checkout:read",
)
def options(actor: Actor, checkout_id: str, query: OptionsQuery) -> OptionsView:
    """List shipping options."""
    currency, found = shipping.options(actor, checkout_id)
    dated = query.include_estimated_delivery_dates
    views = [_view(option, currency, dated=dated) for option in found]
    return OptionsView.model_construct(shipping_options=views)


@surface.post(
    "/sessions/{checkout_id}/select-shipping",
    "CK-012",
    body=Select,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def select(actor: Actor, checkout_id: str, body: Select) -> Answer:
    """Choose a shipping option; the totals are recalculated."""
    return answer(
        actor,
        shipping.select(
            actor,
            checkout_id,
            body.shipping_option_id,
            carrier=body.carrier,
            service_code=body.service_code,
            version=expected_version(None),
        ),
    )


@surface.post(
    "/sessions/{checkout_id}/pickup-location",
    "CK-013",
    body=Pickup,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def collect(actor: Actor, checkout_id: str, body: Pickup) -> Answer:
    """Choose a store pickup location."""
    place, seen = body.model_dump(exclude_none=True), expected_version(None)
    return answer(actor, shipping.collect(actor, checkout_id, place, version=seen))


def _view(option: ShippingOption, currency: str, *, dated: bool) -> DatedOptionView | OptionView:
    shown: dict[str, Any] = {
        "shipping_option_id": option.shipping_option_id,
        "label": option.label,
        "carrier": option.carrier,
        "service_code": option.service_code,
        "cost": option.cost,
        "currency": currency,
    }
    if not dated:
        return OptionView(**shown)
    return DatedOptionView(**shown, estimated_delivery_date=shipping.estimated_on(option))
