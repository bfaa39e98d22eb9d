"""CK-030 and CK-031 over HTTP: what can be paid with, and the vault behind the checkout surface."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading, transaction
from app.models.access.tenant import Tenant
from app.models.operations.idempotency import IdempotencyRecord
from app.models.payments.method import PaymentMethod
from app.services.access import keys
from tests.checkout_api import Checkout
from tests.shops import GOOD, Shop, make

PATH = "/v1/checkout/payment-methods"
CARD = {"number": GOOD, "exp_month": 12, "exp_year": 2040, "cvc": "123"}


def configure(shop: Shop, **settings: Any) -> None:
    with transaction() as db:
        db.get_one(Tenant, shop.actor.tenant_id).settings = settings


def types(client: FlaskClient, shop: Shop, query: str = "") -> list[str]:
    answer = client.get(PATH + query, headers=shop.bearer)
    assert answer.status_code == 200, answer.text
    return [method["type"] for method in answer.json["data"]]


def test_what_the_merchant_takes_is_offered_in_its_order(client: FlaskClient, shop: Shop) -> None:
    told = client.get(f"{PATH}?country=GB&channel=app&currency=GBP", headers=shop.bearer).json
    assert (told["country"], told["channel"], told["currency"]) == ("GB", "app", "GBP")
    assert told["data"][0] == {
        "type": "card",
        "label": "Card",
        "flow": "card",
        "next_actions": ["3ds_challenge"],
        "card_form": True,
    }
    assert {"paypal", "promptpay"} <= {method["type"] for method in told["data"]}
    configure(shop, allowed_methods=["paypal", "card", "bank_transfer"])
    assert types(client, shop) == ["paypal", "card", "bank_transfer"]


def test_a_country_a_currency_or_a_session_narrows_it_down(client: FlaskClient, shop: Shop) -> None:
    configure(
        shop,
        allowed_methods=["card", "paypal", "ideal"],
        allowed_apms={"NL": ["ideal"], "GB": []},
        currencies=["GBP", "EUR"],
    )
    assert types(client, shop, "?country=NL") == ["card", "ideal"]
    assert types(client, shop, "?country=GB") == ["card"]
    assert types(client, shop, "?country=FR") == ["card", "paypal", "ideal"]
    assert types(client, shop, "?currency=USD") == []
    checkout = Checkout(client, shop, method_types=("card", "paypal"))
    address = {"line1": "1 A St", "city": "London", "postal_code": "SW1A 2AA", "country": "GB"}
    assert types(client, shop, f"?checkout_id={checkout.session.id}") == ["card", "paypal"]
    checkout.of("/billing-address", address)
    told = client.get(f"{PATH}?checkout_id={checkout.session.id}", headers=shop.bearer).json
    assert ([m["type"] for m in told["data"]], told["country"]) == (["card"], "GB")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?currency=ZZZ", 400, "unsupported_currency"),
        ("?currency=gbp", 400, "invalid_field"),
        ("?country=Britain", 400, "invalid_field"),
        ("?surprise=1", 400, "invalid_field"),
        ("?checkout_id=chk_none", 404, "checkout_not_found"),
    ],
)
def test_a_context_that_cannot_be(
    client: FlaskClient, shop: Shop, query: str, status: int, code: str
) -> None:
    answer = client.get(PATH + query, headers=shop.bearer)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_browsers_and_store_fronts_may_ask_for_their_own(client: FlaskClient, shop: Shop) -> None:
    mine, other = Checkout(client, shop, method_types=("paypal",)), Checkout(client, shop)
    browser = mine.browser()
    assert [m["type"] for m in browser.call("GET", "/payment-methods").json["data"]] == ["paypal"]
    theirs = browser.call("GET", f"/payment-methods?checkout_id={other.session.id}")
    assert (theirs.status_code, theirs.json["code"]) == (404, "checkout_not_found")
    _, publishable = keys.create(shop.actor, "storefront", kind="pk")
    store = {"Authorization": f"Bearer {publishable}"}
    assert client.get(PATH, headers=store).status_code == 200
    stranger = make("Other shop")
    found = client.get(f"{PATH}?checkout_id={mine.session.id}", headers=stranger.bearer)
    assert found.status_code == 404
    assert client.get(PATH).status_code == 401


def test_a_card_becomes_a_method_that_pays_and_its_number_is_nowhere(client: FlaskClient, shop: Shop) -> None:
    checkout = Checkout(client, shop)
    for body in (
        {"type": "card", "card": CARD},
        {"payment_method": {"card": CARD}, "customer_id": "c1", "consent": True},
    ):
        made = checkout.call("POST", "/payment-methods/tokenize", body)
        assert made.status_code == 201
        assert made.json["payment_method_id"].startswith("pm_")
        assert (made.json["type"], made.json["last4"]) == ("card", "4242")
        assert "token" not in made.json
        assert GOOD not in made.text
    with reading() as db:
        stored = [str(vars(row)) for row in db.scalars(select(PaymentMethod))]
        stored += [str(vars(row)) for row in db.scalars(select(IdempotencyRecord))]
    assert not any(GOOD in row for row in stored)
    checkout.opened()
    paid = checkout.intent("/confirm", {"payment_method_id": made.json["payment_method_id"]})
    assert paid["status"] == "succeeded"


def test_a_method_of_a_bank_is_named_by_its_type(client: FlaskClient, shop: Shop) -> None:
    checkout = Checkout(client, shop)
    for name in ("paypal", "apple_pay", "bank_transfer", "buy_now_pay_later"):
        made = checkout.call("POST", "/payment-methods/tokenize", {"type": name})
        assert (made.status_code, made.json["type"]) == (201, name)
    checkout.opened(payment_methods=["paypal"])
    told = checkout.intent("/confirm", {"payment_method_id": made.json["payment_method_id"]}, 422)
    assert told["code"] == "payment_method_not_supported"


WRONG: list[Any] = [
    ({}, 400, "missing_field"),
    ({"type": "card"}, 400, "missing_field"),
    ({"type": "promptpay"}, 400, "invalid_field"),
    ({"token": "tok_x", "card": CARD}, 400, "invalid_field"),
    ({"token": "tok_none"}, 404, "token_not_found"),
    ({"type": "paypal", "card": CARD}, 422, "payment_method_type_mismatch"),
    ({"card": CARD, "save_method": True, "consent": False}, 422, "consent_required"),
    ({"card": {**CARD, "number": "4012888888881881"}}, 422, "test_card_required"),
    ({"card": CARD, "metadata": {"note": GOOD}}, 422, "card_number_refused"),
    ({"token": GOOD}, 422, "card_number_refused"),
]


def test_what_cannot_be_tokenised(client: FlaskClient, shop: Shop) -> None:
    checkout = Checkout(client, shop)
    for body, status, code in WRONG:
        answer = checkout.call("POST", "/payment-methods/tokenize", body)
        assert (answer.status_code, answer.json["code"]) == (status, code), (body, answer.text)
        assert GOOD not in answer.text
    browser = checkout.browser().call("POST", "/payment-methods/tokenize", {"type": "card", "card": CARD})
    assert browser.status_code == 403
