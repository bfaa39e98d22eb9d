"""Connectors, routing rules and connector logs over HTTP (PY-034 to PY-043, PY-082, OP-12, OP-38)."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services.access import keys, tokens, users
from app.services.payments import connector_logs
from tests import shops
from tests.shops import Shop

SECRET = "sk_test_51Habcdefghijkl9876"
#: The contract's own sample.
SAMPLE = {
    "name": "adyyen-eu",
    "type": "adyen",
    "config": {"api_key": SECRET, "merchant_account": "MA_123"},
    "priority": 10,
    "region": "EU",
}
CONNECTORS, RULES = "/v1/payments/connectors", "/v1/payments/routing-rules"


class Caller:
    """Calls of one merchant's server, which never get a secret back."""

    def __init__(self, client: FlaskClient, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = self._client.open(path, method=method, json=body, headers={**self._headers, **headers})
        assert SECRET not in answer.text
        return answer.status_code, answer.json

    def made(self, path: str, body: Any) -> Any:
        """What a POST made."""
        status, shown = self("POST", path, body)
        assert status == 201, shown
        return shown


@pytest.fixture
def call(client: FlaskClient, shop: Shop) -> Caller:
    return Caller(client, shop.bearer)


def sandbox(call: Caller, **changes: Any) -> Any:
    return call.made(CONNECTORS, {"name": "Sandbox", "type": "sandbox", "config": {}, **changes})


def test_the_sample_is_kept_masked_and_says_why_it_is_not_used(call: Caller) -> None:
    made = call.made(CONNECTORS, SAMPLE)
    assert made["id"].startswith("con_")
    assert {name: made[name] for name in ("name", "type", "priority", "region")} == {
        "name": "adyyen-eu",
        "type": "adyen",
        "priority": 10,
        "region": "EU",
    }
    assert made["config"] == {"api_key": "****9876", "merchant_account": "MA_123"}
    assert (made["status"], made["status_reason"]) == ("error", "connector_not_installed")
    assert call("GET", f"{CONNECTORS}/{made['id']}") == (200, made)
    status, listed = call("GET", CONNECTORS)
    assert (status, listed) == (200, {"data": [made], "has_more": False, "next_cursor": None})


def test_the_same_key_makes_one_connector_and_keeps_no_secret(call: Caller, client: FlaskClient) -> None:
    first = call("POST", CONNECTORS, SAMPLE, **{"Idempotency-Key": "k1"})
    assert call("POST", CONNECTORS, SAMPLE, **{"Idempotency-Key": "k1"}) == first
    assert len(call("GET", CONNECTORS)[1]["data"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"type": "Adyen EU"},
        {"config": {"Bad Name": "x"}},
        {"config": {"api_key": 7}},
        {"config": {"api_key": {"a": "b"}}},
        {"config": {f"k{number}": "x" for number in range(51)}},
        {"priority": -1},
        {"priority": True},
        {"region": ""},
        {"status": "active"},
        {"type": "sandbox", "config": {"unknown": SECRET}},
        {"type": "sandbox", "config": {"availability": SECRET}},
    ],
    ids=str,
)
def test_bad_bodies_are_refused_and_nothing_is_made(call: Caller, changes: dict[str, Any]) -> None:
    status, shown = call("POST", CONNECTORS, {**SAMPLE, **changes})
    assert status == 400, shown
    assert call("GET", CONNECTORS)[1]["data"] == []


def test_a_connector_is_changed_under_its_version(call: Caller, client: FlaskClient, shop: Shop) -> None:
    made = sandbox(call, config={"api_key": SECRET}, region="EU")
    path = f"{CONNECTORS}/{made['id']}"
    assert client.get(path, headers=shop.bearer).headers["ETag"] == '"1"'
    status, shown = call("PATCH", path, {"name": "Main", "region": None}, **{"If-Match": '"1"'})
    assert (status, shown["name"], shown["region"], shown["priority"]) == (200, "Main", None, 100)
    assert shown["config"] == {"api_key": "****9876"}
    assert call("PATCH", path, {"name": "Late"}, **{"If-Match": '"1"'})[0] == 409
    assert call("PATCH", path, {"name": "Late", "version": 1})[1]["code"] == "version_conflict"
    assert call("PATCH", path, {"name": "X", "version": 1}, **{"If-Match": '"2"'})[0] == 400
    assert call("PATCH", path, {"type": "stripe"})[0] == 400
    assert call("PATCH", path, {"status": "disabled"})[1]["status"] == "disabled"
    assert call("GET", f"{CONNECTORS}?status=disabled")[1]["data"][0]["id"] == made["id"]
    assert call("PATCH", path, {"status": "error"})[0] == 400


def test_what_comes_back_masked_is_not_stored_as_the_secret(call: Caller) -> None:
    made = sandbox(call, config={"api_key": SECRET})
    path = f"{CONNECTORS}/{made['id']}"
    shown = call("PATCH", path, {"config": made["config"]})[1]
    assert (shown["config"], shown["version"]) == (made["config"], made["version"])
    assert call("PATCH", path, {"config": {"api_key": None}})[1]["config"] == {}


