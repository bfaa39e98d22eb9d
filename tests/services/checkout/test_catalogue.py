"""The built-in catalogue as a merchant writes it: what checkouts read of it afterwards, the journal, races."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from app.db import reading, transaction
from app.domain.errors import Conflict, DomainError, InvalidRequest, NotFound, Unprocessable
from app.kit import clock
from app.models.catalogue.promotion import Coupon
from app.models.catalogue.stock import StockItem
from app.models.events.journal import JournalEntry
from app.providers.base import CartLine, Scope
from app.providers.builtin.catalogue import BuiltinPromotions, BuiltinShipping, BuiltinTaxes
from app.providers.builtin.inventory import BuiltinInventory
from app.services.checkout import gift_cards, simple_sessions, stored_value
from app.services.checkout.catalogue import coupons, products, shipping_rates, stock, tax_rates
from app.services.checkout.catalogue.coupons import CouponTerms
from app.services.checkout.catalogue.products import PriceDraft, ProductDraft
from app.services.checkout.catalogue.shipping_rates import ShippingTerms
from app.services.checkout.catalogue.tax_rates import TaxDraft
from app.services.checkout.simple_sessions import SimpleDraft
from tests import shops
from tests.buyers import together
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds")

TEN = CouponTerms(Decimal(10))


def scope(shop: Shop) -> Scope:
    return Scope(shop.actor.tenant, "test")


def journal(entity_id: str) -> list[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    statement = select(JournalEntry).where(JournalEntry.entity_id == entity_id).order_by(JournalEntry.id)
    with reading() as db:
        return [(row.type, row.data["after"], row.data["before"]) for row in db.scalars(statement)]


def refusal(work: Any, *args: Any, **more: Any) -> tuple[str, str | None]:
    with pytest.raises(DomainError) as refused:
        work(*args, **more)
    return type(refused.value).__name__, refused.value.field


def test_a_product_is_sold_at_its_price_until_that_is_switched_off(shop: Shop) -> None:
    product = products.create(shop.actor, ProductDraft(" CUP-1 ", "Cup", "Blue."))
    price = products.add_price(shop.actor, product.id, PriceDraft(1200, "GBP"))
    monthly = products.add_price(shop.actor, product.id, PriceDraft(900, "GBP", "month", 3))
    ask = SimpleDraft(None, None, None, price_id=price.public_id, customer={"email": "ann@example.com"})
    assert simple_sessions.create(shop.actor, ask).cart_snapshot["lines"][0]["unit_price"] == 1200
    products.set_price_active(shop.actor, price.id, False)
    with pytest.raises(DomainError):
        simple_sessions.create(shop.actor, ask)
    assert [row.id for row in products.prices_of(shop.actor, [product.id])[product.id]] == [
        monthly.id,
        price.id,
    ]
    products.update(shop.actor, product.id, ProductDraft("CUP-1", "Large cup"))
    products.set_active(shop.actor, product.id, False)
    products.set_active(shop.actor, product.id, False)
    told = journal(product.id)
    assert [type_ for type_, _, _ in told] == ["product.created", "product.updated", "product.deactivated"]
    assert (told[1][1]["name"], told[1][2]["name"]) == ("Large cup", "Cup")  # type: ignore[index]
    assert [row.id for row in products.list_page(shop.actor, active=False).data] == [product.id]
    assert products.list_page(shop.actor, active=True).data == []


def test_a_sku_is_one_products_however_many_ask(shop: Shop) -> None:
    got = together(4, lambda number: products.create(shop.actor, ProductDraft("ONE", f"Name {number}")))
    assert sorted(type(item).__name__ for item in got) == ["Conflict", "Conflict", "Conflict", "Product"]
    other = products.create(shop.actor, ProductDraft("TWO", "Two"))
    with pytest.raises(Conflict):
        products.update(shop.actor, other.id, ProductDraft("ONE", "Two"))
    products.create(shops.make("Stranger").actor, ProductDraft("ONE", "Theirs"))


NO_PRICE = [
    (PriceDraft(0, "GBP"), "amount"),
    (PriceDraft(2**60, "GBP"), "amount"),
    (PriceDraft(5, "ZZZ"), "currency"),
    (PriceDraft(5, "GBP", "fortnight"), "interval"),
    (PriceDraft(5, "GBP", "month", 0), "interval_count"),
    (PriceDraft(5, "GBP", None, 2), "interval_count"),
]


def test_what_is_no_price_is_refused(shop: Shop) -> None:
    product = products.create(shop.actor, ProductDraft("CUP", "Cup"))
    for draft, field in NO_PRICE:
        assert refusal(products.add_price, shop.actor, product.id, draft) == ("InvalidRequest", field)


NO_PRODUCT = [
    (ProductDraft("", "Cup"), "sku"),
    (ProductDraft("A B", "Cup"), "sku"),
    (ProductDraft("A" * 65, "Cup"), "sku"),
    (ProductDraft("A", " "), "name"),
    (ProductDraft("A", "Cup", "x" * 2001), "description"),
]


def test_what_is_no_product_is_refused(shop: Shop) -> None:
    for draft, field in NO_PRODUCT:
        assert refusal(products.create, shop.actor, draft) == ("InvalidRequest", field)


def test_a_coupon_is_taken_in_its_time_as_often_as_it_may(shop: Shop) -> None:
    codes, now = BuiltinPromotions(), clock.now()
    terms = CouponTerms(Decimal("12.5"), None, now + timedelta(hours=1), 1)
    made = coupons.create(shop.actor, " spring-5 ", terms)
    assert made.code == "SPRING-5" and coupons.state(made) == "active"
    assert [found.percent for found in codes.resolve(scope(shop), ["spring-5"]).applied] == [Decimal("12.5")]
    assert codes.hold(scope(shop), ["SPRING-5"]) == ["SPRING-5"]
    assert coupons.state(coupons.get(shop.actor, made.id)) == "used_up"
    coupons.update(shop.actor, made.id, CouponTerms(Decimal(20), None, None, 2))
    assert codes.hold(scope(shop), ["SPRING-5"]) == ["SPRING-5"]
    low = CouponTerms(Decimal(20), usage_limit=1)
    assert refusal(coupons.update, shop.actor, made.id, low) == ("InvalidRequest", "usage_limit")
    coupons.set_active(shop.actor, made.id, False)
    assert codes.resolve(scope(shop), ["SPRING-5"]).refused == {"SPRING-5": "unknown_code"}
    assert [type_ for type_, _, _ in journal(made.id)] == [
        "coupon.created",
        "coupon.updated",
        "coupon.deactivated",
    ]
    codes.release(scope(shop), ["SPRING-5"])
    codes.release(scope(shop), ["SPRING-5"])


def test_a_limit_is_not_set_below_what_is_held_at_that_moment(shop: Shop) -> None:
    made = coupons.create(shop.actor, "RACE", CouponTerms(Decimal(5), usage_limit=8))

    def work(number: int) -> Any:
        if number % 2:
            return coupons.update(shop.actor, made.id, CouponTerms(Decimal(5), usage_limit=2))
        return BuiltinPromotions().hold(scope(shop), ["RACE"])

    got = together(8, work)
    assert not [item for item in got if isinstance(item, Exception) and not isinstance(item, InvalidRequest)]
    with reading() as db:
        row = db.get_one(Coupon, made.id)
        assert row.usage_limit is not None and row.held <= row.usage_limit
    for _ in range(row.held):
        BuiltinPromotions().release(scope(shop), ["RACE"])


NO_COUPON = [
    ("A", TEN, "code"),
    ("A B", TEN, "code"),
    ("NONE", CouponTerms(Decimal(0)), "percent"),
    ("MUCH", CouponTerms(Decimal("100.001")), "percent"),
    ("FINE", CouponTerms(Decimal("1.0001")), "percent"),
    ("ZERO", CouponTerms(Decimal(1), usage_limit=0), "usage_limit"),
]


def test_what_is_no_coupon_is_refused(shop: Shop) -> None:
    for code, terms, field in NO_COUPON:
        assert refusal(coupons.create, shop.actor, code, terms) == ("InvalidRequest", field)


def test_a_code_is_made_once(shop: Shop) -> None:
    coupons.create(shop.actor, "ONCE", TEN)
    assert refusal(coupons.create, shop.actor, "once", TEN) == ("Conflict", "code")
    backwards = CouponTerms(Decimal(1), clock.now(), clock.now() - timedelta(days=1))
    assert refusal(coupons.create, shop.actor, "BACK", backwards) == ("InvalidRequest", "ends_at")


def test_the_nearest_rate_is_taken_and_a_removed_one_is_not(shop: Shop) -> None:
    taxes = BuiltinTaxes()
    everywhere = tax_rates.create(shop.actor, TaxDraft("VAT", Decimal(20)))
    tax_rates.create(shop.actor, TaxDraft("Sales tax", Decimal(0), "us"))
    there = tax_rates.create(shop.actor, TaxDraft("Sales tax", Decimal("7.25"), "US", "CA"))
    assert taxes.rate(scope(shop), {"country": "US", "state": "CA"}).percent == Decimal("7.25")
    tax_rates.update(shop.actor, there.id, TaxDraft("Sales tax", Decimal("8.5"), "US", "CA"))
    assert taxes.rate(scope(shop), {"country": "US", "state": "CA"}).percent == Decimal("8.5")
    tax_rates.remove(shop.actor, there.id)
    assert taxes.rate(scope(shop), {"country": "US", "state": "CA"}).percent == 0
    assert taxes.rate(scope(shop), {"country": "FR"}).name == "VAT"
    assert [type_ for type_, _, _ in journal(there.id)] == [
        "tax_rate.created",
        "tax_rate.updated",
        "tax_rate.removed",
    ]
    assert refusal(tax_rates.create, shop.actor, TaxDraft("VAT", Decimal(5)))[0] == "Conflict"
    moved = TaxDraft("VAT", Decimal(20), "US")
    assert refusal(tax_rates.update, shop.actor, everywhere.id, moved)[0] == "Conflict"
    assert refusal(tax_rates.remove, shop.actor, there.id)[0] == "NotFound"


NO_RATE = [
    (TaxDraft("VAT", Decimal(-1)), "percent"),
    (TaxDraft("VAT", Decimal("0.00001")), "percent"),
    (TaxDraft("VAT", Decimal(1), "XX"), "country"),
    (TaxDraft("VAT", Decimal(1), "", "CA"), "country"),
    (TaxDraft("", Decimal(1)), "name"),
]


def test_what_is_no_rate_is_refused(shop: Shop) -> None:
    for draft, field in NO_RATE:
        assert refusal(tax_rates.create, shop.actor, draft) == ("InvalidRequest", field)


def test_a_delivery_is_offered_where_it_goes(shop: Shop) -> None:
    terms = ShippingTerms("Next day", 499, "DHL", "express", ("GB", "IE"), 1, 1)
    rate = shipping_rates.create(shop.actor, "GBP", terms, code="next")
    offered = BuiltinShipping()
    assert [o.cost for o in offered.options(scope(shop), "GBP", {"country": "IE"})] == [499]
    assert offered.options(scope(shop), "GBP", {"country": "FR"}) == []
    shipping_rates.update(shop.actor, rate.id, ShippingTerms("Next day", 0, days_min=1, days_max=2))
    [option] = offered.options(scope(shop), "GBP", {"country": "FR"})
    assert (option.cost, option.shipping_option_id) == (0, "next")
    shipping_rates.set_active(shop.actor, rate.id, False)
    assert offered.options(scope(shop), "GBP", None) == []
    again = refusal(shipping_rates.create, shop.actor, "GBP", terms, code="next")
    assert again == ("Conflict", "code")
    assert shipping_rates.create(shop.actor, "GBP", terms).code.startswith("ship_")
    assert len(journal(rate.id)) == 3


NO_DELIVERY = [
    (ShippingTerms("", 1), "label"),
    (ShippingTerms("Post", -1), "cost"),
    (ShippingTerms("Post", 1, countries=("GB", "QQ")), "countries"),
    (ShippingTerms("Post", 1, days_min=-1), "days_min"),
    (ShippingTerms("Post", 1, days_min=3, days_max=2), "days_max"),
    (ShippingTerms("Post", 1, carrier="x" * 41), "carrier"),
]


def test_what_is_no_delivery_is_refused(shop: Shop) -> None:
    for terms, field in NO_DELIVERY:
        assert refusal(shipping_rates.create, shop.actor, "GBP", terms) == ("InvalidRequest", field)


def test_stock_never_falls_below_what_is_held(shop: Shop) -> None:
    item = stock.track(shop.actor, "VASE", 5)
    inventory = BuiltinInventory()
    held = inventory.hold(scope(shop), [CartLine("line_1", "VASE", "Vase", 3, 100)])
    with pytest.raises(Unprocessable):
        stock.adjust(shop.actor, item.id, -3, "Broken")
    assert stock.adjust(shop.actor, item.id, -2, "Broken").on_hand == 3
    assert inventory.available(scope(shop), ["VASE"]) == {"VASE": 0}
    assert stock.adjust(shop.actor, item.id, 10, "Delivery 77").on_hand == 13
    inventory.release(scope(shop), held)
    last = journal(item.id)[-1]
    assert (last[0], last[1]["reason"], last[1]["on_hand"]) == ("stock_item.adjusted", "Delivery 77", 13)
    assert last[2] is not None and last[2]["on_hand"] == 3
    assert len(journal(item.id)) == 3, "what was refused is not written"


def test_units_that_many_take_at_once_are_taken_once(shop: Shop) -> None:
    item = stock.track(shop.actor, "VASE", 5)
    got = together(8, lambda number: stock.adjust(shop.actor, item.id, -1, f"Broken {number}"))
    assert sum(isinstance(one, StockItem) for one in got) == 5
    assert sum(isinstance(one, Unprocessable) for one in got) == 3
    assert stock.get(shop.actor, item.id).on_hand == 0


def test_a_sku_is_counted_once_at_a_place_and_listed_in_order(shop: Shop) -> None:
    stock.track(shop.actor, "A-2", 1)
    stock.track(shop.actor, "A-1", 1, location="north")
    stock.track(shop.actor, "A-1", 1)
    assert refusal(stock.track, shop.actor, "A-1", 1) == ("Conflict", "sku")
    assert refusal(stock.track, shop.actor, "A-1", -1, location="x") == ("InvalidRequest", "on_hand")
    assert refusal(stock.track, shop.actor, "A-1", 1, location="-") == ("InvalidRequest", "location")
    first = stock.list_page(shop.actor, limit=2, sku="A-")
    rest = stock.list_page(shop.actor, limit=2, sku="A-", cursor=first.next_cursor)
    found = [(row.sku, row.location) for row in first.data + rest.data]
    assert found == [("A-1", "main"), ("A-1", "north"), ("A-2", "main")]
    item = first.data[0].id
    assert refusal(stock.adjust, shop.actor, item, 0, "Nothing") == ("InvalidRequest", "by")
    assert refusal(stock.adjust, shop.actor, item, 1, " ") == ("InvalidRequest", "reason")
    assert refusal(stock.list_page, shop.actor, cursor="zzz")[0] == "InvalidRequest"


def test_a_blocked_card_pays_nothing_and_what_it_was_promised_to_goes_on(shop: Shop) -> None:
    card = gift_cards.issue(shop.actor, 2000, "GBP", code="PRESENT-1")
    begun, later = shop.session(), shop.session()
    stored_value.apply_gift_card(shop.actor, begun.id, "PRESENT-1")
    gift_cards.set_blocked(shop.actor, card.id, True)
    with pytest.raises(Unprocessable) as refused:
        stored_value.apply_gift_card(shop.actor, later.id, "PRESENT-1")
    assert refused.value.code == "giftcard_invalid"
    now = gift_cards.get(shop.actor, card.id)
    assert (gift_cards.state(now), now.balance, now.held) == ("blocked", 2000, 1620)
    gift_cards.set_blocked(shop.actor, card.id, True)
    gift_cards.set_blocked(shop.actor, card.id, False)
    assert [t for t, _, _ in journal(card.id)] == [
        "gift_card.issued",
        "gift_card.blocked",
        "gift_card.unblocked",
    ]
    stored_value.apply_gift_card(shop.actor, later.id, "present-1")
    assert gift_cards.by_code(shop.actor, " present-1 ").id == card.id


def test_nothing_of_another_merchant_or_mode_is_there(shop: Shop) -> None:
    stranger = shops.make("Stranger").actor
    product = products.create(stranger, ProductDraft("X-1", "Theirs"))
    price = products.add_price(stranger, product.id, PriceDraft(1, "GBP"))
    coupon = coupons.create(stranger, "THEIRS", TEN)
    rate = tax_rates.create(stranger, TaxDraft("VAT", Decimal(1)))
    option = shipping_rates.create(stranger, "GBP", ShippingTerms("Post", 1))
    item = stock.track(stranger, "X-1", 1)
    card = gift_cards.issue(stranger, 100, "GBP", code="THEIRS-9")
    for work in (
        lambda: products.get(shop.actor, product.id),
        lambda: products.update(shop.actor, product.id, ProductDraft("A", "B")),
        lambda: products.add_price(shop.actor, product.id, PriceDraft(1, "GBP")),
        lambda: products.set_price_active(shop.actor, price.id, False),
        lambda: coupons.update(shop.actor, coupon.id, TEN),
        lambda: tax_rates.remove(shop.actor, rate.id),
        lambda: shipping_rates.set_active(shop.actor, option.id, False),
        lambda: stock.adjust(shop.actor, item.id, 1, "Mine"),
        lambda: gift_cards.set_blocked(shop.actor, card.id, True),
        lambda: gift_cards.by_code(shop.actor, "THEIRS-9"),
    ):
        with pytest.raises(NotFound):
            work()
    with transaction() as db:
        db.get_one(StockItem, item.id).mode = "live"
    with pytest.raises(NotFound):
        stock.get(stranger, item.id)
