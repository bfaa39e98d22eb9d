"""The catalogue's screens: products, stock, coupons, gift cards, delivery, tax; what they write, and who may."""

from __future__ import annotations

from decimal import Decimal

from app.services.checkout import gift_cards
from app.services.checkout.catalogue import coupons, products, shipping_rates, stock, tax_rates
from app.services.operations import provider_settings
from tests.desk import Desk, told
from tests.shops import Shop

AT = "/catalogue"
PARTS = ("products", "stock", "coupons", "gift-cards", "shipping", "tax")


def test_every_part_opens_empty_and_says_what_it_is_for(desk: Desk) -> None:
    assert desk.client.get("/dashboard/test/catalogue").location.endswith("/catalogue/products")
    for part in PARTS:
        assert 'aria-current="page"' in desk.page(f"{AT}/{part}")
        assert "csrf_token" in desk.page(f"{AT}/{part}/new" if part != "gift-cards" else f"{AT}/tax/new")
    assert "nobody can pay less" in desk.page(f"{AT}/products")


def test_a_product_is_made_with_a_price_changed_and_taken_off_sale(desk: Desk, shop: Shop) -> None:
    wrong = desk.post(f"{AT}/products", name="Cup", sku="CUP", amount="twelve", currency="GBP")
    assert wrong.status_code == 422 and "Enter an amount like 12.50" in wrong.text
    assert products.list_page(shop.actor).data == []
    made = desk.post(f"{AT}/products", name="Cup", sku="CUP", amount="12,50", currency="gbp")
    assert made.status_code == 303
    [product] = products.list_page(shop.actor).data
    here = f"{AT}/products/{product.id}"
    monthly = {"amount": "9", "currency": "GBP", "interval": "month", "interval_count": "2"}
    assert desk.post(f"{here}/prices", **monthly).status_code == 303
    prices = products.prices_of(shop.actor, [product.id])[product.id]
    assert [(p.unit_amount, p.interval, p.interval_count) for p in prices] == [
        (900, "month", 2),
        (1250, None, 1),
    ]
    assert "£9.00 every 2 months" in desk.page(here)
    bad = desk.post(f"{here}/prices", **{**monthly, "interval_count": "0"})
    assert bad.status_code == 422 and "Choose 1 to 365" in bad.text
    desk.post(f"{here}/prices/{prices[1].id}/active", active="0")
    desk.post(here, name="Big cup", sku="CUP", description="Two handles")
    desk.post(f"{here}/active", active="0")
    after = products.get(shop.actor, product.id)
    assert (after.name, after.description, after.active) == ("Big cup", "Two handles", False)
    assert "Big cup" in desk.page(f"{AT}/products?show=inactive")
    assert "Big cup" not in desk.page(f"{AT}/products?show=active")
    taken = desk.post(f"{AT}/products", name="Other", sku="CUP")
    assert taken.status_code == 422 and "Another product has this SKU" in taken.text
    assert 'value="Big cup"' in desk.page(f"{here}/edit")


def test_stock_is_adjusted_with_a_reason_that_stays(desk: Desk, shop: Shop) -> None:
    assert desk.post(f"{AT}/stock", sku="VASE", on_hand="5").status_code == 303
    [item] = stock.list_page(shop.actor, sku="VASE").data
    here = f"{AT}/stock/{item.id}"
    assert desk.post(f"{here}/adjust", way="less", by="2", reason="Broken").status_code == 303
    for fields in (
        {"way": "less", "by": "4", "reason": "Broken"},
        {"way": "more", "by": "some", "reason": "Found"},
        {"way": "more", "by": "1", "reason": ""},
    ):
        assert desk.post(f"{here}/adjust", **fields).status_code == 422
    assert stock.get(shop.actor, item.id).on_hand == 3
    page = desk.page(here)
    assert "5 → 3: Broken" in page and "Free to sell" in page
    assert told(item.id) == ["stock_item.tracked", "stock_item.adjusted"]
    assert "MUG" not in desk.page(f"{AT}/stock?sku=VA")