def test_testing_a_connector(call: Caller) -> None:
    made = sandbox(call)
    status, shown = call("POST", f"{CONNECTORS}/{made['id']}/test")
    assert (status, set(shown), shown["ok"]) == (200, {"ok", "latency_ms", "message"}, True)
    bad = sandbox(call, config={"availability": "unauthorized"})
    assert call("POST", f"{CONNECTORS}/{bad['id']}/test")[1]["ok"] is False
    after = call("GET", f"{CONNECTORS}/{bad['id']}")[1]
    assert (after["status"], after["status_reason"]) == ("error", "credentials_refused")
    assert after["last_test"]["ok"] is False
    absent = call.made(CONNECTORS, SAMPLE)
    status, shown = call("POST", f"{CONNECTORS}/{absent['id']}/test")
    assert (status, shown["ok"], shown["latency_ms"]) == (200, False, 0)


def test_rotating_credentials(call: Caller) -> None:
    made = sandbox(call, config={"api_key": "an-older-secret-1234"})
    path = f"{CONNECTORS}/{made['id']}/rotate-credentials"
    status, shown = call("POST", path, {"config": {"api_key": SECRET}, "grace_seconds": 60})
    assert (status, shown["config"]) == (200, {"api_key": "****9876"})
    assert shown["previous_credentials_until"] is not None
    for body in (
        {},
        {"config": {}},
        {"config": {"api_key": SECRET}},
        {"config": {"api_key": "x"}, "grace_seconds": 10**9},
    ):
        assert call("POST", path, body)[0] == 400
    refused = call("POST", path, {"config": {"nothing": "x"}})[1]
    assert (refused["code"], "it has api_key, " in refused["error"]) == ("invalid_config", True)


def test_deleting_a_connector(call: Caller) -> None:
    made = sandbox(call)
    call.made(RULES, {"match": {}, "connector_id": made["id"]})
    path = f"{CONNECTORS}/{made['id']}"
    call("PATCH", path, {"name": "Changed meanwhile"})
    rotated = call("POST", f"{path}/rotate-credentials", {"config": {"api_key": "x"}}, **{"If-Match": '"1"'})
    for status, shown in (rotated, call("DELETE", path, **{"If-Match": '"1"'})):
        assert (status, shown["code"]) == (409, "version_conflict")
    assert call("GET", path)[1]["config"] == {}
    assert call("DELETE", path, **{"If-Match": '"2"'}) == (204, None)
    assert call("DELETE", path)[0] == 404
    assert call("GET", path)[1]["code"] == "connector_not_found"
    assert call("GET", RULES)[1]["data"] == []


def test_logs_in_pages(call: Caller, shop: Shop) -> None:
    made = sandbox(call, config={"api_key": SECRET})
    for number in range(2):
        shop.pay(shop.session(), nonce=f"n{number}")
    connector_logs.flush()
    path = f"{CONNECTORS}/{made['id']}/logs"
    status, first = call("GET", f"{path}?limit=3")
    assert (status, first["has_more"]) == (200, True)
    second = call("GET", f"{path}?limit=3&cursor={first['next_cursor']}")[1]
    rows = first["data"] + second["data"]
    assert [row["operation"] for row in rows] == ["capture", "authorize"] * 2
    assert {row["outcome"] for row in rows} == {"approved"}
    assert all(row["key"] == f"{row['operation']}_{row['entity_id']}" for row in rows)
    assert len(call("GET", f"{path}?operation=capture")[1]["data"]) == 2
    for bad in ("limit=0", "limit=101", "cursor=***", "unknown=1"):
        assert call("GET", f"{path}?{bad}")[0] == 400
    assert call("GET", f"{CONNECTORS}/con_none/logs")[0] == 404


def test_a_rule_through_its_life_at_both_paths(call: Caller) -> None:
    made = sandbox(call)
    body = {"match": {"currency": "EUR", "country": "FR"}, "connector_id": made["id"], "priority": 100}
    rule = call.made(RULES, body)
    assert rule["id"].startswith("rr_")
    assert (rule["match"], rule["connector_id"], rule["priority"]) == (body["match"], made["id"], 100)
    status, shown = call("PATCH", RULES, {"id": rule["id"], "priority": 5})
    assert (status, shown["priority"], shown["match"]) == (200, 5, body["match"])
    status, shown = call(
        "PATCH", f"{RULES}/{rule['id']}", {"match": {"card_brand": "visa", "amount_min": 100}}
    )
    assert (status, shown["match"]) == (200, {"card_brand": "VISA", "amount_min": 100})
    assert call("PATCH", f"{RULES}/{rule['id']}", {"id": "rr_other"})[0] == 400
    assert call("PATCH", RULES, {"id": rule["id"], "priority": 6, "version": 1})[0] == 409
    assert call("GET", f"{RULES}?connector_id={made['id']}")[1]["data"] == [shown]
    other = call.made(RULES, body)
    for path in (f"{RULES}?id={rule['id']}", f"{RULES}/{rule['id']}"):
        assert call("DELETE", path, **{"If-Match": '"1"'})[1]["code"] == "version_conflict"
    assert call("DELETE", f"{RULES}?id={rule['id']}") == (204, None)
    assert call("DELETE", f"{RULES}/{other['id']}") == (204, None)
    assert call("DELETE", f"{RULES}/{other['id']}")[0] == 404
    assert call("GET", RULES)[1]["data"] == []


