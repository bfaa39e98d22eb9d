"""PY-001 to PY-007, PY-058 and the tokens of browsers, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db import reading
from app.kit import clock
from app.models.payments.method import PaymentMethod
from app.services.access import keys, tokens
from tests import shops
from tests.shops import GOOD, Shop

PATH = "/v1/payments/methods"
CARD = {"number": GOOD, "exp_month": 12, "exp_year": clock.now().year + 3, "cvc": "123"}
BANK = {"routing_number": "110000000", "account_number": "000123456789"}


class Caller:
    """A merchant's server."""

    def __init__(self, client: FlaskClient, shop: Shop) -> None:
        self.client, self.shop = client, shop

    def __call__(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> Any:
        bearer = {"Authorization": f"Bearer {key or self.shop.secret}"}
        return self.client.open(path, method=method, json=body, headers={**bearer, **headers})

    def token(self, **card: Any) -> str:
        made = self("POST", "/v1/payments/tokens", {"type": "card", "card": {**CARD, **card}})
        assert made.status_code == 201
        return str(made.json["token"])

    def method(self, **body: Any) -> str:
        made = self("POST", PATH, {"type": "card", "token": self.token(), **body})
        assert made.status_code == 201
        return str(made.json["id"])


@pytest.fixture
def call(client: FlaskClient, shop: Shop) -> Caller:
    return Caller(client, shop)


def count() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(PaymentMethod)) or 0


def test_a_token_becomes_a_method_with_both_ids(call: Caller) -> None:
    body = {
        "type": "card",
        "customer_id": "cust_123",
        "token": call.token(),
        "metadata": {"nickname": "Work"},
    }
    made = call("POST", PATH, body)
    assert made.status_code == 201
    assert made.json["id"] == made.json["payment_method_id"]
    assert made.json["id"].startswith("pm_")
    shown = {
        "type": "card",
        "status": "active",
        "brand": "VISA",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": CARD["exp_year"],
        "customer_id": "cust_123",
        "vault_provider": "our_vault",
        "consent": False,
        "reusable": False,
        "is_default": False,
        "metadata": {"nickname": "Work"},
        "version": 1,
        "livemode": False,
    }
    assert {name: made.json[name] for name in shown} == shown
    read = call("GET", f"{PATH}/{made.json['id']}")
    assert read.json == made.json
    assert read.headers["ETag"] == '"1"'
    assert "tok" not in read.text, "no token is shown"


def test_the_server_form_takes_tokens_and_published_values(call: Caller) -> None:
    for nested, last4 in (
        ({"token": call.token()}, "4242"),
        ({"card": CARD}, "4242"),
        ({"bank_account": {**BANK, "account_holder_name": "Ann"}}, "6789"),
        ({"sepa_debit": {"iban": "AT61 1904 3002 3457 3201"}}, "3201"),
    ):
        made = call("POST", PATH, {"payment_method": nested})
        assert (made.status_code, made.json["last4"]) == (201, last4)


