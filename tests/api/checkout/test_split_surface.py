"""CK-029 over HTTP: what a split takes and answers, and that a browser can take it through."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.connectors.sandbox import challenges
from app.services.payments import methods, refunds
from tests import catalogue
from tests.checkout_api import Checkout
from tests.shops import CHALLENGED, GOOD, Shop, card, make

pytestmark = pytest.mark.usefixtures("holds")
DUE = 1620


@pytest.fixture
def checkout(client: FlaskClient, shop: Shop) -> Checkout:
    made = Checkout(client, shop)
    made.opened()
    return made


def test_a_split_shows_its_parts(checkout: Checkout) -> None:
    card = checkout.card()
    done = checkout.intent(
        "/split",
        {
            "allocations": [
                {"payment_method_id": card, "amount": 1000},
                {"method_type": "paypal", "amount": 620},
            ]
        },
    )
    assert (done["id"], done["status"], done["amount"]) == (
        checkout.intent_id,
        "requires_payment_method",
        DUE,
    )
    assert [
        {
            name: part[name]
            for name in ("part", "method_type", "payment_method_id", "amount", "status", "next_action")
        }
        for part in done["allocations"]
    ] == [
        {
            "part": 1,
            "method_type": "card",
            "payment_method_id": card,
            "amount": 1000,
            "status": "requires_confirmation",
            "next_action": None,
        },
        {
            "part": 2,
            "method_type": "paypal",
            "payment_method_id": None,
            "amount": 620,
            "status": "requires_payment_method",
            "next_action": None,
        },
    ]
    read = checkout.call("GET", f"/payment-intents/{checkout.intent_id}").json
    assert read["allocations"] == done["allocations"]
    part = done["allocations"][0]["payment_intent_id"]
    below = checkout.call("GET", f"/payment-intents/{part}").json
    assert (below["parent_intent_id"], below["allocations"], below["amount"]) == (done["id"], [], 1000)
    assert checkout.get()["payment_intent"]["id"] == done["id"]


WRONG: list[Any] = [
    ({}, 400, "missing_field", "allocations"),
    ({"allocations": []}, 400, "invalid_field", "allocations"),
    ({"allocations": [{"method_type": "paypal"}]}, 400, "missing_field", "allocations.0.amount"),
    ({"allocations": [{"amount": DUE}]}, 400, "invalid_request", "allocations.0.method_type"),
    (
        {"allocations": [{"amount": DUE, "method_type": "card", "payment_method_id": "pm_1"}]},
        400,
        "invalid_request",
        "allocations.0.method_type",
    ),
    (
        {"allocations": [{"amount": DUE, "method_type": "gift_card"}]},
        400,
        "invalid_request",
        "allocations.0.code",
    ),
    (
        {"allocations": [{"amount": DUE, "method_type": "paypal", "code": "x"}]},
        400,
        "invalid_request",
        "allocations.0.code",
    ),
    (
        {"allocations": [{"amount": DUE, "method_type": "cash"}]},
        400,
        "invalid_field",
        "allocations.0.method_type",
    ),
    (
        {"allocations": [{"amount": 0, "method_type": "paypal"}]},
        400,
        "invalid_field",
        "allocations.0.amount",
    ),
    ({"allocations": [{"amount": 1, "method_type": "paypal"}] * 11}, 400, "invalid_field", "allocations"),
    (
        {"allocations": [{"amount": 1000, "method_type": "paypal"}, {"amount": 619, "method_type": "card"}]},
        422,
        "split_sum_mismatch",
        "allocations",
    ),
    (
        {"allocations": [{"amount": DUE, "method_type": "paypal"}, {"amount": 1, "method_type": "card"}]},
        422,
        "split_sum_mismatch",
        "allocations",
    ),
    (
        {"allocations": [{"amount": DUE, "payment_method_id": "pm_none"}]},
        404,
        "payment_method_not_found",
        None,
    ),
]


def test_splits_that_cannot_be_name_their_field_and_change_nothing(checkout: Checkout) -> None:
    before = checkout.call("GET", f"/payment-intents/{checkout.intent_id}").json
    for body, status, code, field in WRONG:
        told = checkout.intent("/split", body, status)
        assert (told["code"], told.get("field")) == (code, field), body
    told = checkout.intent("/split", {"allocations": [{"amount": 1, "method_type": "card"}]}, 422)
    assert told["explain"] == {"reason": "split_sum_mismatch", "sum": 1, "due": DUE}
    assert checkout.call("GET", f"/payment-intents/{checkout.intent_id}").json == before


def test_a_browser_takes_a_split_through(client: FlaskClient, shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-1234", 1000)
    checkout = Checkout(client, shop)
    browser = checkout.browser()
    browser.opened()
    done = browser.intent(
        "/split",
        {
            "allocations": [
                {"method_type": "gift_card", "code": "GIFT-1234", "amount": 500},
                {"method_type": "card", "amount": 1000},
                {"method_type": "paypal", "amount": 120},
            ]
        },
    )
    assert (done["amount"], [part["amount"] for part in done["allocations"]]) == (1120, [1000, 120])
    missing = browser.intent("/confirm", {}, 409)
    assert missing["code"] == "payment_method_required"
    part = missing["explain"]["payment_intent_id"]
    attached = browser.payment(f"{part}/attach-method", {"payment_method_id": checkout.card(CHALLENGED)})
    assert attached["parent_intent_id"] == done["id"]
    waiting = browser.intent("/confirm")
    assert (waiting["status"], waiting["next_action"]["type"]) == ("requires_action", "3ds_challenge")
    assert browser.get("/next-action") == waiting["next_action"]
    challenges.answer(waiting["next_action"]["url"].rsplit("/", 1)[1], "123456")
    waiting = browser.intent("/3ds/complete")
    assert waiting["next_action"]["type"] == browser.get("/next-action")["type"] == "redirect"
    challenges.decide(waiting["next_action"]["url"].rsplit("/", 1)[1], approve=True)
    token = shop.attempts(checkout.session)[-1].return_nonce
    back = client.get(
        "/v1/checkout/redirect/return",
        query_string={"checkout_id": checkout.session.id, "payment_token": token},
    )
    assert (back.json["status"], back.json["payment_intent_id"]) == ("succeeded", done["id"])
    read = checkout.call("GET", f"/payment-intents/{done['id']}").json
    assert (read["status"], read["amount_captured"]) == ("succeeded", 1120)
    assert [part["status"] for part in read["allocations"]] == ["succeeded", "succeeded"]


def test_who_has_the_payments_secret_takes_its_split_through(checkout: Checkout) -> None:
    split = [{"method_type": "paypal", "amount": 1000}, {"method_type": "bank_transfer", "amount": 620}]
    secret = checkout.intent("/split", {"allocations": split})["client_secret"]
    answer = checkout.client.post(
        f"/v1/payments/intents/{checkout.intent_id}/confirm",
        json={},
        headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": "with the secret"},
    )
    assert (answer.status_code, answer.json["status"]) == (200, "requires_action"), answer.json


def test_a_split_that_is_captured_by_hand_and_refunded(client: FlaskClient, shop: Shop) -> None:
    checkout = Checkout(client, shop, hosted=True, options={"capture_mode": "manual"})
    checkout.opened()
    cards = [checkout.card(), checkout.card("5555555555554444")]
    checkout.intent(
        "/split",
        {
            "allocations": [
                {"payment_method_id": pm, "amount": amount}
                for pm, amount in zip(cards, (1000, 620), strict=True)
            ]
        },
    )
    assert checkout.intent("/confirm")["status"] == "requires_capture"
    assert checkout.intent("/capture", {"amount": 5}, 422)["code"] == "partial_capture_not_supported"
    done = checkout.intent("/capture")
    assert (done["status"], done["finalization"]["status"]) == ("succeeded", "completed")
    refund = checkout.intent("/refund", {"amount": 1100}, 201)
    assert (refund["amount"], refund["group_id"]) == (1000, refund["id"])
    assert [row.amount for row in refunds.of_intent(shop.actor, done["id"])] == [1000, 100]
    charges = client.get(f"/v1/payments/intents/{done['id']}/charges", headers=shop.bearer).json["data"]
    assert sorted(charge["amount"] for charge in charges) == [620, 1000]


def test_a_split_is_its_sessions_and_its_merchants(checkout: Checkout, client: FlaskClient) -> None:
    other = Checkout(client, checkout.shop)
    stranger, browser = other.browser(), other.browser()
    stranger.credential = make("Other shop").secret
    body = {"allocations": [{"method_type": "paypal", "amount": DUE}]}
    for caller in (stranger, browser):
        told = caller.payment(f"{checkout.intent_id}/split", body, 404)
        assert told["code"] == "payment_intent_not_found"
    checkout.confirmed(GOOD)
    assert checkout.intent("/split", body, 409)["code"] == "payment_in_progress"


def test_a_browser_pays_with_the_kept_card_that_its_server_put_into_a_part(
    client: FlaskClient, shop: Shop
) -> None:
    checkout = Checkout(client, shop, customer={"customer_id": "cust_1"})
    checkout.opened()
    kept = methods.tokenize_card(shop.actor, card(GOOD), customer_id="cust_1", consent=True).id
    body = {
        "allocations": [
            {"payment_method_id": checkout.card(), "amount": 1000},
            {"payment_method_id": kept, "amount": 620},
        ]
    }
    browser = checkout.browser()
    assert browser.intent("/split", body, 404)["code"] == "payment_method_not_found"
    checkout.intent("/split", body)
    assert browser.intent("/confirm")["status"] == "succeeded"


def test_a_split_takes_only_methods_that_the_payment_takes(client: FlaskClient, shop: Shop) -> None:
    checkout = Checkout(client, shop)
    checkout.opened(payment_methods=["card"])
    body = {
        "allocations": [{"method_type": "card", "amount": 1000}, {"method_type": "paypal", "amount": 620}]
    }
    told = checkout.browser().intent("/split", body, 422)
    assert told["code"] == "payment_method_not_supported"
    assert checkout.opened()["allocations"] == []


def test_a_payment_without_a_checkout_is_not_split(client: FlaskClient, shop: Shop) -> None:
    checkout = Checkout(client, shop)
    headers = {**shop.bearer, "Idempotency-Key": "k1"}
    alone = client.post("/v1/payments/intents", json={"amount": 100, "currency": "GBP"}, headers=headers)
    body = {"allocations": [{"method_type": "paypal", "amount": 100}]}
    told = checkout.payment(f"{alone.json['id']}/split", body, 409)
    assert told["code"] == "not_splittable"
