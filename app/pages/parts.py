"""Parts of the pay page that only some sessions have: delivery, billing address, gift cards and credit."""

from __future__ import annotations

from typing import Any

from app.domain.actor import Actor
from app.domain.errors import ServiceUnavailable
from app.domain.lifecycles.checkout_sessions import OPEN
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.services.checkout import gift_cards, hosted, prerequisites, shipping, stored_value
from app.services.operations.settings import checkout_settings

#: A choice of the delivery form that is no option of a carrier.
COLLECT = "collect:"
#: When a page says that it will close, and offers more time (checkout.js knows the same figure).
NEAR_THE_END_SECONDS = 300
_PARTS = ("delivery", "billing", "wallet", "gift_cards", "ready", "can_extend", "closes_in")


def to_pay(actor: Actor, session: CheckoutSession) -> dict[str, Any]:
    """What stands between a session and its payment; nothing of it while it cannot be paid."""
    if session.status not in OPEN:
        return dict.fromkeys(_PARTS)
    where, bill = delivery(actor, session), billing(session)
    return {
        "delivery": where,
        "billing": bill,
        "wallet": wallet(actor, session),
        "gift_cards": gift_cards.are_issued(actor, session.currency),
        "ready": (where is None or where["done"]) and (bill is None or bool(bill["address"])),
        "can_extend": hosted.can_extend(session),
        "closes_in": _closes_in(session),
    }


def _closes_in(session: CheckoutSession) -> int | None:
    """Whole minutes until the page closes, near that end; None before."""
    left = (session.expires_at - clock.now()).total_seconds()
    return max(1, round(left / 60)) if 0 < left <= NEAR_THE_END_SECONDS else None


def delivery(actor: Actor, session: CheckoutSession) -> dict[str, Any] | None:
    """Where the goods go and how, or None where nobody asks; `chosen` once the price of it is known."""
    if not shipping.is_asked(session):
        return None
    places = [_place(place) for place in checkout_settings(actor.tenant).pickup_locations]
    collected = _place(session.pickup_location) if session.pickup_location else None
    address = session.shipping_address
    try:
        options = shipping.options(actor, session.id)[1] if address else []
        silent = False
    except ServiceUnavailable:  # the merchant's own system does not answer: all else still can be done
        options, silent = [], True
    chosen = session.selected_shipping
    return {
        "address": address,
        "places": places,
        "collected": collected,
        "options": [_option(option) for option in options],
        "chosen": chosen,
        "silent": silent,
        "done": not prerequisites.missing_delivery(session, lambda: options),
    }


def billing(session: CheckoutSession) -> dict[str, Any] | None:
    """Whom the bill is for, or None where the merchant does not ask."""
    if not session.options.get("require_billing_address"):
        return None
    return {"address": session.billing_address, "deliver_to": session.shipping_address}


def wallet(actor: Actor, session: CheckoutSession) -> dict[str, Any] | None:
    """What gift cards and credit pay of a session, or None where nothing does or could."""
    if not session.wallet_applied and not session.customer.get("customer_id"):
        return None
    found = stored_value.show(actor, session.id)[1]
    if not found.applied and not found.available:
        return None
    return {
        "applied": found.applied,
        "credit": next((part for part in found.available if part.remaining), None),
    }


def _option(option: Any) -> dict[str, Any]:
    return {
        "shipping_option_id": option.shipping_option_id,
        "label": option.label,
        "carrier": option.carrier,
        "cost": option.cost,
        "days_min": option.days_min,
        "days_max": option.days_max,
        "by": shipping.estimated_on(option),
    }


def _place(place: Any) -> dict[str, Any]:
    at = place.get("address") or {}
    line = ", ".join(at[name] for name in ("line1", "city", "postal_code") if at.get(name))
    return {
        "value": COLLECT + place["location_id"],
        "name": place.get("name") or place["location_id"],
        "line": line,
    }
