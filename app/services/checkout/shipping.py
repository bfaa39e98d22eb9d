"""Delivery: what is offered for a session, what is chosen, and collection from a shop (CK-011 to CK-013)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from app.domain.actor import Actor, TenantProfile
from app.domain.errors import Unprocessable
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.providers import registry
from app.providers.base import Scope, ShippingOption
from app.services.checkout import sessions, totals
from app.services.checkout.editing import edit
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings


@consulting
def options(actor: Actor, checkout_id: str) -> tuple[str, list[ShippingOption]]:
    """The session's currency, and ways to deliver its goods to its address, cheapest first."""
    session = sessions.get(actor, checkout_id)
    return session.currency, offered(actor.tenant, session)


def estimated_on(option: ShippingOption) -> date:
    """The latest day on which goods ordered now arrive."""
    return (clock.now() + timedelta(days=option.days_max)).date()


@consulting
def select(
    actor: Actor,
    checkout_id: str,
    option_id: str,
    *,
    carrier: str | None = None,
    service_code: str | None = None,
    version: int | None = None,
) -> CheckoutSession:
    """Choose a way of delivery; totals follow at once.

    Raises:
        Unprocessable: `shipping_option_unavailable`: not offered, or not with this carrier and service.
    """
    with edit(actor, checkout_id, version=version) as (db, session):
        found = next((o for o in offered(actor.tenant, session) if o.shipping_option_id == option_id), None)
        other = found is not None and (
            (carrier or found.carrier) != found.carrier
            or (service_code or found.service_code) != found.service_code
        )
        if found is None or other:
            raise Unprocessable(
                "This way of delivery is not available",
                code="shipping_option_unavailable",
                field="shipping_option_id",
                explain={"reason": "shipping_option_unavailable", "shipping_option_id": option_id},
            )
        session.selected_shipping = as_selected(found)
        session.pickup_location = None
        totals.calculate(db, session, actor.tenant)
        return session


@consulting
def collect(
    actor: Actor, checkout_id: str, location: Mapping[str, Any], *, version: int | None = None
) -> CheckoutSession:
    """Choose a place to collect the goods from, in place of a delivery; totals follow at once."""
    with edit(actor, checkout_id, version=version) as (db, session):
        session.pickup_location = dict(location)
        session.selected_shipping = None
        totals.calculate(db, session, actor.tenant)
        return session


def is_asked(session: CheckoutSession) -> bool:
    """Whether a page asks how the goods come to their buyer: the merchant wants it, or has begun it."""
    known = session.shipping_address or session.selected_shipping or session.pickup_location
    return bool(session.options.get("require_shipping_address") or known)


def collect_at(actor: Actor, checkout_id: str, location_id: str) -> CheckoutSession:
    """Collect from one of the merchant's places; see `collect`.

    Raises:
        Unprocessable: `pickup_unavailable`: it is none of them.
    """
    places = checkout_settings(actor.tenant).pickup_locations
    found = next((place for place in places if place["location_id"] == location_id), None)
    if found is None:
        raise Unprocessable("Goods cannot be collected there", code="pickup_unavailable", field="pickup")
    return collect(actor, checkout_id, found)


def as_selected(option: ShippingOption) -> dict[str, Any]:
    """An option as the session keeps it."""
    return {
        "id": option.shipping_option_id,
        "label": option.label,
        "cost": option.cost,
        "carrier": option.carrier,
        "service_code": option.service_code,
    }


def offered(profile: TenantProfile, session: CheckoutSession) -> list[ShippingOption]:
    """What is offered for the session as it stands."""
    scope = Scope(profile, session.mode)
    provider = registry.shipping(profile)
    return provider.options(scope, session.currency, session.shipping_address, lines=totals.lines_of(session))
