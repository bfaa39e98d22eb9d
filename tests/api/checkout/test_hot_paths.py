"""The hot paths, by the statements that they send (performance.md): none of them grows with the cart."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.db import engine
from tests import catalogue
from tests.shops import Shop
from tests.statements import counted


def inline(count: int) -> dict[str, Any]:
    lines = [{"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 100 + n} for n in range(count)]
    return {"cart_snapshot": {"currency": "GBP", "lines": lines}}


@pytest.fixture
def warm(client: FlaskClient, shop: Shop) -> FlaskClient:
    """A client whose key was used and whose connections are open."""
    assert client.post("/v1/checkout/sessions", json=inline(1), headers=shop.bearer).status_code == 201
    return client


def together(writes: int) -> int:
    """The statements of so many writes at the end of a transaction: PostgreSQL takes them in one."""
    return 1 if engine().dialect.name == "postgresql" else writes


def test_creating_a_session_takes_eight_statements_at_most(warm: FlaskClient, shop: Shop) -> None:
    catalogue.cart(shop)
    with counted() as sent:
        answer = warm.post(
            "/v1/checkout/sessions",
            json={"cart_id": "cart_123"},
            headers={**shop.bearer, "Idempotency-Key": "k1"},
        )
    assert answer.status_code == 201
    # key, cart, tax; claim with its answer, session, calculation, journal (SQLite claims first, answers last)
    assert len(sent) == 3 + together(5), sent


@pytest.mark.parametrize("lines", [1, 200])
def test_an_inline_cart_of_any_size_takes_seven_at_most(warm: FlaskClient, shop: Shop, lines: int) -> None:
    with counted() as sent:
        answer = warm.post(
            "/v1/checkout/sessions", json=inline(lines), headers={**shop.bearer, "Idempotency-Key": "k1"}
        )
    assert answer.status_code == 201
    assert len(sent) == 2 + together(5), sent


def test_a_title_and_an_amount_take_four(warm: FlaskClient, shop: Shop) -> None:
    body = {"amount": 12.5, "currency_code": "GBP", "title": "Tea", "customer_email": "a@example.com"}
    with counted() as sent:
        answer = warm.post("/checkout-sessions", json=body, headers={"x-api-key": shop.secret})
    assert answer.status_code == 201
    assert len(sent) == 1 + together(3), sent


def test_reading_a_session_takes_two_and_with_its_payment_three(warm: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    for expected in (2, 3):
        with counted() as sent:
            answer = warm.get(f"/v1/checkout/sessions/{session.id}", headers=shop.bearer)
        assert answer.status_code == 200
        assert len(sent) == expected, sent
        shop.pay(session)


def test_the_hosted_page_takes_four_at_most(warm: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    with counted() as sent:
        answer = warm.get(f"/pay/{session.hosted_id}")
    assert answer.status_code == 200
    assert len(sent) <= 4, sent


def test_a_list_takes_two_whatever_is_in_it(warm: FlaskClient, shop: Shop) -> None:
    counts = []
    for _ in range(2):
        for _ in range(10):
            shop.session(surface="sessions")
        with counted() as sent:
            answer = warm.get("/checkout-sessions?limit=100", headers={"x-api-key": shop.secret})
        assert answer.status_code == 200
        counts.append(len(sent))
    assert counts == [2, 2]
