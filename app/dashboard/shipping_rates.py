"""Delivery options: list, make, change, switch on and off."""

from __future__ import annotations

from app.dashboard.catalogue import Part
from app.dashboard.shell import actor
from app.dashboard.typed import currency, needed_amount, needed_whole, words
from app.domain import money
from app.models.catalogue.shipping import ShippingRate
from app.services.checkout.catalogue import shipping_rates
from app.services.checkout.catalogue.shipping_rates import ShippingTerms


def _terms(code: str) -> ShippingTerms:
    return ShippingTerms(
        label=words("label"),
        cost=needed_amount("cost", code),
        carrier=words("carrier"),
        service_code=words("service_code"),
        countries=tuple(words("countries", 2000).upper().replace(",", " ").split()),
        days_min=needed_whole("days_min"),
        days_max=needed_whole("days_max"),
    )


def _create() -> tuple[str, str]:
    code = currency()
    made = shipping_rates.create(actor(), code, _terms(code), code=words("code") or None)
    return made.id, "Buyers can choose it from now on"


def _update(row: ShippingRate) -> None:
    shipping_rates.update(actor(), row.id, _terms(row.currency))


def _held(row: ShippingRate) -> dict[str, str]:
    return {
        "label": row.label,
        "cost": f"{money.to_major(row.cost, row.currency):f}",
        "carrier": row.carrier,
        "service_code": row.service_code,
        "countries": ", ".join(row.countries),
        "days_min": str(row.days_min),
        "days_max": str(row.days_max),
    }


blueprint = Part(
    "shipping_rates",
    "shipping",
    "rate_id",
    service=shipping_rates,
    provider="shipping",
    create=_create,
    update=_update,
    held=_held,
).blueprint
