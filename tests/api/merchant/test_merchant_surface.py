"""MR-001, MR-002, MR-004, MR-005 and POST /api/v1/links over HTTP (contract/merchant.md)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.kit import clock
from app.services.access import keys
from app.services.checkout import links, sessions
from app.services.checkout.links import LinkDraft
from app.services.events import timeline
from tests.shops import Shop, make

URL = "/api/v1/checkout/sessions"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ORDER = {"amount": 10000, "currency": "USD", "reference": "order_12345"}


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each call comes a minute after the last, so that only tests of limits meet them."""
    moment = [clock.now()]
    original = FlaskClient.open

    def slowly(self: FlaskClient, *args: Any, **kwargs: Any) -> Any:
        moment[0] += timedelta(seconds=61)
        with clock.frozen(moment[0]):
            return original(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(FlaskClient, "open", slowly)
        yield


def test_a_session_is_made_and_read(client: FlaskClient, shop: Shop) -> None:
    made = client.post(URL, json=ORDER, headers=shop.bearer)
    assert made.status_code == 201
    assert set(made.json) == {"id", "redirect_url", "qr_image_url", "status", "expires_at"}
    assert str(uuid.UUID(made.json["id"])) == made.json["id"]
    assert (made.json["status"], made.json["qr_image_url"]) == ("pending", None)
    read = client.get(f"{URL}/{made.json['id']}", headers=shop.bearer)
    assert read.status_code == 200
    assert set(read.json) == set(made.json) | {
        "amount", "currency", "reference", "created_at", "remaining_seconds",
    }  # fmt: skip
    assert {name: read.json[name] for name in ORDER} == ORDER
    assert all(INSTANT.fullmatch(read.json[name]) for name in ("created_at", "expires_at"))
    times = [datetime.fromisoformat(read.json[name]) for name in ("created_at", "expires_at")]
    assert (times[1] - times[0]).total_seconds() == 1800
    assert 1700 < read.json["remaining_seconds"] <= 1800
    session = sessions.get_public(shop.actor, made.json["id"])
    types = [entry.type for entry in timeline.of_checkout(shop.actor, session.id)]
    assert types.count("checkout.session.created") == 1


def test_a_qr_method_has_a_picture(client: FlaskClient, shop: Shop) -> None:
    made = client.post(URL, json={**ORDER, "methodTypes": ["card", "promptpay"]}, headers=shop.bearer)
    picture = client.get(made.json["qr_image_url"].replace("http://127.0.0.1:8000", ""))
    assert picture.status_code == 200
    assert picture.mimetype == "image/png"
    assert picture.data.startswith(b"\x89PNG")


def test_statuses_follow_the_session(client: FlaskClient, shop: Shop) -> None:
    ids = [client.post(URL, json=ORDER, headers=shop.bearer).json["id"] for _ in range(3)]
    paid, canceled, _ = rows = [sessions.get_public(shop.actor, one) for one in ids]
    with clock.frozen(rows[0].created_at):
        shop.pay(paid)
        sessions.cancel(shop.actor, canceled.id)

    def words() -> list[str]:
        return [client.get(f"{URL}/{one}", headers=shop.bearer).json["status"] for one in ids]

    assert words() == ["completed", "canceled", "pending"]
    ends = [entry.type for row in rows for entry in timeline.of_checkout(shop.actor, row.id)]
    assert [name for name in ends if name.startswith("checkout.session.")] == [
        "checkout.session.created", "checkout.session.completed",
        "checkout.session.created", "checkout.session.created",
    ]  # fmt: skip
    for row in rows:
        assert row.surface == "merchant"


def test_what_is_over_says_expired_and_nothing_remains(client: FlaskClient, shop: Shop) -> None:
    made = client.post(URL, json=ORDER, headers=shop.bearer).json["id"]
    for _ in range(31):
        client.get("/healthz")
    read = client.get(f"{URL}/{made}", headers=shop.bearer).json
    assert (read["status"], read["remaining_seconds"]) == ("expired", 0)


AMOUNTS: list[Any] = [None, 0, -1, 1.5, True, "10", 2**60, [], {}]


def test_a_wrong_amount_has_one_answer(client: FlaskClient, shop: Shop) -> None:
    for amount in AMOUNTS:
        body = {name: value for name, value in {**ORDER, "amount": amount}.items() if value is not None}
        answer = client.post(URL, json=body, headers=shop.bearer)
        assert answer.status_code == 400, amount
        assert answer.json == {"error": "Valid amount is required", "code": "INVALID_AMOUNT"}
    for incomplete in ({}, {"amount": 0, "currency": 7}, {"amount": None, "what": 1}):
        answer = client.post(URL, json=incomplete, headers=shop.bearer)
        assert (answer.status_code, answer.json["code"]) == (400, "INVALID_AMOUNT")
    assert client.post(URL, json={**ORDER, "amount": 10000.0}, headers=shop.bearer).status_code == 201


MISTAKES: list[Any] = [
    ({"currency": "ZZZ"}, "UNSUPPORTED_CURRENCY"),
    ({"currency": "usd"}, "INVALID_FIELD"),
    ({"reference": None}, "MISSING_FIELD"),
    ({"methodTypes": ["gold"]}, "INVALID_REQUEST"),
    ({"methodTypes": []}, "INVALID_FIELD"),
    ({"successUrl": "ftp://x"}, "INVALID_REQUEST"),
    ({"success_url": "https://a.example"}, "INVALID_FIELD"),
]


def test_other_mistakes_are_400_in_upper_case(client: FlaskClient, shop: Shop) -> None:
    for change, code in MISTAKES:
        body = {name: value for name, value in {**ORDER, **change}.items() if value is not None}
        answer = client.post(URL, json=body, headers=shop.bearer)
        assert (answer.status_code, answer.json["code"]) == (400, code), answer.text
        assert set(answer.json) == {"error", "code"}


def test_what_is_not_there_is_told_in_this_surfaces_form(client: FlaskClient, shop: Shop) -> None:
    unknown = client.get(f"{URL}/{uuid.uuid4()}", headers=shop.bearer)
    assert (unknown.status_code, unknown.json) == (
        404,
        {"error": "Checkout session not found", "code": "RESOURCE_NOT_FOUND"},
    )
    bare = shop.session(hosted=False)
    assert client.get(f"{URL}/{bare.public_id}", headers=shop.bearer).status_code == 404, "it has no page"
    nowhere = client.get("/api/v1/nothing", headers=shop.bearer)
    assert (nowhere.status_code, nowhere.json) == (404, {"error": "Not found", "code": "RESOURCE_NOT_FOUND"})
    wrong = client.delete(URL, headers=shop.bearer)
    assert (wrong.status_code, wrong.json) == (
        405,
        {"error": "Method not allowed", "code": "METHOD_NOT_ALLOWED"},
    )
    _, narrow = keys.create(shop.actor, "narrow", scopes=["refunds:read"])
    refused = client.post(URL, json=ORDER, headers={"Authorization": f"Bearer {narrow}"})
    assert (refused.status_code, refused.json) == (
        403,
        {"error": "Missing sessions:write permission", "code": "INSUFFICIENT_PERMISSIONS"},
    )


def test_a_key_makes_one_session(client: FlaskClient, shop: Shop) -> None:
    headers = {**shop.bearer, "Idempotency-Key": "o1"}
    first, second = (client.post(URL, json=ORDER, headers=headers) for _ in range(2))
    assert first.json == second.json
    reused = client.post(URL, json={**ORDER, "amount": 1}, headers=headers)
    assert (reused.status_code, reused.json["code"]) == (400, "IDEMPOTENCY_KEY_REUSED")


def test_strangers_are_kept_out(client: FlaskClient, shop: Shop) -> None:
    made = client.post(URL, json=ORDER, headers={"Authorization": shop.secret})  # a bare key (OP-06)
    assert made.status_code == 201
    other = client.get(f"{URL}/{made.json['id']}", headers=make("Other shop").bearer)
    assert (other.status_code, other.json["code"]) == (404, "RESOURCE_NOT_FOUND")
    naked = client.post(URL, json=ORDER)
    assert (naked.status_code, naked.json) == (
        401,
        {"error": "Authentication required", "code": "UNAUTHENTICATED"},
    )
    foreign = client.post(URL, json=ORDER, headers={**shop.bearer, "X-Tenant": "ten_other"})
    assert (foreign.status_code, foreign.json["code"]) == (403, "TENANT_MISMATCH")


def test_a_link_is_made_seen_and_paid(client: FlaskClient, shop: Shop) -> None:
    body = {
        "slug": "summer-sale",
        "amount": 9900,
        "currency": "USD",
        "reference": "promo_ref",
        "expires_at": "2099-12-31T23:59:59Z",
        "usageLimit": 2,
    }
    made = client.post("/api/v1/links", json=body, headers=shop.bearer)
    assert made.status_code == 201
    seen = client.get("/api/v1/links/summer-sale")
    assert (
        seen.json
        == {name: made.json[name] for name in seen.json}
        == {
            "slug": "summer-sale",
            "amount": 9900,
            "currency": "USD",
            "reference": "promo_ref",
            "status": "active",
            "expires_at": "2099-12-31T23:59:59Z",
            "isExpired": False,
            "usageLimitReached": False,
            "canPay": True,
        }
    )
    paid = client.post("/api/v1/links/summer-sale/checkout", json={"methodTypes": ["card"]})
    assert paid.status_code == 201
    assert set(paid.json) == {"sessionId", "redirectUrl", "qrImageUrl", "expiresAt"}
    assert paid.json["qrImageUrl"] is None
    session = sessions.get_public(shop.actor, paid.json["sessionId"])
    assert (session.grand_total, session.currency, session.reference) == (9900, "USD", "promo_ref")
    assert client.get(paid.json["redirectUrl"].replace("http://127.0.0.1:8000", "")).status_code == 200
    taken = client.post("/api/v1/links", json=body, headers=shop.bearer)
    assert (taken.status_code, taken.json["code"]) == (400, "SLUG_TAKEN")


def test_a_link_that_cannot_be_paid_says_so(client: FlaskClient, shop: Shop) -> None:
    link = links.create(shop.actor, LinkDraft("Boat", "USD", slug="boat", amount=100, usage_limit=1))
    first = client.post("/api/v1/links/boat/checkout", json={})
    assert first.status_code == 201
    second = client.post("/api/v1/links/boat/checkout", json={})
    assert (second.status_code, second.json["code"]) == (400, "LINK_NOT_PAYABLE")
    shop.pay(sessions.get_public(shop.actor, first.json["sessionId"]))
    used_up = client.get("/api/v1/links/boat").json
    assert (used_up["usageLimitReached"], used_up["canPay"], used_up["status"]) == (True, False, "active")
    links.set_active(shop.actor, link.id, False)
    off = client.get("/api/v1/links/boat").json
    assert (off["status"], off["canPay"]) == ("inactive", False)
    unknown = client.get("/api/v1/links/none")
    assert (unknown.status_code, unknown.json["code"]) == (404, "RESOURCE_NOT_FOUND")
