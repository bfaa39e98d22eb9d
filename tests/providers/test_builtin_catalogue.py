"""The built-in carts, discount codes, tax rates and delivery options."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from app.kit import clock
from app.providers.base import Scope
from app.providers.builtin.catalogue import (
    BuiltinCarts,
    BuiltinPromotions,
    BuiltinShipping,
    BuiltinTaxes,
)
from tests import catalogue
from tests.buyers import together
from tests.shops import Shop, make

PROMOTIONS = BuiltinPromotions()


def scope(shop: Shop, mode: str = "test") -> Scope:
    return Scope(shop.actor.tenant, mode)


def test_a_cart_is_its_merchants_and_modes(shop: Shop) -> None:
    catalogue.cart(shop)
    found = BuiltinCarts().get(scope(shop), "cart_123")
    assert found is not None
    assert [line.as_dict() for line in found.lines] == catalogue.LINES
    assert BuiltinCarts().get(scope(shop, "live"), "cart_123") is None
    assert BuiltinCarts().get(scope(make("Other shop")), "cart_123") is None


def test_codes_match_without_case_and_spaces_and_tell_why_not(shop: Shop) -> None:
    now = clock.now()
    catalogue.coupon(shop)
    catalogue.coupon(shop, "EARLY", starts_at=now + timedelta(days=1))
    catalogue.coupon(shop, "LATE", ends_at=now - timedelta(days=1))
    catalogue.coupon(shop, "GONE", usage_limit=1, used=1)
    catalogue.coupon(shop, "OFF", active=False)
    answer = PROMOTIONS.resolve(scope(shop), [" save10 ", "SAVE10", "early", "late", "gone", "off", "what"])
    assert [(one.code, one.percent) for one in answer.applied] == [("SAVE10", Decimal(10))]
    assert answer.refused == {
        "EARLY": "not_started",
        "LATE": "expired_code",
        "GONE": "used_up",
        "OFF": "unknown_code",
        "WHAT": "unknown_code",
    }


def test_uses_are_held_counted_and_given_back(shop: Shop) -> None:
    catalogue.coupon(shop, usage_limit=2)
    catalogue.coupon(shop, "FREE5", percent=5)
    assert sorted(PROMOTIONS.hold(scope(shop), ["SAVE10", "FREE5"])) == ["FREE5", "SAVE10"]
    assert PROMOTIONS.hold(scope(shop), ["SAVE10"]) == ["SAVE10"]
    assert PROMOTIONS.hold(scope(shop), ["SAVE10"]) == []
    assert PROMOTIONS.resolve(scope(shop), ["SAVE10"]).refused == {"SAVE10": "used_up"}
    assert PROMOTIONS.resolve(scope(shop), ["SAVE10"], held=["SAVE10"]).refused == {}
    PROMOTIONS.commit(scope(shop), ["SAVE10"])
    PROMOTIONS.release(scope(shop), ["SAVE10", "FREE5"])
    assert (catalogue.uses(shop), catalogue.uses(shop, "FREE5")) == ((0, 1), (0, 0))


def test_the_last_use_goes_to_exactly_one_of_sixteen(shop: Shop) -> None:
    catalogue.coupon(shop, usage_limit=1)
    results = together(16, lambda _: PROMOTIONS.hold(scope(shop), ["SAVE10"]))
    assert sorted(map(str, results)) == sorted(["['SAVE10']"] + ["[]"] * 15)
    assert catalogue.uses(shop) == (1, 0)


@pytest.mark.parametrize(
    ("address", "percent"),
    [
        (None, "20"),
        ({"country": "US"}, "0"),
        ({"country": "US", "state": "CA"}, "7.25"),
        ({"country": "US", "state": "NY"}, "0"),
        ({"country": "FR", "state": "CA"}, "20"),
    ],
)
def test_the_nearest_tax_rate_counts(shop: Shop, address: dict[str, str] | None, percent: str) -> None:
    catalogue.tax(shop, "20")
    catalogue.tax(shop, "0", country="US", name="Sales tax")
    catalogue.tax(shop, "7.25", country="US", region="CA", name="Sales tax")
    assert BuiltinTaxes().rate(scope(shop), address).percent == Decimal(percent)


def test_eight_per_cent_where_the_merchant_says_nothing(shop: Shop) -> None:
    assert BuiltinTaxes().rate(scope(shop), {"country": "DE"}).percent == 8


def test_delivery_options_fit_currency_and_country_cheapest_first(shop: Shop) -> None:
    catalogue.shipping(shop, "ship_1", 399)
    catalogue.shipping(shop, "ship_2", 199, ["GB"])
    catalogue.shipping(shop, "ship_3", 99, ["FR"])
    catalogue.shipping(shop, "ship_4", 1, currency="USD")
    catalogue.shipping(shop, "ship_5", 1, active=False)
    british = BuiltinShipping().options(scope(shop), "GBP", {"country": "GB"})
    assert [option.shipping_option_id for option in british] == ["ship_2", "ship_1"]
    unknown = BuiltinShipping().options(scope(shop), "GBP", None)
    assert [option.shipping_option_id for option in unknown] == ["ship_3", "ship_2", "ship_1"]