def test_a_coupon_is_made_and_changed_and_switched_off(desk: Desk, shop: Shop) -> None:
    for fields, words in (
        ({"code": "SPRING", "percent": "lots"}, "Enter a percentage like 12.5"),
        ({"code": "SPRING", "percent": "10", "ends_at": "soon"}, "Enter a date and a time"),
        ({"code": "!", "percent": "10"}, "Use 2 to 64 letters"),
    ):
        refused = desk.post(f"{AT}/coupons", **fields)
        assert refused.status_code == 422 and words in refused.text
    terms = {"percent": "12.5 %", "ends_at": "2099-01-31T18:00", "usage_limit": "10"}
    assert desk.post(f"{AT}/coupons", code="spring", **terms).status_code == 303
    [made] = coupons.list_page(shop.actor).data
    assert made.ends_at is not None
    assert (made.code, made.percent, made.usage_limit) == ("SPRING", Decimal("12.5"), 10)
    assert made.ends_at.isoformat() == "2099-01-31T18:00:00+00:00"
    assert "12.5%" in desk.page(f"{AT}/coupons")
    page = desk.page(f"{AT}/coupons/{made.id}")
    assert 'value="2099-01-31T18:00"' in page and 'value="12.5"' in page
    desk.post(f"{AT}/coupons/{made.id}", percent="20")
    desk.post(f"{AT}/coupons/{made.id}/active", active="0")
    after = coupons.get(shop.actor, made.id)
    assert (after.percent, after.usage_limit, after.active) == (Decimal(20), None, False)


def test_a_gift_card_wants_a_step_up_shows_its_code_once_and_is_blocked(desk: Desk, shop: Shop) -> None:
    assert "/dashboard/confirm?action=gift-cards" in desk.post(f"{AT}/gift-cards", amount="20").location
    assert gift_cards.list_page(shop.actor).data == []
    desk.confirm("gift-cards")
    for fields in (
        {"amount": "0", "currency": "GBP"},
        {"amount": "5", "currency": "GBP", "days": "0"},
        {"amount": "5", "currency": "GBP", "code": "abc"},
    ):
        assert desk.post(f"{AT}/gift-cards", **fields).status_code == 422
    made = desk.post(f"{AT}/gift-cards", amount="20", currency="GBP", days="365")
    [card] = gift_cards.list_page(shop.actor).data
    assert made.status_code == 201 and card.code in made.text and card.balance == 2000
    here = f"{AT}/gift-cards/{card.id}"
    assert card.code not in desk.page(f"{AT}/gift-cards") + desk.page(here)
    found = desk.post(f"{AT}/gift-cards/find", code=card.code.lower())
    assert found.location.endswith(card.id)
    assert desk.post(f"{AT}/gift-cards/find", code="NO-SUCH-ONE").status_code == 422
    desk.post(f"{here}/blocked", blocked="1")
    assert gift_cards.state(gift_cards.get(shop.actor, card.id)) == "blocked"
    assert "Blocked" in desk.page(here)
    desk.post(f"{here}/blocked", blocked="0")
    assert told(card.id) == ["gift_card.issued", "gift_card.blocked", "gift_card.unblocked"]


def test_tax_and_delivery_are_set_changed_and_taken_away(desk: Desk, shop: Shop) -> None:
    desk.post(f"{AT}/tax", name="VAT", percent="20", country="gb")
    [rate] = tax_rates.list_page(shop.actor).data
    assert "United Kingdom" in desk.page(f"{AT}/tax")
    again = desk.post(f"{AT}/tax", name="VAT", percent="5", country="GB")
    assert again.status_code == 422 and "This place has a rate already" in again.text
    desk.post(f"{AT}/tax/{rate.id}", name="VAT", percent="17,5", country="GB")
    assert tax_rates.get(shop.actor, rate.id).percent == Decimal("17.5")
    assert 'value="17.5"' in desk.page(f"{AT}/tax/{rate.id}")
    desk.post(f"{AT}/tax/{rate.id}/remove")
    assert tax_rates.list_page(shop.actor).data == []

    option = {"label": "Next day", "cost": "4.99", "currency": "GBP", "countries": "gb, ie"}
    wrong = desk.post(f"{AT}/shipping", **option, days_min="2", days_max="1")
    assert wrong.status_code == 422 and "not below the shortest" in wrong.text
    desk.post(f"{AT}/shipping", **option, days_min="1", days_max="2")
    [made] = shipping_rates.list_page(shop.actor).data
    assert (made.cost, made.countries) == (499, ["GB", "IE"])
    desk.post(f"{AT}/shipping/{made.id}", label="Express", cost="0", days_min="1", days_max="1")
    desk.post(f"{AT}/shipping/{made.id}/active", active="0")
    after = shipping_rates.get(shop.actor, made.id)
    assert (after.label, after.cost, after.countries, after.active) == ("Express", 0, [], False)
    assert 'value="0.00"' in desk.page(f"{AT}/shipping/{made.id}")


def test_a_part_that_a_system_of_the_merchants_own_answers_says_so(desk: Desk, shop: Shop) -> None:
    words = "Your own system is asked instead"
    assert words not in desk.page(f"{AT}/tax")
    own = {"kind": "http", "url": "http://127.0.0.1:9000/tax"}
    provider_settings.choose(shop.actor, {"tax": own})
    assert words in desk.page(f"{AT}/tax")
    assert words not in desk.page(f"{AT}/coupons")