def test_a_key_repeats_its_answer_and_the_token_counts_once(call: Caller) -> None:
    body = {"token": call.token()}
    first = call("POST", PATH, body, **{"Idempotency-Key": "k1"})
    again = call("POST", PATH, body, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = call("POST", PATH, body)
    assert (other.status_code, other.json["code"], other.json["field"]) == (
        422,
        "token_already_used",
        "token",
    )
    assert count() == 1


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "missing_field", "token"),
        ({"token": "tok_x", "payment_method": {"token": "tok_y"}}, 400, "invalid_field", "token"),
        ({"token": "tok_x", "payment_method": {"card": CARD}}, 400, "invalid_field", "token"),
        ({"payment_method": {}}, 400, "missing_field", "token"),
        (
            {"payment_method": {"card": CARD, "bank_account": BANK}},
            400,
            "invalid_request",
            "bank_account",
        ),
        ({"token": "tok_x", "type": "ideal"}, 400, "invalid_field", "type"),
        ({"token": "tok_x", "consent": "yes"}, 400, "invalid_field", "consent"),
        ({"token": "tok_x", "customer_id": ""}, 400, "invalid_field", "customer_id"),
        ({"token": "tok_x", "pan": 1}, 400, "invalid_field", "pan"),
        ({"token": "tok_x"}, 404, "token_not_found", "token"),
        ({"payment_method": {"token": "tok_x"}}, 404, "token_not_found", "payment_method.token"),
        ({"token": "tok_x", "save_method": True}, 422, "consent_required", "consent"),
        ({"payment_method": {"card": CARD}, "type": "paypal"}, 422, "payment_method_type_mismatch", "type"),
        (
            {"payment_method": {"card": {**CARD, "number": "4000056655665556"}}},
            422,
            "test_card_required",
            "payment_method.card.number",
        ),
        (
            {"payment_method": {"card": {**CARD, "exp_year": 2001}}},
            422,
            "invalid_expiry",
            "payment_method.card.exp_year",
        ),
        (
            {"payment_method": {"bank_account": {**BANK, "account_number": "12345"}}},
            422,
            "test_account_required",
            "payment_method.bank_account.account_number",
        ),
    ],
)
def test_bad_bodies_are_refused_with_their_field(
    call: Caller, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    refused = call("POST", PATH, body)
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (status, code, field)
    assert count() == 0


def test_attach_wants_its_own_scope_and_consent(call: Caller) -> None:
    method = call.method()
    attach = f"{PATH}/attach"
    body = {"payment_method_id": method, "customer_id": "cust_1", "consent": True}
    scoped = {
        scope: keys.create(call.shop.actor, scope, scopes=[scope])[1]
        for scope in ("methods:write", "methods:read", "methods:attach")
    }
    assert call("POST", attach, body, key=scoped["methods:write"]).status_code == 403
    refused = call("POST", attach, {**body, "consent": False}, key=scoped["methods:attach"])
    assert (refused.status_code, refused.json["code"]) == (422, "consent_required")
    assert call("POST", attach, {"payment_method_id": method, "consent": True}).status_code == 400
    done = call("POST", attach, body, key=scoped["methods:attach"])
    assert done.status_code == 200
    assert (done.json["customer_id"], done.json["reusable"], done.headers["ETag"]) == ("cust_1", True, '"2"')
    moved = call("POST", attach, {**body, "customer_id": "cust_2"})
    assert (moved.status_code, moved.json["code"]) == (409, "payment_method_attached")
    for path in (PATH + "?customer_id=cust_1", f"{PATH}/{method}"):
        assert call("GET", path, key=scoped["methods:read"]).status_code == 200
        assert call("GET", path, key=scoped["methods:attach"]).status_code == 403
    assert call("DELETE", f"{PATH}/{method}", key=scoped["methods:read"]).status_code == 403


def test_the_list_wants_a_customer_and_gives_pages(call: Caller) -> None:
    assert call("GET", PATH).json["field"] == "customer_id"
    kept = [call.method(customer_id="cust_1", consent=True) for _ in range(3)]
    first = call("GET", f"{PATH}?customer_id=cust_1&limit=2").json
    assert ([row["id"] for row in first["data"]], first["has_more"]) == (kept[:0:-1], True)
    second = call("GET", f"{PATH}?customer_id=cust_1&limit=2&cursor={first['next_cursor']}").json
    assert ([row["payment_method_id"] for row in second["data"]], second["next_cursor"]) == (kept[:1], None)
    last = call("GET", f"{PATH}?customer_id=cust_1&limit=2&page=2").json
    assert [row["id"] for row in last["data"]] == kept[:1]
    assert (last["page"], last["limit"], last["total"], last["has_more"]) == (2, 2, 3, False)
    assert call("GET", f"{PATH}?customer_id=cust_1&limit=2&page=1").json["has_more"] is True
    assert "total" not in first
    for query in ("page=0", "page=1&cursor=x", "limit=0", "limit=101", "limit=x", "cursor=!", "sort=1"):
        assert call("GET", f"{PATH}?customer_id=cust_1&{query}").status_code == 400
    assert call("GET", f"{PATH}?customer_id=nobody").json["data"] == []


def test_a_change_follows_its_version(call: Caller) -> None:
    path = f"{PATH}/{call.method(customer_id='c', consent=True, metadata={'a': 1})}"
    done = call("PATCH", path, {"nickname": "Home", "is_default": True}, **{"If-Match": '"1"'})
    assert done.status_code == 200
    assert done.json["metadata"] == {"a": 1, "nickname": "Home"}
    assert (done.json["is_default"], done.headers["ETag"]) == (True, '"2"')
    stale = call("PATCH", path, {"nickname": "Old", "version": 1})
    assert (stale.status_code, stale.json["code"]) == (409, "version_conflict")
    assert call("PATCH", path, {"version": 1}, **{"If-Match": '"2"'}).status_code == 400
    assert call("PATCH", path, {}, **{"If-Match": "x"}).status_code == 400
    assert call("PATCH", path, {"nickname": None}).json["metadata"] == {"a": 1}
    for bad in ({"is_default": 1}, {"metadata": []}, {"nickname": "x" * 101}, {"last4": "1111"}):
        assert call("PATCH", path, bad).status_code == 400
    one_off = f"{PATH}/{call.method(customer_id='c')}"
    assert call("PATCH", one_off, {"is_default": True}).json["code"] == "consent_required"


def test_revoking_keeps_the_row_and_ends_its_use(call: Caller) -> None:
    method = call.method()
    intent = {"amount": 500, "currency": "GBP", "payment_method_id": method}
    named = call("POST", "/v1/payments/intents", intent, **{"Idempotency-Key": "i1"}).json["id"]
    stale = call("DELETE", f"{PATH}/{method}", **{"If-Match": '"7"'})
    assert (stale.status_code, stale.json["code"]) == (409, "version_conflict")
    for _ in range(2):
        gone = call("DELETE", f"{PATH}/{method}")
        assert (gone.status_code, gone.text) == (204, "")
    read = call("GET", f"{PATH}/{method}").json
    assert (read["status"], read["revoked_at"] is not None) == ("revoked", True)
    confirm = call("POST", f"/v1/payments/intents/{named}/confirm", {}, **{"Idempotency-Key": "c1"})
    for refused in (
        confirm,
        call("POST", "/v1/payments/intents", intent, **{"Idempotency-Key": "i2"}),
        call("POST", f"{PATH}/attach", {"payment_method_id": method, "customer_id": "c", "consent": True}),
        call("PATCH", f"{PATH}/{method}", {"nickname": "x"}),
    ):
        assert (refused.status_code, refused.json["code"]) == (422, "payment_method_revoked")


def test_deposits_are_confirmed_by_their_amounts(call: Caller) -> None:
    method = call("POST", PATH, {"payment_method": {"bank_account": BANK}}).json["id"]
    body = {"payment_method_id": method, "type": "micro_deposit"}
    started = call("POST", f"{PATH}/verify", body)
    assert (started.status_code, started.json["status"], started.json["tries_left"]) == (200, "pending", 3)
    for amounts in ([32], [32, 45, 1], ["32", "45"], [0, 1], [True, 1]):
        assert call("POST", f"{PATH}/verify", {**body, "amounts": amounts}).status_code == 400
    wrong = call("POST", f"{PATH}/verify", {**body, "amounts": [1, 1]}).json
    assert (wrong["status"], wrong["reason"], wrong["tries_left"]) == ("pending", "wrong_amounts", 2)
    done = call("POST", f"{PATH}/verify", {**body, "amounts": [32, 45]}).json
    assert (done["status"], done["payment_method_id"]) == ("verified", method)
    assert call("GET", f"{PATH}/{method}").json["verified_at"] is not None
    card = {"payment_method_id": call.method(), "type": "micro_deposit"}
    assert call("POST", f"{PATH}/verify", card).json["code"] == "verification_not_supported"
    missing = {"payment_method_id": "pm_nobody", "type": "micro_deposit"}
    assert call("POST", f"{PATH}/verify", missing).status_code == 404


@pytest.mark.parametrize(
    ("number", "enrolled", "status", "proof"),
    [
        ("4000000000003220", True, "enrolled", "verified"),
        (GOOD, False, "not_enrolled", "failed"),
        ("4000008400001280", False, "unavailable", "failed"),
    ],
)
def test_three_ds_is_looked_up(call: Caller, number: str, enrolled: bool, status: str, proof: str) -> None:
    method = call("POST", PATH, {"token": call.token(number=number)}).json["id"]
    found = call("GET", f"/v1/payments/payment-methods/3ds/lookup?payment_method_id={method}")
    assert found.status_code == 200
    assert (found.json["enrolled"], found.json["enrollment_status"]) == (enrolled, status)
    assert found.json["fingerprint_required"] is enrolled
    assert (found.json["acs_url"] is not None) is enrolled
    body = {"payment_method_id": method, "type": "3ds_enrollment"}
    assert call("POST", f"{PATH}/verify", body).json["status"] == proof
    assert call("GET", "/v1/payments/payment-methods/3ds/lookup").status_code == 400


def test_every_row_is_closed_to_other_merchants_and_modes(call: Caller) -> None:
    method = call.method(customer_id="cust_1", consent=True)
    single = call.token()
    live = keys.create(call.shop.actor, "live", mode="live")[1]
    for key in (shops.make("Stranger").secret, live):
        for verb, path, body in (
            ("GET", f"{PATH}/{method}", None),
            ("PATCH", f"{PATH}/{method}", {"nickname": "x"}),
            ("DELETE", f"{PATH}/{method}", None),
            ("POST", f"{PATH}/attach", {"payment_method_id": method, "customer_id": "c", "consent": True}),
            ("POST", f"{PATH}/verify", {"payment_method_id": method, "type": "3ds_enrollment"}),
            ("GET", f"/v1/payments/payment-methods/3ds/lookup?payment_method_id={method}", None),
            ("POST", PATH, {"token": single}),
        ):
            assert call(verb, path, body, key=key).status_code == 404, path
        assert call("GET", f"{PATH}?customer_id=cust_1", key=key).json["data"] == []
    assert call("GET", f"{PATH}/{method}").json["version"] == 1
    twin = f"/v1/{call.shop.actor.tenant_id}/payments/methods/{method}"
    assert call("GET", twin).json["id"] == method


def test_browsers_make_tokens_and_do_nothing_else_with_methods(call: Caller) -> None:
    publishable = keys.create(call.shop.actor, "front", kind="pk")[1]
    session = call.shop.session(hosted=False)
    client_token = tokens.client_token(session)
    method = call.method(customer_id="cust_1", consent=True)
    for key in (publishable, client_token):
        made = call("POST", "/v1/payments/tokens", {"type": "card", "card": CARD}, key=key)
        assert made.status_code == 201
        assert made.json["token"].startswith("tok_")
        assert (made.json["brand"], made.json["last4"], made.json["single_use"]) == ("VISA", "4242", True)
        assert call("POST", PATH, {"token": made.json["token"]}, key=key).status_code == 403
        assert call("GET", f"{PATH}/{method}", key=key).status_code == 403
        assert call("DELETE", f"{PATH}/{method}", key=key).status_code == 403
        assert call("POST", PATH, {"token": made.json["token"]}).status_code == 201
    lookup = f"/v1/payments/payment-methods/3ds/lookup?payment_method_id={method}"
    assert call("GET", lookup, key=publishable).status_code == 403
    assert call("GET", lookup, key=client_token).status_code == 404, "another session's method"
    assert call.client.post("/v1/payments/tokens", json={}).status_code == 401


@pytest.mark.parametrize("type_", ["paypal", "apple_pay", "google_pay"])
def test_a_wallet_token_needs_no_details(call: Caller, type_: str) -> None:
    made = call("POST", "/v1/payments/tokens", {"type": type_})
    assert made.status_code == 201
    assert call("POST", PATH, {"token": made.json["token"], "type": type_}).json["type"] == type_
    refused = call("POST", "/v1/payments/tokens", {"type": type_, "card": CARD})
    assert (refused.status_code, refused.json["field"]) == (400, type_)


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"card": CARD}, 400, "missing_field", "type"),
        ({"type": "card"}, 400, "missing_field", "card"),
        ({"type": "sepa_debit", "card": CARD}, 400, "missing_field", "sepa_debit"),
        ({"type": "card", "card": {**CARD, "exp_month": 13}}, 400, "invalid_field", "card.exp_month"),
        ({"type": "card", "card": {**CARD, "number": 4}}, 400, "invalid_field", "card.number"),
        (
            {"type": "card", "card": {**CARD, "number": "4111111111111111"}},
            422,
            "test_card_required",
            "card.number",
        ),
        ({"type": "card", "card": {**CARD, "cvc": "12"}}, 422, "invalid_cvc", "card.cvc"),
    ],
)
def test_bad_details_make_no_token(call: Caller, body: Any, status: int, code: str, field: str) -> None:
    refused = call("POST", "/v1/payments/tokens", body)
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (status, code, field)


