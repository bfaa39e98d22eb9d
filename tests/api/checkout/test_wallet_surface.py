"""CK-050 to CK-053 over HTTP: answers, refusals, whose wallet it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading
from app.kit import clock
from app.models.operations.idempotency import IdempotencyRecord
from app.services.checkout import tries
from tests import catalogue
from tests.checkout_api import Checkout
from tests.shops import Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")
DUE = 1620


@pytest.fixture
def checkout(client: FlaskClient, shop: Shop) -> Checkout:
    catalogue.gift_card(shop, "GIFT-1234", 1000)
    catalogue.credit(shop, "cust_1", 500)
    return Checkout(client, shop, customer={"customer_id": "cust_1"})


def test_a_gift_card_from_apply_to_remove(checkout: Checkout) -> None:
    assert checkout.get()["amount_due"] == DUE
    done = checkout.of("/apply-giftcard", {"code": " gift-1234 "})
    assert (done["type"], done["code"], done["currency"]) == ("gift_card", "…1234", "GBP")
    assert (done["applied"], done["remaining"], done["amount_due"]) == (1000, 0, DUE - 1000)
    read = checkout.get()
    assert (read["status"], read["version"], read["amount_due"]) == ("collecting", 2, DUE - 1000)
    assert read["totals"]["grand_total"] == DUE
    again = checkout.of("/apply-giftcard", {"code": "GIFT-1234"})
    assert {**again, "version": 0} == {**done, "version": 0}
    assert checkout.get("/wallet") == {
        "checkout_id": checkout.session.id,
        "currency": "GBP",
        "applied": [
            {name: done[name] for name in ("id", "type", "code", "currency", "applied", "remaining")}
        ],
        "available": [
            {
                "id": None,
                "type": "store_credit",
                "code": None,
                "currency": "GBP",
                "applied": 0,
                "remaining": 500,
            }
        ],
        "amount_applied": 1000,
        "amount_due": DUE - 1000,
    }
    off = checkout.of("/remove-giftcard/GIFT-1234")
    with reading() as db:
        assert not any("GIFT-1234" in route for route in db.scalars(select(IdempotencyRecord.route)))
    assert (off["applied"], off["remaining"], off["amount_due"]) == (0, 1000, DUE)
    assert checkout.of("/remove-giftcard/GIFT-1234", {}, 404)["code"] == "giftcard_not_applied"
    assert checkout.get("/wallet")["applied"] == []
    assert catalogue.on_card(checkout.shop) == (1000, 0)


def test_a_listed_card_is_removed_by_its_id(checkout: Checkout) -> None:
    checkout.of("/apply-giftcard", {"code": "GIFT-1234"})
    listed = checkout.get("/wallet")["applied"][0]["id"]
    assert checkout.of(f"/remove-giftcard/{listed}")["amount_due"] == DUE


def test_a_card_gives_what_is_due_and_more_when_more_is_due(checkout: Checkout, shop: Shop) -> None:
    catalogue.gift_card(shop, "BIG-CARD-1", 2000)
    first = checkout.of("/apply-giftcard", {"code": "BIG-CARD-1"})
    assert (first["applied"], first["remaining"], first["amount_due"]) == (DUE, 380, 0)
    assert checkout.of("/apply-giftcard", {"code": "GIFT-1234"}, 422)["code"] == "nothing_due"
    assert checkout.of("/payment-intents", {}, 422)["code"] == "nothing_due"
    catalogue.shipping(shop, "ship_1", 300)
    checkout.of("/select-shipping", {"shipping_option_id": "ship_1"})
    more = checkout.of("/apply-giftcard", {"code": "BIG-CARD-1"})
    assert (more["applied"], more["remaining"], more["amount_due"]) == (DUE + 300, 80, 0)
    assert len(checkout.get("/wallet")["applied"]) == 1


def test_cards_that_are_not_good(checkout: Checkout, client: FlaskClient, shop: Shop) -> None:
    stranger = make("Other shop")
    catalogue.gift_card(stranger, "THEIRS-99", 1000)
    catalogue.gift_card(shop, "EURO-0001", 1000, currency="EUR")
    catalogue.gift_card(shop, "LAPSED-01", 1000, expires_at=clock.now() - timedelta(seconds=1))
    catalogue.gift_card(shop, "EMPTY-001", 0)
    for code, refusal, reason in (
        ("NO-SUCH-1", "giftcard_invalid", "giftcard_invalid:unknown"),
        ("THEIRS-99", "giftcard_invalid", "giftcard_invalid:unknown"),
        ("EURO-0001", "giftcard_invalid", "giftcard_invalid:currency_mismatch"),
        ("LAPSED-01", "giftcard_invalid", "giftcard_invalid:expired"),
        ("EMPTY-001", "giftcard_empty", None),
    ):
        told = checkout.of("/apply-giftcard", {"code": code}, 422)
        assert (told["code"], told["field"]) == (refusal, "code")
        assert (told.get("explain") or {}).get("reason") == reason
        assert code not in str(told)
    other = Checkout(client, shop)
    other.of("/apply-giftcard", {"code": "GIFT-1234"})
    assert checkout.of("/apply-giftcard", {"code": "GIFT-1234"}, 422)["code"] == "giftcard_empty"
    assert checkout.of("/remove-giftcard/GIFT-1234", {}, 404)["code"] == "giftcard_not_applied"
    assert checkout.get()["version"] == 1


WRONG: list[Any] = [
    ("/apply-giftcard", {}, "missing_field", "code"),
    ("/apply-giftcard", {"code": ""}, "invalid_field", "code"),
    ("/apply-giftcard", {"code": 7}, "invalid_field", "code"),
    ("/apply-giftcard", {"code": "x" * 65}, "invalid_field", "code"),
    ("/apply-store-credit", {}, "missing_field", "amount"),
    ("/apply-store-credit", {"amount": -1}, "invalid_field", "amount"),
    ("/apply-store-credit", {"amount": 1.5}, "invalid_field", "amount"),
    ("/apply-store-credit", {"amount": True}, "invalid_field", "amount"),
]


def test_bodies_that_cannot_be(checkout: Checkout) -> None:
    for rest, body, code, field in WRONG:
        told = checkout.of(rest, body, 400)
        assert (told["code"], told["field"]) == (code, field), (rest, body)
    assert checkout.get()["version"] == 1


def test_store_credit_is_set_lowered_and_taken_off(checkout: Checkout, shop: Shop) -> None:
    told = checkout.of("/apply-store-credit", {"amount": 501}, 422)
    assert (told["code"], told["explain"]["available"]) == ("insufficient_store_credit", 500)
    done = checkout.of("/apply-store-credit", {"amount": 500})
    assert (done["type"], done["applied"], done["remaining"]) == ("store_credit", 500, 0)
    assert (done["amount_due"], checkout.get("/wallet")["available"]) == (DUE - 500, [])
    lower = checkout.of("/apply-store-credit", {"amount": 200})
    assert (lower["id"], lower["applied"], lower["remaining"]) == (done["id"], 200, 300)
    assert catalogue.of_customer(shop) == (500, 200)
    off = checkout.of("/apply-store-credit", {"amount": 0})
    assert (off["applied"], off["amount_due"]) == (0, DUE)
    assert catalogue.of_customer(shop) == (500, 0)


def test_credit_is_capped_at_what_is_due(checkout: Checkout, shop: Shop, client: FlaskClient) -> None:
    catalogue.credit(shop, "rich", 9000)
    mine = Checkout(client, shop, customer={"customer_id": "rich"})
    mine.of("/apply-giftcard", {"code": "GIFT-1234"})
    done = mine.of("/apply-store-credit", {"amount": 9000})
    assert (done["applied"], done["remaining"], done["amount_due"]) == (620, 8380, 0)
    mine.of("/apply-store-credit", {"amount": 0})
    catalogue.gift_card(shop, "BIG-CARD-1", 9000)
    mine.of("/apply-giftcard", {"code": "BIG-CARD-1"})
    assert mine.of("/apply-store-credit", {"amount": 1}, 422)["code"] == "nothing_due"


def test_credit_is_its_customers_as_the_server_named_them(client: FlaskClient, shop: Shop) -> None:
    catalogue.credit(shop, "cust_1", 500)
    catalogue.credit(shop, "cust_2", 500, currency="EUR")
    nobody = Checkout(client, shop)
    assert nobody.of("/apply-store-credit", {"amount": 1}, 422)["code"] == "customer_required"
    assert nobody.get("/wallet")["available"] == []
    browser = nobody.browser()
    assert browser.of("/customer", {"customer_id": "cust_1"}, 403)["code"] == "insufficient_permissions"
    euros = Checkout(client, shop, customer={"customer_id": "cust_2"})
    assert euros.of("/apply-store-credit", {"amount": 1}, 422)["explain"]["available"] == 0
    assert euros.get("/wallet")["available"] == []
    assert euros.of("/apply-store-credit", {"amount": 0})["amount_due"] == DUE
    poor = Checkout(client, shop, customer={"customer_id": "cust_3"})
    assert poor.of("/apply-store-credit", {"amount": 1}, 422)["code"] == "insufficient_store_credit"
    assert catalogue.of_customer(shop, "cust_1") == (500, 0)


def test_a_wallet_is_its_sessions_and_its_merchants(checkout: Checkout, client: FlaskClient) -> None:
    other = Checkout(client, checkout.shop)
    browser, stranger = other.browser(), other.browser()
    stranger.credential = make("Other shop").secret
    for caller in (browser, stranger):
        path = f"/sessions/{checkout.session.id}"
        for method, rest, body in (
            ("POST", "/apply-giftcard", {"code": "GIFT-1234"}),
            ("POST", "/remove-giftcard/GIFT-1234", {}),
            ("POST", "/apply-store-credit", {"amount": 1}),
            ("GET", "/wallet", None),
        ):
            answer = caller.call(method, path + rest, body)
            assert (answer.status_code, answer.json["code"]) == (404, "checkout_not_found"), rest
    assert checkout.browser().of("/apply-giftcard", {"code": "GIFT-1234"})["applied"] == 1000


def test_a_session_that_is_over_or_being_paid_takes_none(checkout: Checkout) -> None:
    checkout.opened()
    checkout.confirmed()
    for rest, body in (
        ("/apply-giftcard", {"code": "GIFT-1234"}),
        ("/remove-giftcard/GIFT-1234", {}),
        ("/apply-store-credit", {"amount": 1}),
    ):
        assert checkout.of(rest, body, 409)["code"] == "invalid_state", rest
    assert catalogue.on_card(checkout.shop) == (1000, 0)


def test_a_repeated_call_under_its_key_holds_once(checkout: Checkout) -> None:
    first = checkout.of("/apply-giftcard", {"code": "GIFT-1234"}, key="k1")
    assert checkout.of("/apply-giftcard", {"code": "GIFT-1234"}, key="k1") == first
    assert catalogue.on_card(checkout.shop) == (1000, 1000)


def test_a_shopper_cannot_find_codes_by_trying(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tries.PER_SESSION, tries.GIFT_CARD, 3)
    browser = checkout.browser()
    for number in range(3):
        assert browser.of("/apply-giftcard", {"code": f"GUESS-{number}"}, 422)["code"] == "giftcard_invalid"
    refused = browser.call("POST", f"/sessions/{checkout.session.id}/apply-giftcard", {"code": "GIFT-1234"})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    assert checkout.of("/apply-giftcard", {"code": "GIFT-1234"})["applied"] == 1000, "its server may"
    with later(601):
        assert browser.of("/remove-giftcard/GIFT-1234")["applied"] == 0
        assert browser.of("/apply-giftcard", {"code": "GIFT-1234"})["applied"] == 1000


def test_from_gift_card_to_paid(checkout: Checkout) -> None:
    checkout.of("/apply-giftcard", {"code": "GIFT-1234"})
    opened = checkout.opened()
    assert opened["amount"] == DUE - 1000
    done = checkout.confirmed()
    assert (done["status"], done["amount_captured"]) == ("succeeded", DUE - 1000)
