"""CK-067 to CK-071: checkout settings and limits: guards, audit, and that each takes effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.connectors import registry
from app.db import reading
from app.domain.errors import Unprocessable
from app.models.events.journal import JournalEntry
from app.services.access import keys
from app.services.checkout import details, payment
from app.services.operations import settings
from tests.checkout_api import Checkout
from tests.shops import GOOD, NO_FUNDS, Shop, make

SETTINGS, LIMITS, CAPABILITIES = (
    f"/v1/checkout/{name}" for name in ("settings", "tx-limits", "capabilities")
)
CART = {"currency": "GBP", "lines": [{"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1000}]}
PLACE = {"location_id": "shop_1", "name": "Market Hall", "address": {"line1": "2 Mill Lane", "country": "GB"}}
PROVIDERS = ("carts", "pricing", "promotions", "tax", "shipping", "inventory", "orders", "billing", "kyc")
#: A mug of 10.00 with its tax.
COSTS = 1080


def patch(client: FlaskClient, shop: Shop, body: dict[str, Any], path: str = SETTINGS, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(path, json=body, headers=shop.bearer | named)


def made(client: FlaskClient, shop: Shop, **cart: Any) -> Any:
    body = {"cart_snapshot": CART | cart}
    return client.post("/v1/checkout/sessions", json=body, headers=shop.bearer)


def told(shop: Shop) -> list[dict[str, Any]]:
    statement = select(JournalEntry.data).where(
        JournalEntry.tenant_id == shop.actor.tenant_id, JournalEntry.type == "settings.updated"
    )
    with reading() as db:
        return list(db.scalars(statement.order_by(JournalEntry.id)))


def fresh(shop: Shop) -> Shop:
    """The shop with its settings as they are now."""
    return replace(shop, actor=keys.authenticate(shop.secret))


def test_the_defaults_are_told_with_their_version(client: FlaskClient, shop: Shop) -> None:
    answer = client.get(SETTINGS, headers=shop.bearer)
    assert answer.headers["ETag"] == '"1"'
    assert answer.json == {
        "default_capture_mode": "auto",
        "max_payment_attempts": 5,
        "hold_ttl_seconds": 900,
        "session_ttl_seconds": 3600,
        "allowed_apms": {},
        "hosted_checkout": {
            "brand_accent": None,
            "support_email": None,
            "terms_url": None,
            "default_language": None,
            "redirect_hosts": [],
            "embed_origins": [],
            "fresh_copies": True,
            "link_ttl_seconds": 1800,
            "pickup_locations": [],
        },
        "providers": {name: {"kind": "builtin", "url": None} for name in PROVIDERS},
        "provider_secrets": None,
        "version": 1,
    }


def test_new_sessions_are_as_the_settings_say(client: FlaskClient, shop: Shop) -> None:
    before = made(client, shop).json
    body = {
        "default_capture_mode": "manual",
        "session_ttl_seconds": 600,
        "hold_ttl_seconds": 120,
        "max_payment_attempts": 1,
    }
    answer = patch(client, shop, body)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert answer.json.items() >= body.items()
    session = made(client, shop).json
    assert session["options"]["capture_mode"] == "manual"

    def lasts(row: dict[str, Any], since: str) -> float:
        return (datetime.fromisoformat(row["expires_at"]) - datetime.fromisoformat(since)).total_seconds()

    assert lasts(session, session["created_at"]) == pytest.approx(600, abs=1)
    assert lasts(before, before["created_at"]) == pytest.approx(3600, abs=1)
    held = client.post(
        f"/v1/checkout/sessions/{session['checkout_id']}/reserve", json={}, headers=shop.bearer
    ).json
    assert lasts(held, session["created_at"]) < 200
    shop = fresh(shop)
    declined = shop.session()
    shop.pay(declined, NO_FUNDS)
    assert shop.read(declined).status == "failed", "the only attempt is used up"


def test_a_change_is_audited_and_the_same_again_is_none(client: FlaskClient, shop: Shop) -> None:
    body = {"allowed_apms": {"NL": ["ideal"]}, "hosted_checkout": {"brand_accent": "#1a73e8"}}
    for _ in range(2):
        assert patch(client, shop, body).json["version"] == 2
    [change] = told(shop)
    assert change["after"] == {"allowed_apms": {"NL": ["ideal"]}, "brand_accent": "#1a73e8"}
    assert change["before"] == {"allowed_apms": {}, "brand_accent": ""}
    audit = client.get("/v1/checkout/audit?action=settings.updated", headers=shop.bearer).json
    assert [row["after"] for row in audit["data"]] == [change["after"]]


def test_a_stale_change_is_refused(client: FlaskClient, shop: Shop) -> None:
    assert patch(client, shop, {"hold_ttl_seconds": 600}, If_Match='"1"').status_code == 200
    for path, body in ((SETTINGS, {"hold_ttl_seconds": 700}), (LIMITS, {"max_amount": 5})):
        for answer in (
            patch(client, shop, body, path, If_Match='"1"'),
            patch(client, shop, body | {"version": 1}, path),
        ):
            assert (answer.status_code, answer.json["code"]) == (409, "version_conflict")
    assert settings.read(shop.actor)[1] == 2


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"unknown": 1}, "unknown"),
    ({"max_amount": 1}, "max_amount"),
    ({"default_capture_mode": "later"}, "default_capture_mode"),
    ({"max_payment_attempts": 0}, "max_payment_attempts"),
    ({"max_payment_attempts": True}, "max_payment_attempts"),
    ({"hold_ttl_seconds": 59}, "hold_ttl_seconds"),
    ({"session_ttl_seconds": 86_401}, "session_ttl_seconds"),
    ({"allowed_apms": {"XX": ["ideal"]}}, "allowed_apms"),
    ({"allowed_apms": {"nl": ["ideal"]}}, "allowed_apms"),
    ({"allowed_apms": {"NL": ["cheque"]}}, "allowed_apms"),
    ({"allowed_apms": {"NL": ["card"]}}, "allowed_apms"),
    ({"allowed_apms": {"NL": ["ideal", "ideal"]}}, "allowed_apms"),
    ({"allowed_apms": {"NL": "ideal"}}, "allowed_apms.NL"),
    ({"providers": {"weather": {"kind": "builtin"}}}, "providers.weather"),
    ({"providers": {"tax": {"kind": "http"}}}, "providers.tax.url"),
    ({"providers": {"tax": {"kind": "builtin", "url": "https://a.example"}}}, "providers.tax.url"),
    ({"hosted_checkout": {"logo": "x"}}, "hosted_checkout.logo"),
    ({"hosted_checkout": {"brand_accent": "red"}}, "hosted_checkout.brand_accent"),
    ({"hosted_checkout": {"support_email": "nobody"}}, "hosted_checkout.support_email"),
    ({"hosted_checkout": {"terms_url": "javascript:alert(1)"}}, "hosted_checkout.terms_url"),
    ({"hosted_checkout": {"terms_url": "http://a.example"}}, "hosted_checkout.terms_url"),
    ({"hosted_checkout": {"redirect_hosts": ["https://a.example/x"]}}, "hosted_checkout.redirect_hosts"),
    ({"hosted_checkout": {"redirect_hosts": ["a.example", "a.example"]}}, "hosted_checkout.redirect_hosts"),
    *(
        ({"hosted_checkout": {"embed_origins": [origin]}}, "hosted_checkout.embed_origins")
        for origin in (
            "https://a.example/",
            "https://A.example",
            "http://a.example",
            "https://*.a.example",
            "https://a.example:443",
            "https://a.example:70000",
            "https://a.example; script-src *",
            "null",
            "'self'",
        )
    ),
    ({"hosted_checkout": {"link_ttl_seconds": 1}}, "hosted_checkout.link_ttl_seconds"),
    ({"hosted_checkout": {"pickup_locations": [PLACE, PLACE]}}, "hosted_checkout.pickup_locations"),
    ({"hosted_checkout": {"pickup_locations": [{}]}}, "hosted_checkout.pickup_locations.0.location_id"),
]
NO_LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"max_amount": 0}, "max_amount"),
    ({"min_amount": -1}, "min_amount"),
    ({"max_amount": 2**53 + 1}, "max_amount"),
    ({"max_amount": 100, "min_amount": 101}, "min_amount"),
    ({"currency": "DEM"}, "currency"),
    ({"currency": "pound"}, "currency"),
    ({"velocity": [{"scope": "planet", "max_count": 1, "window_seconds": 60}]}, "velocity.0.scope"),
    ({"velocity": [{"scope": "card", "window_seconds": 60}]}, "velocity.0"),
    ({"velocity": [{"scope": "card", "max_count": 1}]}, "velocity.0.window_seconds"),
    ({"hold_ttl_seconds": 600}, "hold_ttl_seconds"),
]


def test_what_makes_no_sense_is_refused_and_names_its_field(client: FlaskClient, shop: Shop) -> None:
    for path, cases in ((SETTINGS, NONSENSE), (LIMITS, NO_LIMITS)):
        for body, field in cases:
            answer = patch(client, shop, body, path)
            assert (answer.status_code, answer.json["field"]) == (400, field), answer.text
    assert settings.read(shop.actor)[1] == 1
    assert told(shop) == []


def test_a_merchants_own_system_is_chosen_with_the_rest_or_not_at_all(
    client: FlaskClient, shop: Shop
) -> None:
    own = {"kind": "http", "url": "http://127.0.0.1:9/tax"}
    refused = patch(client, shop, {"hold_ttl_seconds": 600, "providers": {"tax": own | {"url": "ftp://x"}}})
    assert (refused.status_code, refused.json["field"]) == (400, "providers.tax.url")
    assert settings.read(shop.actor)[1] == 1
    body = {"hold_ttl_seconds": 600, "providers": {"tax": own}}
    first, again = (patch(client, shop, body, Idempotency_Key="once", If_Match='"1"').json for _ in range(2))
    assert (first["hold_ttl_seconds"], first["providers"]["tax"]) == (600, own)
    assert list(first["provider_secrets"]) == ["tax"]
    assert again == first | {"provider_secrets": None}, "a secret is shown once"
    assert first["provider_secrets"]["tax"] not in str(told(shop))
    assert [change["after"] for change in told(shop)] == [
        {"hold_ttl_seconds": 600},
        {"providers": {"tax": own}},
    ]
    health = client.get("/v1/checkout/health", headers=shop.bearer).json
    assert health["calculation_queue"] == "down", "nobody answers there"
    patch(client, shop, {"providers": {"tax": {"kind": "builtin"}}})
    assert client.get("/v1/checkout/health", headers=shop.bearer).json["calculation_queue"] == "ok"


def test_the_page_shows_what_was_chosen_for_it(client: FlaskClient, shop: Shop) -> None:
    page = {
        "brand_accent": "#1a73e8",
        "support_email": "help@shop.example",
        "terms_url": "https://shop.example/terms",
        "default_language": "it",
        "redirect_hosts": ["shop.example"],
        "embed_origins": ["https://shop.example", "http://localhost:8080"],
        "fresh_copies": False,
        "link_ttl_seconds": 900,
        "pickup_locations": [PLACE, {**PLACE, "location_id": "shop_2"}],
    }
    answer = patch(client, shop, {"hosted_checkout": page})
    assert answer.json["hosted_checkout"] == page
    drawn = client.get(f"/pay/{shop.session().hosted_id}").text
    for text in ('data-accent="#1a73e8"', "mailto:help@shop.example", "https://shop.example/terms"):
        assert text in drawn
    less = patch(client, shop, {"hosted_checkout": {"terms_url": None}}).json["hosted_checkout"]
    assert less == page | {"terms_url": None}
    assert "https://shop.example/terms" not in client.get(f"/pay/{shop.session().hosted_id}").text


def test_a_method_that_is_not_allowed_in_a_country_is_neither_offered_nor_taken(
    client: FlaskClient, shop: Shop
) -> None:
    patch(client, shop, {"allowed_apms": {"NL": ["ideal"], "GB": []}})
    shop = fresh(shop)
    session = shop.session()
    page = f"/pay/{session.hosted_id}"
    assert 'value="ideal"' in client.get(page).text
    assert 'value="paypal"' in client.get(page).text, "where the shopper is is not known yet"

    def move(country: str, city: str, code: str) -> None:
        address = {"line1": "1 High Street", "city": city, "postal_code": code, "country": country}
        details.set_shipping_address(shop.actor, session.id, address)

    move("NL", "Amsterdam", "1012 AB")
    assert 'value="ideal"' in client.get(page).text
    assert 'value="paypal"' not in client.get(page).text
    with pytest.raises(Unprocessable) as refused:
        payment.pay_by_redirect(shop.actor, session.id, "paypal", payment.Order("n1"))
    assert refused.value.code == "payment_method_not_supported"
    assert (shop.read(session).payment_attempts, shop.left("MUG")) == (0, (100, 0, 0))
    listed = client.get("/v1/checkout/payment-methods?country=NL", headers=shop.bearer).text
    assert '"ideal"' in listed
    assert '"paypal"' not in listed
    move("GB", "London", "SW1A 2AA")
    with pytest.raises(Unprocessable):
        payment.pay_by_redirect(shop.actor, session.id, "ideal", payment.Order("n2"))
    assert shop.pay(session, GOOD, "n3").status == "completed", "cards are taken everywhere"


def test_a_session_over_a_limit_is_not_made(client: FlaskClient, shop: Shop) -> None:
    answer = patch(client, shop, {"max_amount": COSTS, "min_amount": COSTS}, LIMITS)
    assert answer.json == {
        "max_amount": COSTS,
        "min_amount": COSTS,
        "currency": None,
        "velocity": [{"scope": "address", "max_count": 10, "max_amount": None, "window_seconds": 60}],
        "version": 2,
    }
    assert answer.headers["ETag"] == '"2"'
    assert made(client, shop).status_code == 201
    line = CART["lines"][0]  # type: ignore[index]
    for price, detail in ((1001, "over_maximum"), (999, "under_minimum")):
        refused = made(client, shop, lines=[line | {"unit_price": price}])  # type: ignore[operator]
        assert (refused.status_code, refused.json["code"]) == (422, "tx_limit_exceeded")
        assert refused.json["explain"]["reason"] == f"tx_limit_exceeded:{detail}"
    free = made(client, shop, lines=[line | {"unit_price": 0}])  # type: ignore[operator]
    assert free.status_code == 201, "what costs nothing is no payment"
    assert patch(client, shop, {"max_amount": None, "min_amount": None}, LIMITS).status_code == 200
    assert made(client, shop, lines=[line | {"unit_price": 1001}]).status_code == 201  # type: ignore[operator]
    assert [change["after"] for change in told(shop)] == [
        {"max_amount": COSTS, "min_amount": COSTS},
        {"max_amount": None, "min_amount": None},
    ]


def test_the_limits_stand_beside_each_other_in_either_mode(client: FlaskClient, shop: Shop) -> None:
    _, secret = keys.create(shop.actor, "live", mode="live")
    live = {"Authorization": f"Bearer {secret}"}

    def limits(headers: dict[str, str], **changes: int) -> tuple[int, object, object]:
        answer = client.patch(LIMITS, json=changes, headers=headers)
        shown = client.get(LIMITS, headers=headers).json
        assert shown is not None
        return answer.status_code, shown["min_amount"], shown["max_amount"]

    assert limits(live, min_amount=100, max_amount=1000) == (200, 100, 1000)
    assert limits(shop.bearer, max_amount=99) == (400, 100, 1000), "live mode's smallest holds in test mode"
    assert limits(shop.bearer, min_amount=2000, max_amount=3000) == (200, 2000, 3000)
    assert limits(live, max_amount=99) == (400, 100, 1000)
    assert limits(live, max_amount=500) == (200, 100, 500), "a test key hinders no change"
    assert limits(shop.bearer) == (200, 100, 500), "and test mode's smallest ended with its largest"
    assert limits(shop.bearer, max_amount=300) == (200, 100, 300)
    assert limits(live, min_amount=400) == (200, 400, 500)
    assert limits(shop.bearer) == (200, 400, 500)
    assert told(shop)[-1]["after"] == {"min_amount": 400, "max_amount": 500}
    assert limits(shop.bearer, max_amount=450) == (200, 400, 450)
    assert limits(live, max_amount=600) == (200, 400, 600)
    assert limits(shop.bearer, max_amount=700) == (200, 400, 700)
    assert limits(live, min_amount=300) == (200, 300, 600)
    assert limits(shop.bearer) == (200, 300, 700), "what can stand stays"


def test_a_limit_in_a_currency_is_for_that_currency(client: FlaskClient, shop: Shop) -> None:
    patch(client, shop, {"max_amount": 500, "currency": "EUR"}, LIMITS)
    assert made(client, shop).status_code == 201
    assert made(client, shop, currency="EUR").json["code"] == "tx_limit_exceeded"
    client.patch("/v1/payments/settings", json={"max_authorization_amount": 900}, headers=shop.bearer)
    assert made(client, shop).json["code"] == "tx_limit_exceeded", "both limits hold"


def test_a_total_that_grew_over_the_limit_is_not_paid(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(price=1000)
    patch(client, shop, {"max_amount": COSTS - 1}, LIMITS)
    with pytest.raises(Unprocessable) as refused:
        fresh(shop).pay(session)
    assert refused.value.code == "tx_limit_exceeded"
    assert (shop.read(session).payment_intent_id, shop.left("MUG")) == (None, (100, 0, 0))
    path = f"/v1/checkout/sessions/{session.id}/payment-intents"
    opened = client.post(path, json={}, headers=shop.bearer)
    assert (opened.status_code, opened.json["code"]) == (422, "tx_limit_exceeded")
    assert shop.read(session).payment_intent_id is None


def test_a_split_that_grew_over_the_limit_is_not_paid(client: FlaskClient, shop: Shop) -> None:
    checkout = Checkout(client, shop)
    checkout.opened()
    halves = [{"payment_method_id": checkout.card(), "amount": 810} for _ in range(2)]
    checkout.intent("/split", {"allocations": halves})
    patch(client, shop, {"max_amount": 1619}, LIMITS)
    assert checkout.intent("/confirm", {}, 422)["code"] == "tx_limit_exceeded"
    assert (shop.attempts(checkout.session), shop.left("MUG")) == ([], (100, 0, 0))
    patch(client, shop, {"max_amount": 1620}, LIMITS)
    assert checkout.intent("/confirm", {})["status"] == "succeeded"


def test_velocity_rules_hold_for_the_next_payment(client: FlaskClient, shop: Shop) -> None:
    rule = {"scope": "email", "max_count": 1, "max_amount": None, "window_seconds": 3600}
    answer = patch(client, shop, {"velocity": [rule]}, LIMITS)
    assert answer.json["velocity"] == [rule]
    shop = fresh(shop)
    customer = {"email": "buyer@shop.test"}
    first, second = shop.session(customer=customer), shop.session(customer=customer)
    assert shop.pay(first, nonce="a").status == "completed"
    with pytest.raises(Exception, match="too many tries"):
        shop.pay(second, nonce="b")
    assert shop.attempts(first)
    assert patch(client, shop, {"velocity": None}, LIMITS).json["velocity"][0]["scope"] == "address"
    assert fresh(shop).pay(second, nonce="c").status == "completed"


def test_settings_and_limits_are_the_merchants_own_and_guarded(client: FlaskClient, shop: Shop) -> None:
    other = make("Another shop")
    patch(client, shop, {"session_ttl_seconds": 600})
    patch(client, shop, {"max_amount": 5}, LIMITS)
    assert client.get(SETTINGS, headers=other.bearer).json["session_ttl_seconds"] == 3600
    assert client.get(LIMITS, headers=other.bearer).json["max_amount"] is None
    _, reader = keys.create(shop.actor, "reader", scopes=["settings:read"])
    _, stranger = keys.create(shop.actor, "stranger", scopes=["refunds:read"])
    for path in (SETTINGS, LIMITS):
        assert client.get(path, headers={"Authorization": f"Bearer {reader}"}).status_code == 200
        assert client.get(path, headers={"Authorization": f"Bearer {stranger}"}).status_code == 403
        refused = client.patch(path, json={}, headers={"Authorization": f"Bearer {reader}"})
        assert refused.status_code == 403
        assert client.get(path).status_code == 401


def test_capabilities_are_what_is_there(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = client.get(CAPABILITIES, headers=shop.bearer).json
    assert found == {"3ds": True, "hosted_pages": True, "split_payments": True, "installments": False}
    settings.change(shop.actor, {"three_ds_policy": "never"})
    assert client.get(CAPABILITIES, headers=shop.bearer).json["3ds"] is False
    settings.change(shop.actor, {"three_ds_policy": "always", "allowed_methods": ["ideal"]})
    found = client.get(CAPABILITIES, headers=shop.bearer).json
    assert (found["3ds"], found["hosted_pages"]) == (False, True)
    monkeypatch.setattr(registry, "_ALL", ())
    assert set(client.get(CAPABILITIES, headers=shop.bearer).json.values()) == {False}