def test_live_mode_makes_no_tokens(call: Caller) -> None:
    for kind in ("sk", "pk"):
        live = keys.create(call.shop.actor, kind, kind=kind, mode="live")[1]
        refused = call("POST", "/v1/payments/tokens", {"type": "card", "card": CARD}, key=live)
        assert (refused.status_code, refused.json["code"]) == (422, "payment_method_not_supported")


def test_a_shop_on_another_origin_may_ask_for_tokens_and_for_nothing_of_its_servers(call: Caller) -> None:
    client, origin = call.client, "https://shop.example"
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for path in ("/v1/payments/tokens", f"/v1/{call.shop.actor.tenant_id}/payments/tokens"):
        preflight = client.options(path, headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    made = call("POST", "/v1/payments/tokens", {"type": "card", "card": CARD}, Origin=origin)
    refused = client.post("/v1/payments/tokens", json={}, headers={"Origin": origin})
    for answer in (made, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    for answer in (client.options(PATH, headers=asks), call("GET", f"{PATH}?customer_id=c", Origin=origin)):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_intent_takes_a_token_in_a_methods_place_and_once(call: Caller) -> None:
    token, path = call.token(), "/v1/payments/intents"
    amount = {"amount": 1500, "currency": "GBP"}
    first, second = (
        call("POST", path, amount, **{"Idempotency-Key": f"k{number}"}).json["id"] for number in (1, 2)
    )
    once = {"Idempotency-Key": "attach"}
    for _ in range(2):  # repeated under its key, it is the same call
        attached = call("POST", f"{path}/{first}/attach-method", {"payment_method_id": token}, **once)
        assert (attached.status_code, attached.json["status"]) == (200, "requires_confirmation")
    assert attached.json["payment_method_id"].startswith("pm_")
    again = call("POST", f"{path}/{second}/attach-method", {"payment_method_id": token})
    assert (again.status_code, again.json["code"]) == (422, "token_already_used")
    assert count() == 1
    paid = call("POST", f"{path}/{first}/confirm", {}, **{"Idempotency-Key": "confirm"})
    assert paid.json["status"] == "succeeded"
