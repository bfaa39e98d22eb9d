"""The hosted page of a session that stored value pays in part, or wholly."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from app.services.checkout import stored_value
from tests import catalogue
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds")


def test_the_page_asks_for_the_rest_and_says_what_is_covered(client: FlaskClient, shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-1234", 1000)
    session = shop.session()
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT-1234")
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert "Already covered" in page
    assert "£6.20" in page
    assert "£16.20" in page
    assert "GIFT" not in page


def test_a_page_with_nothing_left_to_pay_finishes_the_order(client: FlaskClient, shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-1234", 2000)
    session = shop.session()
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT-1234")
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    fields = dict(re.findall(r'name="(csrf_token|nonce|quote)"[^>]*value="([^"]+)', page))
    done = client.post(f"/pay/{session.hosted_id}/method", data={**fields, "method": "free"})
    assert done.status_code == 303
    assert shop.read(session).status == "completed"
    assert catalogue.on_card(shop) == (380, 0)
    assert "£16.20" in client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
