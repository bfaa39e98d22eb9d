"""Delivery and billing address on the hosted page: asked for before anything can be paid, and totals that follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.errors import ProviderUnavailable, Unprocessable
from app.models.checkout.session import CheckoutSession
from app.services.access import tenants
from app.services.checkout import details, payment, shipping, validation
from app.services.operations import settings
from tests import catalogue
from tests.pages.hosted import Visit, typed
from tests.shops import GOOD, Shop, card

pytestmark = pytest.mark.usefixtures("holds")


@pytest.fixture
def ways(shop: Shop) -> None:
    """Two ways to deliver in the country, and one abroad."""
    catalogue.shipping(shop, "slow", 199, label="Standard", carrier="Royal Mail", days_min=2, days_max=4)
    catalogue.shipping(shop, "fast", 399, days_min=1, days_max=1)
    catalogue.shipping(shop, "abroad", 999, ["FR"], label="Abroad")


def to_deliver(shop: Shop, **options: Any) -> CheckoutSession:
    return shop.session(options={"require_shipping_address": True, "tax": "included", **options})


def test_address_option_payment(client: FlaskClient, shop: Shop, ways: None) -> None:
    session = to_deliver(shop)
    visit = Visit(client, session)
    assert 'name="ship_line1"' in visit.text and "card_number" not in visit.text
    assert "You pay in the next step" in visit.text
    assert visit.send("shipping", **typed("ship_")).status_code == 303
    page = visit.text
    assert "Standard" in page and "£1.99" in page and "2 to 4 days" in page and "£3.99" in page
    assert "Abroad" not in page and "card_number" not in page
    assert visit.send("shipping", shipping_option="fast").status_code == 303
    page = visit.text
    assert "£18.99" in page and "card_number" in page and "checked" in page
    visit.send("shipping", shipping_option="slow")
    assert "£16.99" in visit.text
    assert visit.pay().status_code == 303
    paid = shop.read(session)
    assert (paid.status, paid.grand_total) == ("completed", 1699)
    assert paid.shipping_address is not None and paid.shipping_address["postal_code"] == "N1 1AA"
    assert paid.selected_shipping is not None and paid.selected_shipping["id"] == "slow"


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": ""}, "ship_name", "Enter the full name"),
        ({"line1": " "}, "ship_line1", "Enter the street and number"),
        ({"postal_code": "12345"}, "ship_postal_code", "as it is written in this country"),
        ({"country": "US", "postal_code": "94103"}, "ship_state", "Enter the state or region"),
        ({"country": "XX"}, "ship_country", "Choose a country"),
        ({"country": ""}, "ship_country", "Choose the country"),
        ({"city": "<b>"}, None, ""),
    ],
)
def test_what_is_wrong_with_an_address_is_said_at_its_field(
    client: FlaskClient, shop: Shop, ways: None, wrong: dict[str, str], field: str | None, words: str
) -> None:
    session = to_deliver(shop)
    visit = Visit(client, session)
    answer = visit.send("shipping", **typed("ship_", **wrong))
    assert "<b>" not in answer.text
    if field is None:
        assert answer.status_code == 303
        return
    assert answer.status_code == 422
    assert "<title>Error:" in answer.text
    assert answer.text.count(words) >= 2, "in the summary and at the field"
    assert f'href="#{field}"' in answer.text and f'id="{field}-error"' in answer.text
    assert "London" in answer.text, "what was typed is there"
    assert shop.read(session).shipping_address is None


def test_a_delivery_that_is_not_offered_where_it_goes_is_dropped(
    client: FlaskClient, shop: Shop, ways: None
) -> None:
    session = to_deliver(shop)
    visit = Visit(client, session)
    visit.send("shipping", **typed("ship_", country="FR", postal_code="75001", city="Paris"))
    visit.send("shipping", shipping_option="abroad")
    assert "£24.99" in visit.text
    visit.send("shipping", **typed("ship_"))
    page = visit.text
    assert "£24.99" not in page and "card_number" not in page
    refused = visit.send("shipping", shipping_option="abroad")
    assert refused.status_code == 422
    assert "This way of delivery is not available" in refused.text
    assert refused.text.count("shipping_option-error") >= 1


def test_where_nothing_is_delivered_the_page_says_so(client: FlaskClient, shop: Shop) -> None:
    catalogue.shipping(shop, "abroad", 999, ["FR"])
    session = to_deliver(shop)
    visit = Visit(client, session)
    visit.send("shipping", **typed("ship_"))
    assert "does not deliver to this address" in visit.text
    assert "card_number" not in visit.text


def test_a_fresh_copy_knows_the_address(client: FlaskClient, shop: Shop, ways: None) -> None:
    catalogue.coupon(shop)
    session = to_deliver(shop, allow_coupon_code=True)
    visit = Visit(client, session)
    visit.send("shipping", **typed("ship_"))
    visit.send("shipping", shipping_option="fast")
    visit.send("coupon", coupon="SAVE10")
    visit.send("sandbox", action="expire")
    fresh = client.post(f"{visit.url}/again", data=Visit(client, shop.session()).hidden("csrf_token"))
    page = client.get(fresh.location).text
    assert "Deliver to Sam Shopper" in page and "SAVE10" in page
    assert "£13.50" in page and "card_number" not in page, "how it is delivered is chosen again"


def test_a_carrier_system_that_is_away_leaves_a_page_that_says_so(
    client: FlaskClient, shop: Shop, ways: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = to_deliver(shop)
    visit = Visit(client, session)
    visit.send("shipping", **typed("ship_"))

    def away(*_: Any) -> None:
        raise ProviderUnavailable("shipping", "timeout")

    monkeypatch.setattr(shipping, "offered", away)
    page = client.get(visit.url)
    assert page.status_code == 200
    assert "cannot be shown just now" in page.text and "card_number" not in page.text


def test_goods_are_collected_in_place_of_a_delivery(client: FlaskClient, shop: Shop, ways: None) -> None:
    place = {"location_id": "shop_1", "name": "Market Hall", "address": {"line1": "2 Mill Lane"}}
    shop.actor = replace(shop.actor, tenant=_with_places(shop, [place]))
    session = to_deliver(shop)
    visit = Visit(client, session)
    assert "Market Hall" in visit.text and "2 Mill Lane" in visit.text
    assert visit.send("shipping", shipping_option="collect:elsewhere").status_code == 422
    assert visit.send("shipping", shipping_option="collect:shop_1").status_code == 303
    assert "Collect at Market Hall" in visit.text
    assert visit.pay().status_code == 303
    assert shop.read(session).pickup_location == place
    assert shop.read(session).status == "completed"


def _with_places(shop: Shop, places: list[dict[str, Any]]) -> Any:
    settings.change(shop.actor, {"pickup_locations": places})
    return tenants.profile(shop.actor.tenant_id, "test")


def test_nothing_is_paid_before_it_is_known_where_the_goods_go(shop: Shop, ways: None) -> None:
    session = to_deliver(shop)
    for code in ("missing_shipping_address", "missing_shipping_choice"):
        with pytest.raises(Unprocessable) as refused:
            payment.pay_by_card(shop.actor, session.id, card(GOOD), payment.Order("nonce-1"))
        assert refused.value.code == code
        blocked = [found.code for found in validation.blockers(shop.actor, session.id)]
        assert ("missing_shipping_address" in blocked) == (code == "missing_shipping_address")
        details.set_shipping_address(shop.actor, session.id, {**typed("")})
    assert shop.read(session).payment_intent_id is None
    shipping.select(shop.actor, session.id, "slow")
    assert shop.pay(session).status == "completed"


def test_an_address_of_the_merchants_server_is_shown_with_its_ways(
    client: FlaskClient, shop: Shop, ways: None
) -> None:
    session = shop.session(options={"tax": "included"})
    details.set_shipping_address(shop.actor, session.id, {**typed("")})
    visit = Visit(client, session)
    assert "Deliver to Sam Shopper" in visit.text and "Standard" in visit.text
    shipping.select(shop.actor, session.id, "fast")
    assert "£18.99" in visit.text
    assert visit.pay().status_code == 303
    assert shop.read(session).status == "completed"


def test_a_billing_address_comes_before_the_ways_to_pay_and_tax_follows_it(
    client: FlaskClient, shop: Shop
) -> None:
    catalogue.tax(shop, "20", country="FR")
    catalogue.tax(shop, "10", country="GB")
    session = shop.session(options={"require_billing_address": True})
    visit = Visit(client, session)
    assert 'name="bill_line1"' in visit.text and "card_number" not in visit.text
    wrong = visit.send("billing", **typed("bill_", postal_code="nowhere"))
    assert (wrong.status_code, 'id="bill_postal_code-error"' in wrong.text) == (422, True)
    visit.send("billing", **typed("bill_"))
    assert "£16.50" in visit.text and "Bill to Sam Shopper" in visit.text
    visit.send("billing", **typed("bill_", country="FR", postal_code="75001", city="Paris"))
    assert "£18.00" in visit.text
    assert visit.pay("method", method="ideal").status_code == 303
    assert shop.read(session).status == "payment_processing"


def test_the_bill_goes_where_the_goods_go(client: FlaskClient, shop: Shop, ways: None) -> None:
    session = to_deliver(shop, require_billing_address=True)
    visit = Visit(client, session)
    assert visit.send("billing", same="1").status_code == 422
    visit.send("shipping", **typed("ship_"))
    assert "bill_line1" not in visit.text, "one question at a time"
    visit.send("shipping", shipping_option="slow")
    assert "Use the delivery address" in visit.text
    assert visit.send("billing", same="1").status_code == 303
    assert visit.pay().status_code == 303
    paid = shop.read(session)
    assert paid.billing_address == paid.shipping_address
    assert paid.status == "completed"


def test_a_paid_session_takes_no_address_any_more(client: FlaskClient, shop: Shop, ways: None) -> None:
    session = shop.session()
    visit = Visit(client, session)
    token = visit.hidden("csrf_token")
    shop.pay(session)
    answer = client.post(f"{visit.url}/shipping", data={**token, **typed("ship_")})
    assert 'data-step="receipt"' in answer.text
    assert shop.read(session).shipping_address is None
