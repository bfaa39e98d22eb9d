"""CK-001 to CK-005, CK-016, CK-054 and CK-056 over HTTP: bodies, codes, headers, credentials."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient

from app.services.access import keys
from tests import catalogue
from tests.shops import CHALLENGED, GOOD, Shop, later, make

URL = "/v1/checkout/sessions"
CART = {"currency": "GBP", "lines": [{"sku": "MUG", "name": "Mug", "quantity": 2, "unit_price": 1500}]}


def make_session(client: FlaskClient, shop: Shop, **body: Any) -> dict[str, Any]:
    answer = client.post(URL, json={"cart_snapshot": CART, **body}, headers=shop.bearer)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def test_a_session_is_made_from_a_cart(client: FlaskClient, shop: Shop) -> None:
    catalogue.cart(shop)
    catalogue.coupon(shop)
    answer = client.post(
        URL,
        json={
            "cart_id": "cart_123",
            "owner": {"type": "user", "id": "user_1"},
            "currency": "GBP",
            "channel": "web",
            "metadata": {"source": "campaign_x"},
            "options": {"capture_mode": "manual", "require_billing_address": True},
            "promotion_codes": ["SAVE10"],
        },
        headers=shop.bearer,
    )
    made = answer.json
    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"1"'
    assert made["checkout_id"].startswith("chk_")
    assert (made["status"], made["version"]) == ("created", 1)
    assert made["cart_snapshot"] == {"currency": "GBP", "lines": catalogue.LINES}
    assert made["owner"] == {"type": "user", "id": "user_1"}
    assert made["client_token"].startswith("pub_")
    assert made["metadata"] == {"source": "campaign_x"}
    assert made["options"]["capture_mode"] == "manual"
    assert made["totals"]["grand_total"] == 4856
    assert made["calculation_id"].startswith("calc_")
    assert made["expires_at"].endswith("Z")
    read = client.get(f"{URL}/{made['checkout_id']}", headers=shop.bearer)
    assert read.json == made
    assert read.headers["ETag"] == '"1"'


def test_defaults_fill_in_what_is_left_out(client: FlaskClient, shop: Shop) -> None:
    made = make_session(client, shop)
    assert made["owner"]["type"] == "guest"
    assert (made["channel"], made["options"]["capture_mode"]) == ("web", "auto")
    assert [line["line_id"] for line in made["cart_snapshot"]["lines"]] == ["line_1"]
    lines = {"lines": CART["lines"]}
    for body, currency in (({}, "GBP"), ({"currency": "EUR"}, "EUR")):
        bare = make_session(client, shop, cart_snapshot=lines, **body)
        assert bare["totals"]["currency"] == bare["cart_snapshot"]["currency"] == currency


LINE: dict[str, Any] = CART["lines"][0]  # type: ignore[assignment]
REFUSED: list[tuple[str, int, str]] = [
    ("{}", 400, "invalid_request"),
    ("[]", 400, "invalid_json"),
    ('{"cart_id": 7}', 400, "invalid_field"),
    ('{"cart_id": "cart_9"}', 404, "cart_not_found"),
    ('{"cart_id": "x", "surprise": 1}', 400, "invalid_field"),
    (json.dumps({"cart_snapshot": {**CART, "lines": []}}), 422, "empty_cart"),
    (json.dumps({"cart_snapshot": {**CART, "currency": "ZZZ"}}), 422, "unsupported_currency"),
    (json.dumps({"cart_snapshot": CART, "currency": "EUR"}), 422, "unsupported_currency"),
    (json.dumps({"cart_snapshot": {**CART, "lines": [{**LINE, "quantity": True}]}}), 400, "invalid_field"),
    (json.dumps({"cart_snapshot": {**CART, "lines": [{**LINE, "unit_price": 1.5}]}}), 400, "invalid_field"),
    (json.dumps({"cart_snapshot": {**CART, "lines": [{**LINE, "quantity": 0}]}}), 400, "invalid_request"),
    (json.dumps({"cart_snapshot": {**CART, "lines": [{**LINE, "unit_price": 2**60}]}}), 400, "invalid_request"),
    ('{"cart_snapshot": {"currency": "GBP", "lines": [{"sku":"a","name":"b","quantity":1,"unit_price":NaN}]}}',
     400, "invalid_json"),
    ('{"cart_id": "a", "cart_id": "b"}', 400, "invalid_json"),
    (json.dumps({"cart_snapshot": CART, "success_url": "javascript:alert(1)"}), 400, "invalid_request"),
    (json.dumps({"cart_snapshot": CART, "customer": {"email": "nobody"}}), 400, "invalid_email"),
    (json.dumps({"cart_snapshot": CART, "customer": {"shoe_size": 44}}), 400, "invalid_field"),
]  # fmt: skip


def test_what_is_malformed_is_refused_in_this_surfaces_form(client: FlaskClient, shop: Shop) -> None:
    for body, status, code in REFUSED:
        answer = client.post(URL, data=body, headers=shop.bearer, content_type="application/json")
        assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
        assert set(answer.json) <= {"error", "code", "explain", "field", "request_id"}


def test_an_idempotency_key_gives_the_same_answer(client: FlaskClient, shop: Shop) -> None:
    headers = {**shop.bearer, "Idempotency-Key": "order-1"}
    first = client.post(URL, json={"cart_snapshot": CART}, headers=headers)
    second = client.post(URL, json={"cart_snapshot": CART}, headers=headers)
    assert first.data == second.data
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["ETag"] == first.headers["ETag"]
    other = client.post(URL, json={"cart_snapshot": CART, "channel": "app"}, headers=headers)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


def test_another_merchants_session_is_not_found_by_any_door(client: FlaskClient, shop: Shop) -> None:
    made, other = make_session(client, shop), make("Other shop")
    path = f"{URL}/{made['checkout_id']}"
    address = {"line1": "1 A St", "city": "London", "postal_code": "SW1A 2AA", "country": "GB"}
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"metadata": {}}),
        ("DELETE", "", None),
        ("POST", "/refresh", {}),
        ("POST", "/customer", {"email": "a@example.com"}),
        ("POST", "/shipping-address", address),
        ("POST", "/billing-address", address),
        ("GET", "/addresses", None),
        ("POST", "/contact", {}),
        ("GET", "/shipping-options", None),
        ("POST", "/select-shipping", {"shipping_option_id": "ship_1"}),
        ("POST", "/pickup-location", {"location_id": "s1"}),
        ("POST", "/calculate", {}),
        ("GET", "/totals", None),
        ("POST", "/validate", {}),
        ("POST", "/reserve", {}),
        ("POST", "/hosted-url", {}),
    ]
    for method, rest, body in calls:
        answer = client.open(path + rest, method=method, json=body, headers=other.bearer)
        assert (answer.status_code, answer.json["code"]) == (404, "checkout_not_found"), rest
        naked = client.open(path + rest, method=method, json=body)
        assert naked.status_code == 401, rest
    assert client.get(path, headers=shop.bearer).json["version"] == 1


def test_a_client_token_is_for_its_own_session(client: FlaskClient, shop: Shop) -> None:
    mine, other = make_session(client, shop), make_session(client, shop)
    browser = {"Authorization": f"Bearer {mine['client_token']}"}
    assert client.get(f"{URL}/{mine['checkout_id']}", headers=browser).status_code == 200
    assert client.get(f"{URL}/{other['checkout_id']}", headers=browser).status_code == 404
    made = client.post(f"{URL}/{mine['checkout_id']}/reserve", json={}, headers=browser)
    held = make_reservation(client, shop, other["checkout_id"])
    reservations = "/v1/checkout/reservations"
    assert client.get(f"{reservations}/{made.json['reservation_id']}", headers=browser).status_code == 200
    assert client.get(f"{reservations}/{held}", headers=browser).status_code == 404
    with later(3700):
        assert client.get(f"{URL}/{mine['checkout_id']}", headers=browser).status_code == 401


def test_a_browser_cannot_say_that_it_is_another_customer(client: FlaskClient, shop: Shop) -> None:
    mine = make_session(client, shop, customer={"customer_id": "cust_1", "email": "a@example.com"})
    path = f"{URL}/{mine['checkout_id']}"
    browser = {"Authorization": f"Bearer {mine['client_token']}"}
    for rest, body in (
        ("/customer", {"customer_id": "cust_2"}),
        ("", {"customer": {"customer_id": "cust_2"}}),
    ):
        method = "POST" if rest else "PATCH"
        refused = client.open(path + rest, method=method, json=body, headers=browser)
        assert (refused.status_code, refused.json["code"]) == (403, "insufficient_permissions")
    kept = client.post(f"{path}/customer", json={"email": "b@example.com"}, headers=browser)
    assert kept.json["customer"] == {"customer_id": "cust_1", "email": "b@example.com"}
    _, publishable = keys.create(shop.actor, "storefront", kind="pk")
    store = {"Authorization": f"Bearer {publishable}"}
    named = client.post(URL, json={"cart_snapshot": CART, "customer": {"customer_id": "c"}}, headers=store)
    assert named.status_code == 403


def make_reservation(client: FlaskClient, shop: Shop, checkout_id: str) -> str:
    answer = client.post(f"{URL}/{checkout_id}/reserve", json={}, headers=shop.bearer)
    found: str = answer.json["reservation_id"]
    return found


def test_a_publishable_key_creates_and_no_more(client: FlaskClient, shop: Shop) -> None:
    _, publishable = keys.create(shop.actor, "storefront", kind="pk")
    store = {"Authorization": f"Bearer {publishable}"}
    shop.offer("MUG", 1500)
    made = client.post(URL, json={"cart_snapshot": CART}, headers=store)
    assert made.status_code == 201
    assert client.get(f"{URL}/{made.json['checkout_id']}", headers=store).status_code == 403


def test_a_publishable_key_sets_no_prices(client: FlaskClient, shop: Shop) -> None:
    _, publishable = keys.create(shop.actor, "storefront", kind="pk")
    store = {"Authorization": f"Bearer {publishable}"}
    shop.offer("MUG", 1500)

    def ask(currency: str = "GBP", **line: Any) -> int:
        cart = {"currency": currency, "lines": [{**CART["lines"][0], **line}]}
        return client.post(URL, json={"cart_snapshot": cart}, headers=store).status_code

    assert ask() == 201
    assert [ask(unit_price=1), ask("EUR"), ask(sku="TEA")] == [403, 403, 403]
    assert client.post(URL, json={"cart_snapshot": CART}, headers=shop.bearer).status_code == 201


def test_a_patch_wants_the_version_that_was_read(client: FlaskClient, shop: Shop) -> None:
    path = f"{URL}/{make_session(client, shop)['checkout_id']}"

    def patch(body: dict[str, Any], etag: str | None = None) -> Any:
        return client.patch(path, json=body, headers={**shop.bearer, **({"If-Match": etag} if etag else {})})

    done = patch({"metadata": {"a": 1}}, '"1"')
    assert (done.status_code, done.json["version"], done.headers["ETag"]) == (200, 2, '"2"')
    assert done.json["status"] == "collecting"
    stale = patch({"metadata": {"b": 2}}, '"1"')
    assert (stale.status_code, stale.json["code"]) == (409, "version_conflict")
    assert patch({"metadata": {"b": 2}, "version": 1}).json["code"] == "version_conflict"
    assert patch({"metadata": {}, "version": 3}, '"2"').status_code == 400
    assert patch({"metadata": {}}, "what").status_code == 400
    assert patch({"customer": {"email": "a@example.com"}, "version": 2}).json["version"] == 3


def test_any_edit_wants_the_version_that_was_read_where_one_is_named(client: FlaskClient, shop: Shop) -> None:
    path = f"{URL}/{make_session(client, shop)['checkout_id']}"
    catalogue.shipping(shop, "ship_1", 399)
    home = {"name": "A", "line1": "1 High St", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"}
    for place, body in (
        ("customer", {"email": "a@example.com"}),
        ("contact", {"email": "a@example.com"}),
        ("shipping-address", home),
        ("billing-address", home),
        ("select-shipping", {"shipping_option_id": "ship_1"}),
        ("pickup-location", {"location_id": "shop-1"}),
    ):
        seen = client.get(path, headers=shop.bearer).headers["ETag"]
        stale = client.post(f"{path}/{place}", json=body, headers={**shop.bearer, "If-Match": '"999"'})
        assert (stale.status_code, stale.json["code"]) == (409, "version_conflict"), place
        done = client.post(f"{path}/{place}", json=body, headers={**shop.bearer, "If-Match": seen})
        assert done.status_code == 200, (place, done.text)
        assert done.headers["ETag"] != seen


BAD_PATCHES: list[Any] = [
    ({"ttl_seconds": 0}, "ttl_seconds"),
    ({"ttl_seconds": 86_401}, "ttl_seconds"),
    ({"expires_at": "tomorrow"}, "expires_at"),
    ({"expires_at": "2040-01-01T00:00:00"}, "expires_at"),
    ({"expires_at": "2040-01-01T00:00:00Z"}, "expires_at"),
    ({"customer": {"email": "nobody"}}, "email"),
    ({"status": "completed"}, "status"),
    ({"totals": {}}, "totals"),
]


def test_a_patch_that_cannot_be_names_its_field(client: FlaskClient, shop: Shop) -> None:
    for body, field in BAD_PATCHES:
        path = f"{URL}/{make_session(client, shop)['checkout_id']}"
        answer = client.patch(path, json=body, headers=shop.bearer)
        assert (answer.status_code, answer.json["field"]) == (400, field), answer.text
        assert client.get(path, headers=shop.bearer).json["version"] == 1


def test_a_session_is_canceled(client: FlaskClient, shop: Shop) -> None:
    made = make_session(client, shop)
    path = f"{URL}/{made['checkout_id']}"
    make_reservation(client, shop, made["checkout_id"])
    gone = client.delete(f"{path}?release_inventory=true", headers=shop.bearer)
    assert (gone.status_code, gone.data) == (204, b"")
    read = client.get(path, headers=shop.bearer).json
    assert (read["status"], read["cancel_reason"]) == ("canceled", "requested")
    assert shop.left("MUG") == (100, 0, 0)
    late = client.patch(path, json={"metadata": {}}, headers=shop.bearer)
    assert (late.status_code, late.json["code"]) == (409, "invalid_state")
    assert client.delete(path, headers=shop.bearer).status_code == 204


def test_a_completed_session_is_not_and_one_in_3ds_is_with_its_payment(
    client: FlaskClient, shop: Shop
) -> None:
    paid, paying = shop.session(), shop.session()
    shop.pay(paid, GOOD)
    shop.pay(paying, CHALLENGED, nonce="n2")
    refused = client.delete(f"{URL}/{paid.id}", headers=shop.bearer)
    assert (refused.status_code, refused.json["code"]) == (409, "invalid_state")
    assert client.delete(f"{URL}/{paying.id}", headers=shop.bearer).status_code == 204
    read = client.get(f"{URL}/{paying.id}", headers=shop.bearer).json
    assert (read["status"], read["payment_intent"]["status"]) == ("canceled", "canceled")


def test_a_look_again_and_a_validation(client: FlaskClient, shop: Shop) -> None:
    shop.stock("POT", 0)
    cart = {**CART, "lines": [{**LINE, "sku": "POT"}]}
    made = make_session(client, shop, cart_snapshot=cart, promotion_codes=["NOPE"])
    path = f"{URL}/{made['checkout_id']}"
    checked = client.post(f"{path}/validate", json={}, headers=shop.bearer)
    assert checked.status_code == 200
    assert checked.json["valid"] is False
    assert [b["code"] for b in checked.json["blockers"]] == ["inventory_shortfall", "promotion_invalid"]
    assert client.get(path, headers=shop.bearer).json["version"] == 1
    fresh = client.post(f"{path}/refresh", json={}, headers=shop.bearer)
    assert fresh.status_code == 200
    assert fresh.json["calculation_id"] != made["calculation_id"]
    assert {r["check"]: r["ok"] for r in fresh.json["validation_results"]} == {
        "pricing": True,
        "shipping": True,
        "tax": True,
        "promotions": False,
        "fraud": True,
    }
    assert fresh.json["validation_issues"][0]["code"] == "promotion_invalid"
    assert fresh.json["status"] == "collecting"


def test_a_page_is_opened_once_and_its_status_read(client: FlaskClient, shop: Shop) -> None:
    path = f"{URL}/{make_session(client, shop)['checkout_id']}"
    first = client.post(f"{path}/hosted-url", json={}, headers=shop.bearer)
    second = client.post(f"{path}/hosted-url", json={}, headers=shop.bearer)
    assert first.status_code == second.status_code == 201
    assert first.json["url"] == second.json["url"]
    assert 3500 < first.json["ttl_seconds"] <= 3600
    hosted_id = first.json["hosted_id"]
    status = client.get(f"/v1/checkout/hosted/{hosted_id}/status", headers=shop.bearer)
    assert status.json["status"] == "created"
    assert client.get(f"/pay/{hosted_id}").status_code == 200
    stranger = client.get(f"/v1/checkout/hosted/{hosted_id}/status", headers=make("Other").bearer)
    assert stranger.status_code == 404
