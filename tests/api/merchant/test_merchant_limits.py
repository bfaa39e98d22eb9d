"""The limits that the merchant surface states: exact, in a sliding minute."""

from __future__ import annotations

from flask.testing import FlaskClient

from app.kit import clock
from app.services.checkout import links
from app.services.checkout.links import LinkDraft
from tests.shops import Shop, later, make
from tests.staff import person

URL = "/api/v1/checkout/sessions"
ORDER = {"amount": 10000, "currency": "USD", "reference": "order_12345"}


def test_ten_a_minute_and_then_when_to_come_back(client: FlaskClient, shop: Shop) -> None:
    with clock.frozen(clock.now()):
        statuses = [client.post(URL, json=ORDER, headers=shop.bearer).status_code for _ in range(10)]
        assert statuses == [201] * 10
        refused = client.post(URL, json=ORDER, headers=shop.bearer)
    assert refused.status_code == 429
    assert refused.json == {
        "error": "Rate limit exceeded",
        "code": "RATE_LIMIT_EXCEEDED",
        "retryAfter": refused.json["retryAfter"],
    }
    assert 0 < refused.json["retryAfter"] <= 60
    assert refused.headers["Retry-After"] == str(refused.json["retryAfter"])
    with later(61):
        assert client.post(URL, json=ORDER, headers=shop.bearer).status_code == 201


def test_five_refunds_a_minute_whoever_of_the_merchants_people_asks(client: FlaskClient, shop: Shop) -> None:
    owner, admin = person(shop), person(shop, "admin")
    body = {"paymentId": "pi_none", "amount": 1}
    with clock.frozen(clock.now()):
        asked = [
            client.post("/api/v1/refunds", json=body, headers=who.confirming("refund"))
            for who in (owner, admin) * 3
        ]
        assert [answer.status_code for answer in asked] == [404] * 5 + [429]
        stranger = person(make("Other shop"))
        other = client.post("/api/v1/refunds", json=body, headers=stranger.confirming("refund"))
    assert other.status_code == 404


def test_three_payers_a_minute_from_one_address(client: FlaskClient, shop: Shop) -> None:
    links.create(shop.actor, LinkDraft("Boat", "USD", slug="boat", amount=100))
    path = "/api/v1/links/boat/checkout"
    with clock.frozen(clock.now()):
        assert [client.post(path, json={}).status_code for _ in range(4)] == [201, 201, 201, 429]
    with later(61):
        assert client.post(path, json={}).status_code == 201
