"""Delivery options: what each costs, where it goes and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from app.db import reading, transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.countries import is_country
from app.domain.errors import Conflict, InvalidRequest
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.catalogue.shipping import ShippingRate
from app.services.checkout.catalogue import rows
from app.services.operations.paging import newest_first

#: The longest that a delivery takes, in days.
MAX_DAYS = 365


@dataclass(frozen=True, slots=True)
class ShippingTerms:
    """What a buyer is offered; `cost` in minor units, no `countries` are all of them."""

    label: str
    cost: int
    carrier: str = ""
    service_code: str = ""
    countries: tuple[str, ...] = ()
    days_min: int = 1
    days_max: int = 5


def create(actor: Actor, currency: str, terms: ShippingTerms, *, code: str | None = None) -> ShippingRate:
    """Offer a delivery; `code` is its public id, which is made unless it is given.

    Raises:
        InvalidRequest: naming the field that cannot be.
        Conflict: there is an option with this code in this currency.
    """
    rows.check_currency(actor, currency)
    name = code.strip() if code else new_id("ship")
    if not 2 <= len(name) <= 40 or not name.isascii() or name.split() != [name]:
        raise InvalidRequest("Use 2 to 40 characters without spaces", field="code")
    rate = ShippingRate(
        id=new_id("shp"), code=name, currency=currency, **_checked(terms), **rows.owned(actor)
    )
    try:
        with transaction(actor) as db:
            rows.add(db, rate, "shipping_rate.created", _facts)
    except IntegrityError as error:
        words = "There is an option with this code in this currency"
        raise Conflict(words, code="shipping_rate_exists", field="code") from error
    return rate


def update(actor: Actor, rate_id: str, terms: ShippingTerms) -> ShippingRate:
    """Change an option; buyers who have chosen it keep what they were shown.

    Raises:
        NotFound, InvalidRequest: see `get` and `create`.
    """
    changes = _checked(terms)
    with transaction(actor) as db:
        rate = rows.find(db, actor, ShippingRate, rate_id, lock=True)
        return rows.change(db, rate, changes, "shipping_rate.updated", _facts)


def set_active(actor: Actor, rate_id: str, active: bool) -> ShippingRate:
    """Offer it, or stop.

    Raises:
        NotFound: see `get`.
    """
    return rows.switch(actor, ShippingRate, rate_id, active, "shipping_rate", _facts)


def get(actor: Actor, rate_id: str) -> ShippingRate:
    """One option of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return rows.find(db, actor, ShippingRate, rate_id)


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[ShippingRate]:
    """Options, newest first."""
    return newest_first(rows.mine(ShippingRate, actor), ShippingRate.id, limit=limit, cursor=cursor)


def _checked(terms: ShippingTerms) -> dict[str, Any]:
    if not 0 <= terms.cost <= money.MAX_AMOUNT:
        raise InvalidRequest("Enter an amount like 4.99, or 0", code="invalid_amount", field="cost")
    for country in terms.countries:
        if not is_country(country):
            raise InvalidRequest(f"{country[:20]} is no country's two letters", field="countries")
    if not 0 <= terms.days_min <= MAX_DAYS:
        raise InvalidRequest(f"Choose 0 to {MAX_DAYS} days", field="days_min")
    if not terms.days_min <= terms.days_max <= MAX_DAYS:
        raise InvalidRequest("The longest time is not below the shortest", field="days_max")
    for name in ("carrier", "service_code"):
        if len(getattr(terms, name)) > 40:
            raise InvalidRequest("Use at most 40 characters", field=name)
    return {
        "label": rows.check_words(terms.label, "label", "a name, like Next day", 80),
        "cost": terms.cost,
        "carrier": terms.carrier.strip(),
        "service_code": terms.service_code.strip(),
        "countries": list(dict.fromkeys(terms.countries)),
        "days_min": terms.days_min,
        "days_max": terms.days_max,
    }


def _facts(rate: ShippingRate) -> dict[str, Any]:
    return {
        "id": rate.id,
        "code": rate.code,
        "label": rate.label,
        "carrier": rate.carrier,
        "service_code": rate.service_code,
        "currency": rate.currency,
        "cost": rate.cost,
        "countries": list(rate.countries),
        "days_min": rate.days_min,
        "days_max": rate.days_max,
        "active": rate.active,
    }
