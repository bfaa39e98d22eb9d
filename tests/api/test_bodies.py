"""Bad input: a clear error that names the field, in the surface's own form, and nothing is changed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db import reading
from app.models.checkout.session import CheckoutSession
from tests.shops import Shop

LINE = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1500}


def cart(**changes: Any) -> dict[str, Any]:
    return {"cart_snapshot": {"currency": "GBP", "lines": [{**LINE, **changes}]}}


def count() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(CheckoutSession)) or 0


RAW = [
    (b"{", "", "valid JSON"),
    (b"[]", "", "object"),
    (b'"text"', "", "object"),
    (b"\xff\xfe", "", "UTF-8"),
    (b'{"metadata": {"a": NaN}}', "", "NaN"),
    (b'{"metadata": {"a": Infinity}}', "", "Infinity"),
    (b'{"metadata": {"a": 1e999}}', "", "out of range"),
    (b'{"metadata": {"a": 9223372036854775808}}', "/metadata/a", "out of range"),
    (b'{"channel": "web", "channel": "app"}', "/channel", "twice"),
    (b'{"metadata": {"a": "\\ud800"}}', "/metadata/a", "half a character"),
    (b'{"metadata": {"a": "x\\u0000"}}', "/metadata/a", "NUL"),
    (b'{"metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 41, "/metadata", "deep"),
    (b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "", "deep"),
]


@pytest.mark.parametrize(("raw", "place", "word"), RAW)
def test_ambiguous_json_is_refused_with_a_pointer(
    client: FlaskClient, shop: Shop, raw: bytes, place: str, word: str
) -> None:
    answer = client.post(
        "/v1/checkout/sessions", data=raw, content_type="application/json", headers=shop.bearer
    )
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["code"] == "invalid_json"
    assert word in answer.json["error"]
    assert answer.json.get("field", "").startswith(place)
    assert count() == 0


FIELDS = [
    (cart(quantity=True), "cart_snapshot.lines.0.quantity"),
    (cart(quantity="1"), "cart_snapshot.lines.0.quantity"),
    (cart(unit_price=10.5), "cart_snapshot.lines.0.unit_price"),
    (cart(sku=""), "cart_snapshot.lines.0.sku"),
    (cart(colour="red"), "cart_snapshot.lines.0.colour"),
    ({**cart(), "surprise": 1}, "surprise"),
    ({**cart(), "channel": 7}, "channel"),
    ({**cart(), "options": {"require_billing_address": "yes"}}, "options.require_billing_address"),
    ({**cart(), "options": {"capture_mode": "sometimes"}}, "options.capture_mode"),
    ({"cart_snapshot": {"currency": "gbp", "lines": [LINE]}}, "cart_snapshot.currency"),
]


@pytest.mark.parametrize(("body", "field"), FIELDS, ids=[field for _, field in FIELDS])
def test_a_wrong_field_is_named(client: FlaskClient, shop: Shop, body: Any, field: str) -> None:
    answer = client.post("/v1/checkout/sessions", json=body, headers=shop.bearer)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["field"] == field
    assert answer.json["code"] in ("invalid_field", "missing_field")
    assert count() == 0


def test_an_integral_float_is_an_integer(client: FlaskClient, shop: Shop) -> None:
    answer = client.post("/v1/checkout/sessions", json=cart(unit_price=1500.0), headers=shop.bearer)
    assert answer.status_code == 201
    assert b'"unit_price":1500,' in answer.data or b'"unit_price":1500}' in answer.data


def test_a_large_body_is_too_large_also_in_chunks(client: FlaskClient, shop: Shop) -> None:
    large = json.dumps({**cart(), "metadata": {"a": "x" * 262_144}}).encode()
    for extra in ({}, {"headers": {**shop.bearer, "Transfer-Encoding": "chunked"}}):
        arguments: dict[str, Any] = {"headers": shop.bearer, **extra}
        if extra:
            arguments |= {"environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}}
        answer = client.post(
            "/v1/checkout/sessions", data=large, content_type="application/json", **arguments
        )
        assert answer.status_code == 413
        assert answer.json is not None
        assert answer.json["code"] == "payload_too_large"
    assert count() == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_another_content_type_is_415(client: FlaskClient, shop: Shop, kind: str) -> None:
    answer = client.post("/v1/checkout/sessions", data=b"{}", content_type=kind, headers=shop.bearer)
    assert answer.status_code == 415
    assert answer.json is not None
    assert answer.json["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/v1/checkout/nothing/here", {"code": "not_found"}),
        ("/v1/payments/nothing", {"code": "not_found"}),
        ("/v1/acme/payments/nothing", {"code": "not_found"}),
        ("/api/nothing", {"code": "RESOURCE_NOT_FOUND"}),
        ("/checkout-sessions/a/b", {"statusCode": 404}),
    ],
)
def test_a_wrong_address_is_told_in_the_surfaces_form(
    client: FlaskClient, url: str, body: dict[str, Any]
) -> None:
    answer = client.get(url)
    assert answer.status_code == 404
    assert answer.json is not None
    assert body.items() <= answer.json.items()
    assert ("request_id" in answer.json) == url.startswith("/v1/")


def test_a_wrong_address_elsewhere_is_a_page(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert b"<html" in answer.data


def test_a_wrong_method_names_the_right_ones(client: FlaskClient, shop: Shop) -> None:
    answer = client.put("/v1/checkout/sessions", json={}, headers=shop.bearer)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.json is not None
    assert answer.json["code"] == "method_not_allowed"


def test_sessions_are_immutable(client: FlaskClient, shop: Shop) -> None:
    for method in ("PATCH", "PUT", "DELETE"):
        answer = client.open(f"/checkout-sessions/{'0' * 32}", method=method)
        assert answer.status_code == 405
        assert answer.json == {"statusCode": 405, "message": "Checkout sessions are immutable"}
        assert "GET" in answer.headers["Allow"]


def test_the_sessions_surface_says_400_and_a_message(client: FlaskClient, shop: Shop) -> None:
    answer = client.post("/checkout-sessions", json={"amount": True}, headers={"x-api-key": shop.secret})
    assert answer.status_code == 400
    assert answer.json is not None
    assert set(answer.json) == {"statusCode", "message"}
    assert answer.json["statusCode"] == 400
    assert "amount" in answer.json["message"]


def test_a_query_is_validated_too(client: FlaskClient, shop: Shop) -> None:
    for query in ("limit=0", "limit=101", "limit=x", "offset=-1", "status=paid", "colour=red"):
        answer = client.get(f"/checkout-sessions?{query}", headers={"x-api-key": shop.secret})
        assert answer.status_code == 400, query
        assert answer.json is not None
        assert query.split("=")[0] in answer.json["message"]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/v1/payments/intents/pi_%00"),
        ("POST", "/v1/payments/intents/pi_%00/confirm"),
        ("DELETE", "/v1/payments/keys/key_%00"),
        ("GET", "/v1/checkout/sessions/chk_%00"),
        ("GET", "/v1/payments/methods?customer_id=c%00"),
        ("PUT", "/v1/uploads/upl_1?token=%00"),
        ("GET", "/pay/hst_%00"),
        ("GET", "/l/slug%00"),
        ("GET", "/return/x%00"),
    ],
)
def test_a_nul_in_an_address_is_refused_like_one_in_a_body(
    client: FlaskClient, shop: Shop, method: str, url: str
) -> None:
    body = {} if method == "POST" else None
    assert client.open(url, method=method, json=body, headers=shop.bearer).status_code == 400


def test_a_nul_in_a_form_is_refused(client: FlaskClient, shop: Shop) -> None:
    url = f"/pay/{shop.session().hosted_id}"
    token = re.findall(r'name="csrf_token"[^>]*value="([^"]+)', client.get(url).text)[0]
    form = {"csrf_token": token, "nonce": "n\x00", "method": "paypal"}
    assert client.post(f"{url}/method", data=form).status_code == 400
