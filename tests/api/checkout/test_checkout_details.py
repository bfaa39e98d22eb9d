"""CK-006 to CK-015 and CK-017 to CK-020 over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services.checkout import calculations
from tests import catalogue
from tests.shops import Shop

ADDRESS = {"line1": "10 Downing St", "city": "London", "postal_code": "sw1a 2aa", "country": "GB"}


class Caller:
    """One session's paths, called by its merchant's server."""

    def __init__(self, client: FlaskClient, shop: Shop, **draft: Any) -> None:
        self.client, self.shop = client, shop
        self.session = shop.session(hosted=False, **draft)
        self.base = f"/v1/checkout/sessions/{self.session.id}"

    def post(self, rest: str, body: Any, **headers: str) -> Any:
        return self.client.post(self.base + rest, json=body, headers={**self.shop.bearer, **headers})

    def get(self, rest: str = "") -> Any:
        return self.client.get(self.base + rest, headers=self.shop.bearer)

    def reservation(self, method: str, rest: str, body: Any = None) -> Any:
        path = f"/v1/checkout/reservations/{rest}"
        return self.client.open(path, method=method, json=body, headers=self.shop.bearer)


@pytest.fixture
def call(client: FlaskClient, shop: Shop) -> Caller:
    return Caller(client, shop)


def test_buyer_addresses_and_contact(call: Caller) -> None:
    buyer = call.post("/customer", {"email": "ann@example.com", "customer_id": "c1", "save_for_later": True})
    assert buyer.status_code == 200
    assert buyer.json["customer"]["save_for_later"] is True
    assert buyer.json["owner"] == {"type": "user", "id": "c1"}
    assert call.post("/contact", {"phone": "+221771234567"}).json["contact"] == {"phone": "+221771234567"}
    before = call.get("/addresses").json
    assert before["shipping_address"] is None
    assert before["shipping_validation_status"] == before["billing_validation_status"] == "unverified"
    sent = call.post("/shipping-address", ADDRESS)
    assert sent.status_code == 200
    assert sent.json["shipping_address"]["postal_code"] == "SW1A 2AA"
    call.post("/billing-address", {**ADDRESS, "name": "Ann"})
    after = call.get("/addresses").json
    assert after["billing_address"]["name"] == "Ann"
    assert after["shipping_validation_status"] == after["billing_validation_status"] == "valid"


WRONG: list[Any] = [
    ("/shipping-address", {**ADDRESS, "postal_code": "1"}, 422, "invalid_address", "postal_code"),
    ("/shipping-address", {"line1": "x"}, 400, "missing_field", "country"),
    ("/billing-address", {**ADDRESS, "country": "gb"}, 400, "invalid_field", "country"),
    ("/billing-address", {**ADDRESS, "planet": "Mars"}, 400, "invalid_field", "planet"),
    ("/customer", {"email": "nobody"}, 400, "invalid_email", "email"),
    ("/contact", {"phone": "077"}, 400, "invalid_phone", "phone"),
    (
        "/select-shipping",
        {"shipping_option_id": "x"},
        422,
        "shipping_option_unavailable",
        "shipping_option_id",
    ),
    ("/select-shipping", {}, 400, "missing_field", "shipping_option_id"),
    ("/pickup-location", {}, 400, "missing_field", "location_id"),
    ("/calculate", {"timeout_ms": 0}, 400, "invalid_field", "timeout_ms"),
    ("/calculate", {"force": "yes"}, 400, "invalid_field", "force"),
    ("/reserve", {"expires_in_seconds": 0}, 400, "invalid_field", "expires_in_seconds"),
    ("/reserve", {"allocation_strategy": "magic"}, 400, "invalid_field", "allocation_strategy"),
    ("/reserve", {"allocation_strategy": "explicit_lots"}, 400, "invalid_request", "lots"),
]


def test_what_cannot_be_names_its_field_and_changes_nothing(call: Caller) -> None:
    for rest, body, status, code, field in WRONG:
        answer = call.post(rest, body)
        assert (answer.status_code, answer.json["code"], answer.json["field"]) == (status, code, field), (
            answer.text
        )
        assert call.get().json["version"] == 1


def test_delivery_from_options_to_totals(call: Caller, shop: Shop) -> None:
    catalogue.shipping(shop, "ship_1", 399)
    options = call.get("/shipping-options").json["shipping_options"]
    assert options == [
        {
            "shipping_option_id": "ship_1",
            "label": "Next day",
            "carrier": "DHL",
            "service_code": "express",
            "cost": 399,
            "currency": "GBP",
        }
    ]
    dated = call.get("/shipping-options?include_estimated_delivery_dates=true").json["shipping_options"]
    assert len(dated[0]["estimated_delivery_date"]) == 10
    chosen = call.post(
        "/select-shipping", {"shipping_option_id": "ship_1", "carrier": "DHL", "service_code": "express"}
    ).json
    assert {name: chosen["selected_shipping"][name] for name in ("id", "label", "cost")} == {
        "id": "ship_1",
        "label": "Next day",
        "cost": 399,
    }
    assert chosen["totals"]["grand_total"] == 1500 + 120 + 399
    fetched = call.post("/pickup-location", {"location_id": "store_1", "name": "High Street"}).json
    assert fetched["selected_shipping"] is None
    assert fetched["pickup_location"] == {"location_id": "store_1", "name": "High Street"}
    assert fetched["totals"]["shipping_total"] == 0


def test_totals_are_cached_until_something_changes(call: Caller, shop: Shop) -> None:
    first = call.get("/totals").json
    assert (first["stale"], first["totals"]["grand_total"]) == (False, 1620)
    assert call.post("/calculate", {}).json["calculation_id"] == first["calculation_id"]
    catalogue.tax(shop, "20", country="GB")
    call.post("/shipping-address", ADDRESS)
    stale = call.get("/totals").json
    assert (stale["stale"], stale["calculation_id"]) == (True, first["calculation_id"])
    fresh = call.get("/totals?fresh=true").json
    assert (fresh["stale"], fresh["totals"]["tax_total"]) == (False, 300)
    for forced in (call.post("/calculate", {"force": True}), call.post("/calculate?fresh=true", {})):
        assert forced.status_code == 200
        assert forced.json["calculation_id"] != fresh["calculation_id"]
    line = forced.json["lines"][0]
    assert line["tax_lines"] == [{"name": "VAT", "percent": "20", "amount": 300}]
    assert (line["base_price"], line["line_total"], forced.json["fees"]) == (1500, 1800, [])


def test_a_calculation_over_its_budget_leaves_the_last_totals(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([0.0, 0.2])
    monkeypatch.setattr(calculations.time, "monotonic", lambda: next(ticks, 9.9))
    late = call.post("/calculate", {"force": True, "timeout_ms": 100})
    monkeypatch.undo()
    assert (late.status_code, late.json["code"]) == (500, "calculation_timeout")
    assert call.get("/totals").json["calculation_id"] == call.session.calculation_id


def test_a_hold_from_reserve_to_release(client: FlaskClient, shop: Shop) -> None:
    shop.stock("POT", 2)
    call = Caller(client, shop, sku="POT", quantity=3)
    made = call.post("/reserve", {"expires_in_seconds": 900, "allocation_strategy": "fifo"})
    held = made.json
    assert made.status_code == 201
    assert (held["partial"], held["status"], held["allocation_strategy"]) == (True, "partial", "fifo")
    assert held["lines"] == [{"line_id": "line_1", "sku": "POT", "requested_qty": 3, "reserved_qty": 2}]
    assert call.get().json["status"] == "reserved"
    assert call.get().json["reservation_id"] == held["reservation_id"]
    name = held["reservation_id"]
    assert call.reservation("GET", name).json == held
    longer = call.reservation("POST", f"{name}/extend", {"extend_by_seconds": 60})
    assert longer.status_code == 200
    assert longer.json["expires_at"] > held["expires_at"]
    released = call.reservation("POST", f"{name}/release", {})
    assert (released.status_code, released.json["status"]) == (200, "released")
    assert call.reservation("POST", f"{name}/release", {}).json["status"] == "released"
    late = call.reservation("POST", f"{name}/extend", {})
    assert (late.status_code, late.json["code"]) == (409, "invalid_state")
    assert call.reservation("GET", "resv_none").json["code"] == "reservation_not_found"


def test_nothing_left_to_reserve_is_a_conflict(client: FlaskClient, shop: Shop) -> None:
    shop.stock("POT", 0)
    answer = Caller(client, shop, sku="POT").post("/reserve", {})
    assert (answer.status_code, answer.json["code"]) == (409, "inventory_shortfall")
    assert answer.json["explain"]["reason"] == "inventory_shortfall"


def test_a_repeated_reserve_under_a_key_is_one_hold(call: Caller) -> None:
    first = call.post("/reserve", {}, **{"Idempotency-Key": "k1"})
    second = call.post("/reserve", {}, **{"Idempotency-Key": "k1"})
    assert first.json == second.json
    assert second.headers["Idempotent-Replayed"] == "true"
