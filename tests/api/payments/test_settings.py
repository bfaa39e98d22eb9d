"""PY-080, PY-081: payment settings: their defaults, their guards, and that they take effect."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import settings as environment
from app.db import reading
from app.domain.errors import RateLimited, Unprocessable, VersionConflict
from app.models.events.journal import JournalEntry
from app.models.payments.intent import PaymentIntent
from app.services.access import keys, tenants, tokens
from app.services.operations import settings
from app.services.payments import intents, methods
from tests import risks
from tests.shops import GOOD, Shop, card, make

PATH = "/v1/payments/settings"


def changes_told(shop: Shop) -> list[dict[str, Any]]:
    statement = select(JournalEntry.data).where(
        JournalEntry.tenant_id == shop.actor.tenant_id, JournalEntry.type == "settings.updated"
    )
    with reading() as db:
        return list(db.scalars(statement.order_by(JournalEntry.id)))


def test_the_defaults_are_the_contracts(client: FlaskClient, shop: Shop) -> None:
    answer = client.get(PATH, headers=shop.bearer)
    assert answer.json is not None
    assert answer.headers["ETag"] == '"1"'
    stated = {
        "default_capture_mode": "auto",
        "max_authorization_amount": None,
        "three_ds_policy": "automatic",
        "dispute_retention_days": 540,
        "gl_accounts": {},
        "max_payment_attempts": 5,
        "hold_ttl_seconds": 900,
        "session_ttl_seconds": 3600,
        "version": 1,
    }
    assert {name: answer.json[name] for name in stated} == stated
    assert "card" in answer.json["allowed_methods"]


def test_a_change_is_kept_journalled_and_takes_effect(client: FlaskClient, shop: Shop) -> None:
    body = {
        "max_authorization_amount": 5000,
        "default_capture_mode": "manual",
        "gl_accounts": {"refund": "400"},
    }
    answer = client.patch(PATH, json=body, headers=shop.bearer)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json.items() >= body.items()
    assert (answer.json["version"], answer.headers["ETag"]) == (2, '"2"')
    [told] = changes_told(shop)
    assert told["after"] == body
    assert told["before"] == {
        "max_authorization_amount": None,
        "default_capture_mode": "auto",
        "gl_accounts": {},
    }

    def intent(amount: int) -> Any:
        draft = {"amount": amount, "currency": "GBP", "request_id": f"r{amount}"}
        return client.post("/v1/payments/intents", json=draft, headers=shop.bearer)

    assert intent(5000).json["capture_mode"] == "manual"
    over = intent(5001)
    assert (over.status_code, over.json["code"]) == (422, "tx_limit_exceeded")
    assert client.patch(PATH, json={"max_authorization_amount": None}, headers=shop.bearer).status_code == 200
    assert intent(5002).status_code == 201
    assert client.patch(PATH, json={"currencies": ["EUR"]}, headers=shop.bearer).status_code == 200
    refused = intent(5003)
    assert (refused.status_code, refused.json["code"]) == (422, "unsupported_currency")
    with reading() as db:
        assert db.query(PaymentIntent).count() == 2


def test_the_three_ds_policy_takes_effect(client: FlaskClient, shop: Shop) -> None:
    for policy, status in (("always", "requires_action"), ("automatic", "succeeded")):
        client.patch(PATH, json={"three_ds_policy": policy}, headers=shop.bearer)
        actor = keys.authenticate(shop.secret)
        method = methods.tokenize_card(actor, card(GOOD))
        made = intents.create(actor, intents.IntentDraft(1000, "GBP", payment_method_id=method.id))
        assert intents.confirm(actor, made.id, nonce="n1").status == status


def test_the_same_again_is_no_change(client: FlaskClient, shop: Shop) -> None:
    for _ in range(2):
        answer = client.patch(
            PATH, json={"hold_ttl_seconds": 600, "allowed_methods": ["card"]}, headers=shop.bearer
        )
        assert answer.json is not None
        assert answer.json["version"] == 2
    assert len(changes_told(shop)) == 1


def test_a_stale_change_is_refused(client: FlaskClient, shop: Shop) -> None:
    first = client.get(PATH, headers=shop.bearer).headers["ETag"]
    assert (
        client.patch(
            PATH, json={"hold_ttl_seconds": 600}, headers=shop.bearer | {"If-Match": first}
        ).status_code
        == 200
    )
    for stale in ({"headers": shop.bearer | {"If-Match": first}}, {"headers": shop.bearer, "version": 1}):
        body = {"hold_ttl_seconds": 700, **({"version": 1} if "version" in stale else {})}
        answer = client.patch(PATH, json=body, headers=stale["headers"])
        assert answer.json is not None
        assert (answer.status_code, answer.json["code"]) == (409, "version_conflict")
    both = client.patch(PATH, json={"version": 2}, headers=shop.bearer | {"If-Match": '"3"'})
    assert both.status_code == 400
    assert settings.read(shop.actor)[0].hold_ttl_seconds == 600


NONSENSE: list[dict[str, Any]] = [
    {"allowed_methods": ["cheque"]},
    {"allowed_methods": []},
    {"allowed_methods": ["card", "card"]},
    {"default_capture_mode": "later"},
    {"max_authorization_amount": 0},
    {"max_authorization_amount": -1},
    {"max_authorization_amount": True},
    {"max_authorization_amount": 2**53 + 1},
    {"three_ds_policy": "sometimes"},
    {"dispute_retention_days": 0},
    {"gl_accounts": {"refund": ""}},
    {"gl_accounts": {"nonsense": "400"}},
    {"max_payment_attempts": 0},
    {"currencies": ["DEM"]},
    {"brand_accent": "red"},
    {"max_confirms_per_session": 0},
    {"max_confirms_per_session": "5"},
    {"fraud": []},
    {"fraud": {"mark": 1}},
    {"fraud": {"challenge_from": 95}},
    {"fraud": {"deny_from": 102}},
    {"fraud": {"on_failure": "pray"}},
    {"fraud": {"provider": "http"}},
    {"fraud": {"provider": "http", "url": "https://user:pw@fraud.example/"}},
    {"fraud": {"provider": "http", "url": "file:///etc/passwd"}},
    {"fraud": {"url": 5}},
    {"fraud": {"rules": []}},
    {"fraud": {"rules": {"moon": {}}}},
    {"fraud": {"rules": {"card_velocity": {"weight": 101}}}},
    {"fraud": {"rules": {"card_velocity": {"threshold": 0}}}},
    {"fraud": {"rules": {"card_velocity": {"enabled": 1}}}},
    {"velocity": {}},
    {"velocity": [{"scope": "planet", "max_count": 1, "window_seconds": 1}]},
    {"velocity": [{"scope": "card", "window_seconds": 60}]},
    {"velocity": [{"scope": "card", "max_count": True, "window_seconds": 60}]},
    {"velocity": [{"scope": "card", "max_count": 1, "window_seconds": 86_401}]},
    {"velocity": [{"scope": "card", "max_count": 1, "window_seconds": 60}] * 21},
    {"unknown": 1},
]


def test_what_makes_no_sense_is_refused(client: FlaskClient, shop: Shop) -> None:
    for body in NONSENSE:
        answer = client.patch(PATH, json=body, headers=shop.bearer)
        assert answer.json is not None
        assert answer.status_code == 400, body
        assert answer.json["field"].split(".")[0] == next(iter(body))
    assert settings.read(shop.actor)[1] == 1
    assert changes_told(shop) == []


RISK: dict[str, Any] = {
    "fraud": {"challenge_from": 50, "rules": {"elevated_risk_card": {"weight": 95}, "card_velocity": {}}},
    "velocity": [{"scope": "customer", "max_count": 2, "window_seconds": 3600}],
    "max_confirms_per_session": 1,
}


def test_what_a_merchant_chooses_about_risk_is_kept_and_journalled(client: FlaskClient, shop: Shop) -> None:
    fresh = client.get(PATH, headers=shop.bearer).json
    assert fresh is not None
    assert [fresh[name] for name in RISK] == [None, None, None]
    answer = client.patch(PATH, json=RISK, headers=shop.bearer)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    [told] = changes_told(shop)
    assert (told["before"], told["after"]) == (dict.fromkeys(RISK), RISK)
    shown = client.get(PATH, headers=shop.bearer).json
    assert shown is not None
    assert shown["fraud"]["challenge_from"] == 50
    assert shown["velocity"] == [RISK["velocity"][0] | {"max_amount": None}]
    book = client.get("/v1/payments/fraud/rules", headers=shop.bearer).json
    assert book is not None
    assert (book["challenge_from"], book["deny_from"], book["velocity"]) == (50, 90, shown["velocity"])
    as_shown = {name: shown[name] for name in RISK}
    assert client.patch(PATH, json=as_shown, headers=shop.bearer).status_code == 200
    back = client.patch(PATH, json=dict.fromkeys(RISK), headers=shop.bearer).json
    assert back is not None
    assert [back[name] for name in RISK] == [None, None, None]
    book = client.get("/v1/payments/fraud/rules", headers=shop.bearer).json
    assert book is not None
    assert (book["challenge_from"], [limit["scope"] for limit in book["velocity"]]) == (60, ["address"])


def test_what_a_merchant_chooses_about_risk_takes_effect(client: FlaskClient, shop: Shop) -> None:
    assert client.patch(PATH, json=RISK, headers=shop.bearer).status_code == 200
    actor = keys.authenticate(shop.secret)
    chosen = Shop(actor, shop.secret)
    denied = risks.confirm(chosen, risks.intent_of(chosen, customer_id="c"), risks.ELEVATED)
    assert denied.last_error is not None and denied.last_error["code"] == "fraud_block"
    with pytest.raises(Unprocessable) as refused:
        risks.confirm(chosen, denied, nonce="n2")
    assert refused.value.code == "confirm_limit_exceeded"
    assert risks.confirm(chosen, risks.intent_of(chosen, customer_id="c")).status == "succeeded"
    with pytest.raises(RateLimited):
        risks.confirm(chosen, risks.intent_of(chosen, customer_id="c"))
    other = make("Another shop")
    assert risks.confirm(other, risks.intent_of(other), risks.ELEVATED).status == "requires_action"


def test_facts_about_shoppers_do_not_travel_in_the_clear(client: FlaskClient, shop: Shop) -> None:
    body = {"fraud": {"provider": "http", "url": "HTTP://127.0.0.1:9/score"}}
    assert client.patch(PATH, json=body, headers=shop.bearer).status_code == 200
    present = environment.current()
    environment.use(present.model_copy(update={"allow_loopback_webhooks": False}))
    answer = client.patch(PATH, json=body, headers=shop.bearer)
    assert answer.json is not None
    assert (answer.status_code, answer.json["field"]) == (400, "fraud")


def test_settings_are_the_merchants_own_and_guarded(app: Flask, client: FlaskClient, shop: Shop) -> None:
    other = make("Another shop")
    client.patch(PATH, json={"three_ds_policy": "always"}, headers=shop.bearer)
    assert settings.read(other.actor)[0].three_ds_policy == "automatic"
    assert client.get("/v1/test-shop/payments/settings", headers=other.bearer).status_code == 403
    _, reader = keys.create(shop.actor, "reader", scopes=["settings:read"])
    headers = {"Authorization": f"Bearer {reader}"}
    assert client.get("/v1/test-shop/payments/settings", headers=headers).json["three_ds_policy"] == "always"  # type: ignore[index]
    assert client.patch(PATH, json={"three_ds_policy": "never"}, headers=headers).status_code == 403


def test_of_many_changes_of_one_version_one_wins(shop: Shop) -> None:
    def attempt(seconds: int) -> bool:
        try:
            settings.change(shop.actor, {"hold_ttl_seconds": seconds}, expected=1)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(100, 108)))
    assert sum(won) == 1
    assert settings.read(shop.actor)[1] == 2
    assert len(changes_told(shop)) == 1


def test_a_key_of_test_mode_changes_test_mode_alone(client: FlaskClient, shop: Shop) -> None:
    """Whoever holds such a key tries settings out, and touches nothing that takes real money (docs/adr/0040)."""
    _, secret = keys.create(shop.actor, "live", mode="live")
    live = {"Authorization": f"Bearer {secret}"}
    machine = {"Authorization": f"Bearer {tokens.mint_jwt(shop.actor)}"}

    def stands(headers: dict[str, str], path: str = PATH, name: str = "max_authorization_amount") -> Any:
        answer = client.get(path, headers=headers).json
        assert answer is not None
        return answer[name]

    sent = {"max_authorization_amount": 5000, "three_ds_policy": "always"}
    assert client.patch(PATH, json=sent, headers=shop.bearer).status_code == 200
    limits = "/v1/checkout/tx-limits"
    assert client.patch(limits, json={"max_amount": 7000}, headers=machine).status_code == 200
    assert (stands(shop.bearer), stands(live)) == (5000, None)
    assert (stands(machine, limits, "max_amount"), stands(live, limits, "max_amount")) == (7000, None)
    hosts = {"hosted_checkout": {"redirect_hosts": ["evil.example"]}}
    assert client.patch("/v1/checkout/settings", json=hosts, headers=shop.bearer).status_code == 200
    assert tenants.profile(shop.actor.tenant_id, "live").settings == {}
    for headers, status in ((shop.bearer, 422), (live, 201)):
        body = {"amount": 8000, "currency": "GBP"}
        made = client.post("/v1/payments/intents", json=body, headers={**headers, "Idempotency-Key": "k-1"})
        assert made.status_code == status, made.json

    assert client.patch(PATH, json={"max_authorization_amount": 9000}, headers=live).status_code == 200
    assert (stands(shop.bearer), stands(live)) == (9000, 9000), "what is set for both modes holds in both"
    assert stands(shop.bearer, name="three_ds_policy") == "always", "the rest stays"
    assert stands(live, name="three_ds_policy") == "automatic"
    told = [change["after"] for change in changes_told(shop)]
    assert told[0] == sent and told[-1] == {"max_authorization_amount": 9000}
