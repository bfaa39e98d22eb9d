"""Payment links by API: made, read, listed, changed, switched off; the payer's choice; sixteen at once."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading
from app.models.checkout.payment_link import PaymentLink
from app.models.events.journal import JournalEntry
from app.services.access import keys
from app.services.checkout import hosted, links, sessions
from app.services.operations import settings as merchant_settings
from tests import shops
from tests.buyers import together
from tests.shops import Shop, later

URL = "/api/v1/links"
BOAT = {"slug": "boat", "amount": 9900, "currency": "USD", "reference": "promo_ref"}
BASE = "http://127.0.0.1:8000"

pytestmark = pytest.mark.usefixtures("holds", "unlimited")


def make(client: FlaskClient, shop: Shop, **changes: Any) -> TestResponse:
    body = {name: value for name, value in {**BOAT, **changes}.items() if value is not ...}
    return client.post(URL, json=body, headers=shop.bearer)


def change(client: FlaskClient, shop: Shop, body: Any, **headers: str) -> TestResponse:
    return client.patch(f"{URL}/boat", json=body, headers={**shop.bearer, **headers})


def details(client: FlaskClient, shop: Shop, slug: str = "boat") -> Any:
    return client.get(f"{URL}/{slug}/details", headers=shop.bearer).json


def pay(client: FlaskClient, body: Any, slug: str = "boat") -> TestResponse:
    return client.post(f"{URL}/{slug}/checkout", json=body)


def test_a_link_shows_its_merchant_everything(client: FlaskClient, shop: Shop) -> None:
    made = make(
        client,
        shop,
        title="Boat trip",
        description="Two hours",
        usageLimit=5,
        methodTypes=["card", "promptpay"],
        expires_at="2099-12-31T23:59:59Z",
    )
    assert made.status_code == 201
    shown = dict(made.json)
    assert shown.pop("created_at") == shown.pop("updated_at")
    assert len(shown.pop("id")) == 36
    assert shown == {
        "slug": "boat", "amount": 9900, "currency": "USD", "reference": "promo_ref", "status": "active",
        "expires_at": "2099-12-31T23:59:59Z", "isExpired": False, "usageLimitReached": False, "canPay": True,
        "minAmount": None, "maxAmount": None, "presets": [], "environment": "test", "title": "Boat trip",
        "description": "Two hours", "methodTypes": ["card", "promptpay"], "page": None, "usageLimit": 5, "used": 0,
        "held": 0, "scans": 0, "url": f"{BASE}/l/boat", "qrSvgUrl": f"{BASE}/l/boat/qr.svg",
        "qrPngUrl": f"{BASE}/l/boat/qr.png", "posterUrl": f"{BASE}/l/boat/poster", "version": 1,
    }  # fmt: skip
    assert details(client, shop) == made.json == details(client, shop, made.json["id"])
    for name, kind in (("url", "text/html"), ("qrSvgUrl", "image/svg+xml"), ("qrPngUrl", "image/png")):
        page = client.get(made.json[name].removeprefix(BASE))
        assert (page.status_code, page.mimetype) == (200, kind)
    bare = client.post(URL, json={"currency": "USD", "reference": "r"}, headers=shop.bearer).json
    assert (bare["title"], bare["amount"], len(bare["slug"])) == ("r", None, 11)


def test_links_are_listed_page_by_page_and_nobody_elses(client: FlaskClient, shop: Shop) -> None:
    slugs = [make(client, shop, slug=f"boat-{n}").json["slug"] for n in range(3)]
    first = client.get(f"{URL}?limit=2", headers=shop.bearer).json
    assert ([row["slug"] for row in first["data"]], first["has_more"]) == (slugs[:0:-1], True)
    rest = client.get(f"{URL}?limit=2&cursor={first['next_cursor']}", headers=shop.bearer).json
    assert ([row["slug"] for row in rest["data"]], rest["has_more"]) == (slugs[:1], False)
    wrong = client.get(f"{URL}?cursor=x", headers=shop.bearer)
    assert (wrong.status_code, wrong.json["error"]) == (400, "Not a cursor of this list")
    stranger = shops.make("Other shop")
    assert client.get(URL, headers=stranger.bearer).json["data"] == []
    for answer in (
        client.get(f"{URL}/boat-1/details", headers=stranger.bearer),
        client.patch(f"{URL}/boat-1", json={"amount": 1}, headers=stranger.bearer),
        client.post(f"{URL}/boat-1/deactivate", headers=stranger.bearer),
    ):
        assert (answer.status_code, answer.json) == (
            404,
            {"error": "Payment link not found", "code": "RESOURCE_NOT_FOUND"},
        )
    _, narrow = keys.create(shop.actor, "narrow", scopes=["links:read"])
    refused = client.get(URL, headers={"Authorization": f"Bearer {narrow}"})
    assert (refused.status_code, refused.json["error"]) == (403, "Missing links.manage permission")
    assert client.get(URL).status_code == 401


def test_a_link_is_changed_in_what_is_sent(client: FlaskClient, shop: Shop) -> None:
    before = make(client, shop, usageLimit=3, expires_at="2099-12-31T23:59:59Z").json
    started = sessions.get_public(shop.actor, pay(client, {}).json["sessionId"])
    body = {"amount": 5000, "title": "Two boats", "usageLimit": None, "expires_at": None, "version": 1}
    changed = change(client, shop, body)
    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"2"'
    after = {**changed.json, "updated_at": before["updated_at"]}
    assert after == {
        **before, "amount": 5000, "title": "Two boats", "usageLimit": None, "expires_at": None,
        "held": 1, "version": 2,
    }  # fmt: skip
    assert shop.read(started).grand_total == 9900, "who has started pays what they were shown"
    stale = change(client, shop, {"amount": 1}, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json["code"]) == (400, "VERSION_CONFLICT")
    same = change(client, shop, {"amount": 5000, "title": None, "reference": None})
    assert (same.json["version"], same.json["title"], same.json["reference"]) == (2, "Two boats", "promo_ref")
    open_again = change(client, shop, {"amount": None, "minAmount": 100, "presets": [100, 500]}).json
    assert (open_again["amount"], open_again["minAmount"], open_again["presets"]) == (None, 100, [100, 500])
    with reading() as db:
        told = db.scalars(
            select(JournalEntry).where(JournalEntry.entity == "payment_link").order_by(JournalEntry.id)
        ).all()
    assert [entry.type for entry in told] == ["payment_link.created"] + ["payment_link.updated"] * 2
    assert (told[1].data["before"]["amount"], told[1].data["after"]["amount"]) == (9900, 5000)


MISTAKES: list[Any] = [
    ({"amount": 0}, "INVALID_AMOUNT"),
    ({"minAmount": 1}, "INVALID_REQUEST"),
    ({"amount": None, "minAmount": 9, "maxAmount": 8}, "INVALID_REQUEST"),
    ({"amount": None, "presets": [0]}, "INVALID_REQUEST"),
    ({"amount": None, "presets": list(range(1, 10))}, "INVALID_FIELD"),
    ({"usageLimit": 0}, "INVALID_FIELD"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "INVALID_REQUEST"),
    ({"expires_at": "tomorrow"}, "INVALID_FIELD"),
    ({"methodTypes": ["gold"]}, "INVALID_REQUEST"),
    ({"title": " "}, "INVALID_REQUEST"),
]


def test_what_no_link_can_ask_for_is_refused(client: FlaskClient, shop: Shop) -> None:
    for body, code in [
        *MISTAKES,
        ({"slug": "No"}, "INVALID_SLUG"),
        ({"currency": "ZZZ"}, "UNSUPPORTED_CURRENCY"),
    ]:
        answer = make(client, shop, **body)
        assert (answer.status_code, answer.json["code"]) == (400, code), body
    assert make(client, shop).status_code == 201
    for body, code in [
        *MISTAKES,
        ({"slug": "other"}, "INVALID_FIELD"),
        ({"currency": "EUR"}, "INVALID_FIELD"),
    ]:
        answer = change(client, shop, body)
        assert (answer.status_code, answer.json["code"]) == (400, code), body
    assert details(client, shop)["version"] == 1
    taken = make(client, shops.make("Other shop"))
    assert (taken.status_code, taken.json) == (400, {"error": "This slug is taken", "code": "SLUG_TAKEN"})
    merchant_settings.change(shop.actor, {"currencies": ["GBP"]})
    narrowed = make(client, shop, slug="euro", currency="EUR")
    assert (narrowed.status_code, narrowed.json["code"]) == (400, "UNSUPPORTED_CURRENCY")


def test_a_limit_never_falls_below_what_is_used(client: FlaskClient, shop: Shop) -> None:
    make(client, shop, usageLimit=3)
    for _ in range(2):
        assert pay(client, {}).status_code == 201
    assert change(client, shop, {"usageLimit": 1}).json["error"] == "The limit is below what is used already"
    assert change(client, shop, {"usageLimit": 2}).json["usageLimit"] == 2
    assert pay(client, {}).json["code"] == "LINK_NOT_PAYABLE"
    assert change(client, shop, {"usageLimit": None}).json["usageLimit"] is None
    assert pay(client, {}).status_code == 201


def test_a_link_is_switched_off_and_on(client: FlaskClient, shop: Shop) -> None:
    make(client, shop)
    started = sessions.get_public(shop.actor, pay(client, {}).json["sessionId"])
    for _ in range(2):
        off = client.post(f"{URL}/boat/deactivate", headers=shop.bearer)
        assert (off.status_code, off.json["status"], off.json["canPay"]) == (200, "inactive", False)
    assert pay(client, {}).json == {"error": "This link cannot be paid", "code": "LINK_NOT_PAYABLE"}
    assert shop.pay(started).status == "completed"
    on = client.post(f"{URL}/boat/activate", headers=shop.bearer)
    assert (on.json["status"], on.json["canPay"], on.json["used"]) == ("active", True, 1)
    assert pay(client, {}).status_code == 201
    with reading() as db:
        told = [entry.type for entry in db.scalars(select(JournalEntry)) if entry.entity == "payment_link"]
    assert sorted(told) == ["payment_link.activated", "payment_link.created", "payment_link.deactivated"]


def test_each_reason_why_not_is_told_by_itself(client: FlaskClient, shop: Shop) -> None:
    make(client, shop, usageLimit=1, expires_at="2099-01-01T00:00:00Z")
    shop.pay(sessions.get_public(shop.actor, pay(client, {}).json["sessionId"]))
    links.set_active(shop.actor, "boat", False)
    with later(100 * 366 * 86_400):
        seen = client.get(f"{URL}/boat").json
    told = {name: seen[name] for name in ("status", "isExpired", "usageLimitReached", "canPay")}
    assert told == {"status": "inactive", "isExpired": True, "usageLimitReached": True, "canPay": False}
    links.set_active(shop.actor, "boat", True)
    with later(100 * 366 * 86_400):
        assert client.get(f"{URL}/boat").json["status"] == "expired"
        assert pay(client, {}).json["code"] == "LINK_NOT_PAYABLE"


def test_a_payer_chooses(client: FlaskClient, shop: Shop) -> None:
    make(client, shop, amount=..., minAmount=500, maxAmount=10_000, presets=[1000, 2000])
    seen = client.get(f"{URL}/boat").json
    assert (seen["amount"], seen["minAmount"], seen["maxAmount"], seen["presets"]) == (
        None, 500, 10_000, [1000, 2000],
    )  # fmt: skip
    for amount in (None, 0, 499, 10_001, "1000", 7.5):
        answer = pay(client, {"amount": amount})
        assert (answer.status_code, answer.json["code"]) == (400, "INVALID_AMOUNT"), amount
    paid = pay(client, {"amount": 750})
    assert sessions.get_public(shop.actor, paid.json["sessionId"]).grand_total == 750
    page = client.get("/l/boat").text
    assert 'value="1000"' in page and 'value="2000"' in page
    make(client, shop, slug="fixed")
    assert pay(client, {"amount": 1}, "fixed").json["code"] == "INVALID_AMOUNT"
    assert pay(client, {"amount": 9900}, "fixed").status_code == 201


def test_the_page_takes_a_preset_or_what_is_typed(client: FlaskClient, shop: Shop) -> None:
    client.application.config["WTF_CSRF_ENABLED"] = False
    make(client, shop, amount=..., presets=[1000, 2000])
    for form, total in (
        ({"preset": "2000", "email": " ann@shop.test "}, 2000),
        ({"preset": "2000", "amount": "12.50"}, 1250),
        ({"preset": "1000", "email": "nobody"}, None),
        ({"preset": "1500"}, None),
        ({}, None),
    ):
        answer = client.post("/l/boat", data=form)
        if total is None:
            assert answer.status_code == 422, form
        else:
            assert answer.status_code == 303, answer.text
            session, _, _ = hosted.find(answer.headers["Location"].rsplit("/", 1)[1])
            assert session.grand_total == total
            assert session.customer == ({"email": "ann@shop.test"} if "email" in form else {})


def test_methods_are_the_links_or_fewer(client: FlaskClient, shop: Shop) -> None:
    make(client, shop)  # every method of the merchant's
    both = pay(client, {"methodTypes": ["card", "promptpay"]})
    assert set(both.json) == {"sessionId", "redirectUrl", "qrImageUrl", "expiresAt"}
    assert client.get(both.json["qrImageUrl"].removeprefix(BASE)).mimetype == "image/png"
    row = sessions.get_public(shop.actor, both.json["sessionId"])
    assert row.method_types == ["card", "promptpay"]
    assert pay(client, {}).json["qrImageUrl"] is None
    make(client, shop, slug="cards", methodTypes=["card"])
    fewer = pay(client, {"methodTypes": ["card", "promptpay"]}, "cards").json
    assert sessions.get_public(shop.actor, fewer["sessionId"]).method_types == ["card"]
    assert fewer["qrImageUrl"] is None
    for wanted in (["promptpay"], ["gold"], []):
        assert pay(client, {"methodTypes": wanted}, "cards").status_code == 400
    unknown = pay(client, {}, "nowhere")
    assert (unknown.status_code, unknown.json) == (
        404,
        {"error": "Payment link not found", "code": "RESOURCE_NOT_FOUND"},
    )


def test_sixteen_payers_of_five_uses(client: FlaskClient, shop: Shop) -> None:
    make(client, shop, usageLimit=5)
    app = client.application

    def buy(number: int) -> str:
        answer = pay(app.test_client(), {})
        if answer.status_code != 201:
            return str(answer.json["code"])
        session = sessions.get_public(shop.actor, answer.json["sessionId"])
        return shop.pay(session, nonce=f"n{number}").status

    results = together(16, buy)
    assert sorted(map(str, results)) == ["LINK_NOT_PAYABLE"] * 11 + ["completed"] * 5
    with reading() as db:
        link = db.scalars(select(PaymentLink)).one()
    assert (link.used, link.held) == (5, 0)
    assert client.get(f"{URL}/boat").json["usageLimitReached"] is True
