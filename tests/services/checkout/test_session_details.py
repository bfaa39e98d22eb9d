"""Editing a session: versions, addresses, contact, delivery, discounts, lifetime."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import (
    Conflict,
    DomainError,
    InvalidRequest,
    InvalidState,
    Unprocessable,
    VersionConflict,
)
from app.kit import clock
from app.services.checkout import addresses, details, holds, sessions, shipping, validation
from app.services.checkout.details import Change
from app.services.events import timeline
from tests import catalogue
from tests.shops import CHALLENGED, Shop, later, make

LONDON = {"line1": "10 Downing St", "city": "London", "postal_code": "sw1a 2aa", "country": "GB"}


def test_each_edit_is_one_version_and_one_entry(shop: Shop) -> None:
    session = shop.session()
    first = details.change(shop.actor, session.id, Change(metadata={"a": 1}, version=1))
    assert (first.status, first.version, first.metadata_) == ("collecting", 2, {"a": 1})
    second = details.change(shop.actor, session.id, Change(customer={"email": "ann@example.com"}, version=2))
    assert (second.version, second.customer) == (3, {"email": "ann@example.com"})
    assert second.metadata_ == {"a": 1}
    told = [e.type for e in timeline.of_checkout(shop.actor, session.id)]
    assert told.count("checkout.updated") == 2


def test_a_stale_version_changes_nothing(shop: Shop) -> None:
    session = shop.session()
    details.change(shop.actor, session.id, Change(metadata={"a": 1}))
    with pytest.raises(VersionConflict):
        details.change(shop.actor, session.id, Change(metadata={"b": 2}, version=1))
    assert shop.read(session).metadata_ == {"a": 1}


def test_the_same_again_is_no_new_version(shop: Shop) -> None:
    session = shop.session()
    once = details.set_shipping_address(shop.actor, session.id, LONDON)
    again = details.set_shipping_address(shop.actor, session.id, LONDON)
    assert once.version == again.version == 2


def test_nobody_else_can_edit_it(shop: Shop) -> None:
    session, other = shop.session(), make("Other shop")
    with pytest.raises(DomainError) as refused:
        details.change(other.actor, session.id, Change(metadata={}))
    assert refused.value.code == "checkout_not_found"


def test_what_is_over_or_being_paid_cannot_be_edited(shop: Shop) -> None:
    canceled, lapsed, paying = shop.session(), shop.session(), shop.session()
    sessions.cancel(shop.actor, canceled.id)
    shop.pay(paying, CHALLENGED)
    for session in (canceled, paying):
        with pytest.raises(InvalidState):
            details.set_contact(shop.actor, session.id, {"email": "ann@example.com"})
    with later(3601), pytest.raises(InvalidState):
        details.set_contact(shop.actor, lapsed.id, {"email": "ann@example.com"})


def test_a_session_can_be_lengthened_up_to_a_day(shop: Shop) -> None:
    session = shop.session()
    longer = details.change(shop.actor, session.id, Change(ttl_seconds=7200))
    assert timedelta(seconds=7190) < longer.expires_at - clock.now() <= timedelta(seconds=7200)
    for wrong in (
        Change(ttl_seconds=60),
        Change(expires_at=clock.now() + timedelta(hours=25)),
        Change(ttl_seconds=9000, expires_at=clock.now() + timedelta(hours=5)),
    ):
        with pytest.raises(InvalidRequest):
            details.change(shop.actor, session.id, wrong)
    assert shop.read(session).expires_at == longer.expires_at


@pytest.mark.parametrize("surface", ["sessions", "merchant", "link"])
def test_other_surfaces_fix_the_lifetime(shop: Shop, surface: str) -> None:
    session = shop.session(surface=surface)
    with pytest.raises(Conflict) as refused:
        details.change(shop.actor, session.id, Change(ttl_seconds=7200, metadata={"a": 1}))
    assert refused.value.code == "session_immutable"
    assert shop.read(session).metadata_ == {}


WRONG: list[Any] = [
    ({**LONDON, "postal_code": "12345"}, "postal_code"),
    ({**LONDON, "postal_code": None}, "postal_code"),
    ({**LONDON, "city": " "}, "city"),
    ({"line1": "1 Main St", "city": "Springfield", "postal_code": "62701", "country": "US"}, "state"),
    ({**LONDON, "country": "ZZ"}, "country"),
]


def test_an_address_that_cannot_be_is_refused_by_its_field(shop: Shop) -> None:
    for address, field in WRONG:
        session = shop.session()
        for put in (details.set_shipping_address, details.set_billing_address):
            with pytest.raises(Unprocessable) as refused:
                put(shop.actor, session.id, address)
            assert (refused.value.code, refused.value.field) == ("invalid_address", field)
        assert shop.read(session).version == 1


def test_addresses_are_kept_in_their_countrys_form(shop: Shop) -> None:
    session = details.set_shipping_address(shop.actor, shop.session().id, {**LONDON, "name": " Ann "})
    assert session.shipping_address == {
        "name": "Ann",
        "company": None,
        "line1": "10 Downing St",
        "line2": None,
        "city": "London",
        "state": None,
        "postal_code": "SW1A 2AA",
        "country": "GB",
        "phone": None,
    }
    assert session.totals_stale
    assert addresses.status(session.shipping_address) == "valid"
    assert addresses.status({**LONDON, "postal_code": "1"}) == "invalid"
    assert addresses.status(None) == addresses.status({"line1": "x"}) == "unverified"
    texas = {"line1": "1 A St", "city": "Austin", "state": "Texas", "postal_code": "78701", "country": "US"}
    assert addresses.checked(texas)["state"] == "TX"


@pytest.mark.parametrize(
    ("customer", "code"),
    [
        ({"email": "nobody"}, "invalid_email"),
        ({"phone": "07700"}, "invalid_phone"),
        ({"phone": "x"}, "invalid_phone"),
    ],
)
def test_contact_details_that_cannot_be_reached_are_refused(
    shop: Shop, customer: dict[str, str], code: str
) -> None:
    session = shop.session()
    for put in (details.set_customer, details.set_contact):
        with pytest.raises(InvalidRequest) as refused:
            put(shop.actor, session.id, customer)
        assert refused.value.code == code


def test_a_customer_replaces_and_a_contact_adds(shop: Shop) -> None:
    session = shop.session(customer={"email": "old@example.com", "name": "Old"})
    bought = details.set_customer(
        shop.actor, session.id, {"customer_id": "cust_1", "phone": "+44 20 7946 0958", "save_for_later": True}
    )
    assert bought.customer == {"customer_id": "cust_1", "phone": "+442079460958", "save_for_later": True}
    assert (bought.owner_type, bought.owner_id) == ("user", "cust_1")
    details.set_contact(shop.actor, session.id, {"email": "a@Example.com"})
    told = details.set_contact(shop.actor, session.id, {"phone": "+221771234567"})
    assert told.contact == {"email": "a@example.com", "phone": "+221771234567"}


def test_delivery_is_chosen_priced_and_dropped_where_it_is_not_offered(shop: Shop) -> None:
    catalogue.shipping(shop, "ship_1", 399, ["GB"])
    catalogue.shipping(shop, "ship_2", 900)
    catalogue.tax(shop, "8")
    catalogue.tax(shop, "0", country="FR")
    session = shop.session()
    chosen = shipping.select(shop.actor, session.id, "ship_1", carrier="DHL", service_code="express")
    assert chosen.selected_shipping == {
        "id": "ship_1",
        "label": "Next day",
        "cost": 399,
        "carrier": "DHL",
        "service_code": "express",
    }
    assert chosen.totals is not None
    assert (chosen.totals["shipping_total"], chosen.grand_total) == (399, 1500 + 120 + 399)
    paris = {"line1": "1 rue A", "city": "Paris", "postal_code": "75001", "country": "FR"}
    moved = details.set_shipping_address(shop.actor, session.id, paris)
    assert (moved.selected_shipping, moved.totals_stale) == (None, True)
    with pytest.raises(Unprocessable) as refused:
        shipping.select(shop.actor, session.id, "ship_1")
    assert refused.value.code == "shipping_option_unavailable"
    again = shipping.select(shop.actor, session.id, "ship_2")
    assert (again.totals_stale, again.grand_total) == (False, 1500 + 900)
    collected = shipping.collect(shop.actor, session.id, {"location_id": "store_1"})
    assert (collected.selected_shipping, collected.grand_total) == (None, 1500)
    assert collected.pickup_location == {"location_id": "store_1"}


@pytest.mark.parametrize("wrong", [{"carrier": "UPS"}, {"service_code": "slow"}])
def test_an_option_is_its_own_carriers(shop: Shop, wrong: dict[str, str]) -> None:
    catalogue.shipping(shop, "ship_1", 399)
    with pytest.raises(Unprocessable):
        shipping.select(shop.actor, shop.session().id, "ship_1", **wrong)


def test_discounts_can_be_changed_and_their_uses_follow_the_hold(shop: Shop) -> None:
    catalogue.coupon(shop, usage_limit=1)
    catalogue.coupon(shop, "HALF", percent=50, usage_limit=1)
    session = shop.session(promotion_codes=("SAVE10",))
    holds.reserve(shop.actor, session.id)
    assert catalogue.uses(shop) == (1, 0)
    swapped = details.change(shop.actor, session.id, Change(promotion_codes=("half", "nope")))
    assert [p["code"] for p in swapped.applied_promotions] == ["HALF"]
    assert [i["explain"]["promotion_code"] for i in swapped.validation_issues] == ["NOPE"]
    assert (catalogue.uses(shop), catalogue.uses(shop, "HALF")) == ((0, 0), (1, 0))
    assert swapped.status == "reserved"
    again = details.change(shop.actor, session.id, Change(promotion_codes=("HALF", "SAVE10")))
    assert again.totals is not None
    assert again.totals["discount_total"] == 750 + 75
    shop.pay(session)
    assert (catalogue.uses(shop), catalogue.uses(shop, "HALF")) == ((0, 1), (0, 1))


def test_the_last_use_of_a_code_is_the_first_payers(shop: Shop) -> None:
    catalogue.coupon(shop, usage_limit=1)
    first, second = (shop.session(promotion_codes=("SAVE10",)) for _ in range(2))
    assert first.grand_total == second.grand_total == 1458
    assert shop.pay(first).status == "completed"
    paid = shop.pay(second, nonce="n2")
    assert paid.status == "completed"
    assert paid.grand_total == 1620
    assert catalogue.uses(shop) == (0, 1)


def test_a_look_again_finds_what_has_changed_and_stores_it(shop: Shop) -> None:
    catalogue.cart(shop)
    catalogue.shipping(shop, "ship_1", 399)
    catalogue.coupon(shop)
    session = shop.session()
    session = sessions.create(
        shop.actor,
        sessions.SessionDraft(surface="checkout", cart_id="cart_123", promotion_codes=("SAVE10",)),
    )
    shipping.select(shop.actor, session.id, "ship_1")
    _, nothing = validation.refresh(shop.actor, session.id)
    assert [(f.check, f.ok) for f in nothing] == [
        ("pricing", True),
        ("shipping", True),
        ("tax", True),
        ("promotions", True),
        ("fraud", True),
    ]
    _change_the_shop(shop)
    fresh, found = validation.refresh(shop.actor, session.id)
    assert {f.check: f.code for f in found} == {
        "pricing": "price_changed",
        "shipping": "shipping_price_changed",
        "tax": "tax_mismatch",
        "promotions": "promotion_invalid",
        "fraud": None,
    }
    assert fresh.totals is not None
    assert fresh.totals["shipping_total"] == 499
    assert [issue["code"] for issue in fresh.validation_issues] == [f.code for f in found if not f.ok]


def _change_the_shop(shop: Shop) -> None:
    from app.db import transaction
    from app.models.catalogue.cart import Cart
    from app.models.catalogue.promotion import Coupon
    from app.models.catalogue.shipping import ShippingRate

    with transaction() as db:
        db.query(Cart).update({"lines": [{**catalogue.LINES[0], "unit_price": 1}]})
        db.query(Coupon).update({"active": False})
        db.query(ShippingRate).update({"cost": 499})
    catalogue.tax(shop, "20")


def test_a_validation_names_every_blocker_and_changes_nothing(shop: Shop) -> None:
    shop.stock("POT", 1)
    session = shop.session(
        sku="POT",
        quantity=2,
        promotion_codes=("NOPE",),
        options={"require_billing_address": True},
        method_types=("cheque",),
    )
    catalogue.tax(shop, "20")
    found = validation.blockers(shop.actor, session.id)
    assert [blocker.code for blocker in found] == [
        "inventory_shortfall",
        "tax_mismatch",
        "promotion_invalid",
        "payment_method_not_supported",
        "missing_billing_address",
    ]
    assert shop.read(session).version == 1
    assert validation.blockers(shop.actor, shop.session(method_types=("card",)).id) == []


def test_a_sessions_own_hold_is_no_blocker(shop: Shop) -> None:
    shop.stock("POT", 1)
    session = shop.session(sku="POT")
    holds.reserve(shop.actor, session.id)
    assert validation.blockers(shop.actor, session.id) == []
    rival = validation.blockers(shop.actor, shop.session(sku="POT").id)
    assert [blocker.code for blocker in rival] == ["inventory_shortfall"]