def test_a_bare_patch_or_delete_touches_no_rule(call: Caller) -> None:
    made = sandbox(call)
    rule = call.made(RULES, {"match": {}, "connector_id": made["id"]})
    for method, path, body in (
        ("PATCH", RULES, {"priority": 1}),
        ("DELETE", RULES, None),
        ("DELETE", f"{RULES}?id=", None),
    ):
        status, shown = call(method, path, body)
        assert (status, shown["code"]) == (400, "id_required")
    assert call("GET", RULES)[1]["data"] == [rule]


@pytest.mark.parametrize(
    ("match", "field"),
    [
        ({"currency": "eur"}, "match.currency"),
        ({"currency": "XXX"}, "match.currency"),
        ({"country": "France"}, "match.country"),
        ({"card_brand": "VISSA"}, "match.card_brand"),
        ({"amount_min": -1}, "match.amount_min"),
        ({"amount_min": 10, "amount_max": 9}, "match.amount_min"),
        ({"region": "EU"}, "match.region"),
    ],
    ids=str,
)
def test_conditions_that_can_never_hold_are_refused(call: Caller, match: dict[str, Any], field: str) -> None:
    made = sandbox(call)
    status, shown = call("POST", RULES, {"match": match, "connector_id": made["id"]})
    assert status == 400
    assert field in repr(shown) or shown["code"] == "unsupported_currency"
    assert call("GET", RULES)[1]["data"] == []


def test_a_rule_needs_a_connector_of_ones_own(call: Caller, client: FlaskClient) -> None:
    theirs = sandbox(Caller(client, shops.make("Other").bearer))
    assert (
        call("POST", RULES, {"match": {}, "connector_id": theirs["id"]})[1]["code"] == "connector_not_found"
    )
    mine = sandbox(call)
    rule = call.made(RULES, {"match": {}, "connector_id": mine["id"]})
    assert call("PATCH", f"{RULES}/{rule['id']}", {"connector_id": theirs["id"]})[0] == 404


def test_a_stranger_gets_404_everywhere(call: Caller, client: FlaskClient) -> None:
    made = sandbox(call)
    rule = call.made(RULES, {"match": {}, "connector_id": made["id"]})
    stranger = Caller(client, shops.make("Stranger").bearer)
    for method, path, body in (
        ("GET", f"{CONNECTORS}/{made['id']}", None),
        ("PATCH", f"{CONNECTORS}/{made['id']}", {"name": "Mine"}),
        ("DELETE", f"{CONNECTORS}/{made['id']}", None),
        ("POST", f"{CONNECTORS}/{made['id']}/test", None),
        ("POST", f"{CONNECTORS}/{made['id']}/rotate-credentials", {"config": {"api_key": "x"}}),
        ("GET", f"{CONNECTORS}/{made['id']}/logs", None),
        ("PATCH", RULES, {"id": rule["id"], "priority": 1}),
        ("DELETE", f"{RULES}?id={rule['id']}", None),
        ("PATCH", f"{RULES}/{rule['id']}", {"priority": 1}),
        ("DELETE", f"{RULES}/{rule['id']}", None),
    ):
        assert stranger(method, path, body)[0] == 404, (method, path)
    assert call("GET", f"{CONNECTORS}/{made['id']}") == (200, made)
    assert call("GET", RULES)[1]["data"] == [rule]


def test_who_may_read_and_write(client: FlaskClient, call: Caller, shop: Shop) -> None:
    """A reader of everything else sees no connector; a key needs its scope."""
    made = sandbox(call)
    users.create(shop.actor.tenant_id, "r@shop.test", "R", "read_only", "a long enough passphrase")
    person = users.by_email("r@shop.test")
    assert person is not None
    reader = Caller(client, {"Authorization": f"Bearer {tokens.mint_jwt(tokens.person(person.id, 'test'))}"})
    assert reader("GET", CONNECTORS)[0] == 403
    assert reader("GET", RULES)[0] == 200
    assert reader("POST", RULES, {"match": {}, "connector_id": made["id"]})[0] == 403
    _, secret = keys.create(shop.actor, "scoped", scopes=["connectors:read"])
    scoped = Caller(client, {"Authorization": f"Bearer {secret}"})
    assert scoped("GET", CONNECTORS)[0] == 200
    assert scoped("DELETE", f"{CONNECTORS}/{made['id']}")[0] == 403
    assert client.get(CONNECTORS).status_code == 401


def test_the_tenants_own_path_is_the_same_place(call: Caller, shop: Shop) -> None:
    made = sandbox(call)
    assert call("GET", f"/v1/{shop.actor.tenant_id}/payments/connectors/{made['id']}") == (200, made)
