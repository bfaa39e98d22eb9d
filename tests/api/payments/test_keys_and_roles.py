"""PY-070 to PY-074: keys that are shown once and grant no more than their maker holds; roles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading
from app.domain.actor import Mode
from app.domain.errors import Conflict, PermissionDenied
from app.domain.permissions import PERMISSIONS, ROLES
from app.kit import clock
from app.models.access.user import User
from app.models.events.journal import JournalEntry
from app.models.operations.idempotency import IdempotencyRecord
from app.services.access import keys, roles, tokens, users, web_sessions
from tests.shops import Shop, later, make, moment

KEYS, ROLE_PATH = "/v1/payments/keys", "/v1/payments/roles"
READER = {"name": "storefront-read", "scopes": ["intents:read", "methods:attach"], "expires_in": "30d"}
PASSWORD = "a long enough secret"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def person(shop: Shop, role: str, name: str = "owner") -> User:
    return users.create(shop.actor.tenant_id, f"{name}@shop.test", name, role, PASSWORD)


def signed_in(user: User, mode: str = "test") -> dict[str, str]:
    return bearer(tokens.mint_jwt(tokens.person(user.id, mode)))


def make_key(client: FlaskClient, headers: dict[str, str], **changes: Any) -> TestResponse:
    return client.post(KEYS, json=READER | changes, headers=headers)


def told(shop: Shop, type_: str) -> list[JournalEntry]:
    statement = select(JournalEntry).where(
        JournalEntry.tenant_id == shop.actor.tenant_id, JournalEntry.type == type_
    )
    with reading() as db:
        return list(db.scalars(statement.order_by(JournalEntry.id)))


def test_a_key_is_shown_once_works_within_its_scopes_and_ends(client: FlaskClient, shop: Shop) -> None:
    made = make_key(client, shop.bearer)
    assert made.json is not None
    assert made.status_code == 201
    key = made.json["key"]
    assert key.startswith("sk_test_")
    assert (made.json["prefix"], made.json["last4"], made.json["type"]) == ("sk_test", key[-4:], "secret")
    ends = moment(made.json["expires_at"].replace("Z", "+00:00"))
    assert abs(ends - clock.now() - timedelta(days=30)) < timedelta(seconds=60)
    listed = client.get(KEYS, headers=shop.bearer)
    assert key not in listed.text
    assert listed.json is not None
    found = next(row for row in listed.json["data"] if row["id"] == made.json["id"])
    assert (found["key"], found["status"], found["scopes"]) == (None, "active", READER["scopes"])
    missing = "/v1/payments/intents/pi_none"
    assert client.get(missing, headers=bearer(key)).status_code == 404
    assert client.get("/v1/payments/settings", headers=bearer(key)).status_code == 403
    with later(30 * 86_400 + 60):
        assert client.get(missing, headers=bearer(key)).status_code == 401
    [entry] = [e for e in told(shop, "api_key.created") if e.entity_id == made.json["id"]]
    assert key not in str(entry.data)


def test_a_repeated_call_shows_the_key_no_second_time(client: FlaskClient, shop: Shop) -> None:
    headers = shop.bearer | {"Idempotency-Key": "once"}
    first, second = make_key(client, headers), make_key(client, headers)
    assert first.json is not None
    assert second.json is not None
    assert (second.status_code, second.headers["Idempotent-Replayed"]) == (201, "true")
    assert (second.json["id"], second.json["key"]) == (first.json["id"], None)
    with reading() as db:
        bodies = list(db.scalars(select(IdempotencyRecord.body)))
    assert bodies
    assert not any(first.json["key"] in (body or "") for body in bodies)


def test_a_revoked_key_is_refused_on_the_next_request(client: FlaskClient, shop: Shop) -> None:
    made = make_key(client, shop.bearer).json
    assert made is not None
    path = "/v1/payments/intents/pi_none"
    assert client.get(path, headers=bearer(made["key"])).status_code == 404
    assert [client.delete(f"{KEYS}/{made['id']}", headers=shop.bearer).status_code for _ in range(2)] == [
        204,
        204,
    ]
    assert client.get(path, headers=bearer(made["key"])).status_code == 401
    assert len(told(shop, "api_key.revoked")) == 1


def test_keys_of_others_and_of_the_other_mode_are_not_there(client: FlaskClient, shop: Shop) -> None:
    other = make("Another shop")
    theirs, _ = keys.create(other.actor, "theirs")
    live, plaintext = keys.create(shop.actor, "live", mode="live")
    for row in (theirs, live):
        assert client.delete(f"{KEYS}/{row.id}", headers=shop.bearer).status_code == 404
        listed = client.get(KEYS, headers=shop.bearer).json
        assert listed is not None
        assert row.id not in {found["id"] for found in listed["data"]}
    assert keys.authenticate(plaintext).id == live.id


def test_publishable_and_secret_keys_are_kept_apart(client: FlaskClient, shop: Shop) -> None:
    made = client.post(KEYS, json={"name": "front", "type": "publishable"}, headers=shop.bearer).json
    assert made is not None
    assert made["key"].startswith("pk_test_")
    assert made["scopes"] == []
    assert client.get("/v1/payments/intents/pi_none", headers=bearer(made["key"])).status_code == 403
    assert client.get(KEYS, headers=bearer(made["key"])).status_code == 403


def test_what_makes_no_key_is_refused(client: FlaskClient, shop: Shop) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["intents:destroy"]}, "scopes"),
        ({"scopes": ["api_keys.manage"]}, "scopes"),
        ({"type": "publishable"}, "scopes"),
        ({"expires_in": "30"}, "expires_in"),
        ({"expires_in": "0d"}, "expires_in"),
        ({"expires_in": "-1d"}, "expires_in"),
        ({"expires_in": "59s"}, "expires_in"),
        ({"expires_in": "4000d"}, "expires_in"),
        ({"expires_in": 30}, "expires_in"),
        ({"expires_in": "３０d"}, "expires_in"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"environment": "live"}, "environment"),
    ]
    before = len(keys.list_all(shop.actor))
    for change, field in cases:
        answer = make_key(client, shop.bearer, **change)
        assert answer.json is not None
        assert (answer.status_code, answer.json["field"]) == (400, field), change
    assert len(keys.list_all(shop.actor)) == before


def test_a_key_grants_no_more_than_its_maker_holds(client: FlaskClient, shop: Shop) -> None:
    words = ["api_keys.manage", "intents:read"]
    roles.create(shop.operator, "key_maker", words)
    person(shop, "payments_admin")
    maker = signed_in(person(shop, "key_maker", "maker"))
    assert make_key(client, maker, scopes=["intents:read"]).status_code == 201
    for scopes in (["intents:write"], ["*"], ["intents:read", "refunds:create"]):
        answer = make_key(client, maker, scopes=scopes)
        assert answer.json is not None
        assert (answer.status_code, answer.json["code"]) == (403, "beyond_own_permissions")
    narrow = make_key(client, shop.bearer, scopes=["intents:read"]).json
    assert narrow is not None
    assert make_key(client, bearer(narrow["key"]), scopes=["intents:read"]).status_code == 403
    for role in ("reconciler", "read_only"):
        reader = signed_in(person(shop, role, role))
        assert client.get(KEYS, headers=reader).status_code == 403
        assert client.get(ROLE_PATH, headers=reader).status_code == 403


def test_the_built_in_roles_are_listed(client: FlaskClient, shop: Shop) -> None:
    person(shop, "reconciler")
    answer = client.get(ROLE_PATH, headers=shop.bearer).json
    assert answer is not None
    found = {row["name"]: row for row in answer["data"]}
    assert found.keys() >= {"payments_admin", "reconciler", "read_only"}
    assert all(row["built_in"] for row in found.values())
    assert found["reconciler"]["users"] == 1
    assert set(found["reconciler"]["permissions"]) == set(ROLES["reconciler"])


def test_an_own_role_is_made_given_and_works_at_once(client: FlaskClient, shop: Shop) -> None:
    admin = signed_in(person(shop, "payments_admin"))
    clerk = person(shop, "read_only", "clerk")
    headers = signed_in(clerk)
    cookie = web_sessions.open_session(clerk.id)
    refund = {"payment_intent_id": "pi_none"}, {"Idempotency-Key": "k"}
    assert client.post("/v1/payments/refunds", json=refund[0], headers=headers | refund[1]).status_code == 403
    body = {"name": "clerk", "permissions": ["refunds:create", "refunds:read"], "user_id": clerk.id}
    made = client.post(ROLE_PATH, json=body, headers=admin)
    assert made.status_code == 201
    assert made.json == {
        "name": "clerk",
        "description": "",
        "permissions": ["refunds:create", "refunds:read"],
        "built_in": False,
        "users": 1,
    }
    assert client.post("/v1/payments/refunds", json=refund[0], headers=headers | refund[1]).status_code == 404
    assert client.get("/v1/payments/settings", headers=headers).status_code == 403
    assert web_sessions.load(cookie) is None, "a change of rights ends what was signed in before"
    signed = web_sessions.load(web_sessions.open_session(clerk.id))
    assert signed is not None
    assert signed.actor("test").permissions == {"refunds:create", "refunds:read"}
    [changed] = told(shop, "user.role_changed")
    assert (changed.data["before"], changed.data["after"]["role"]) == ({"role": "read_only"}, "clerk")
    assert len(told(shop, "role.created")) == 1


def test_what_makes_no_role_is_refused_and_changes_nothing(client: FlaskClient, shop: Shop) -> None:
    other = make("Another shop")
    stranger = person(other, "read_only", "stranger")
    mine = person(shop, "payments_admin")
    roles.create(other.operator, "theirs", ["intents:read"])
    cases: list[tuple[dict[str, Any], int]] = [
        ({"name": "x1"}, 400),
        ({"name": "No good", "permissions": ["intents:read"]}, 400),
        ({"name": "x1", "permissions": []}, 400),
        ({"name": "x1", "permissions": ["intents:destroy"]}, 400),
        ({"name": "read_only", "permissions": ["intents:read"]}, 409),
        ({"name": "x1", "permissions": ["intents:read"], "user_id": stranger.id}, 404),
        ({"name": "theirs", "user_id": mine.id}, 404),
        ({"name": "read_only", "user_id": mine.id}, 409),
    ]
    for body, status in cases:
        assert client.post(ROLE_PATH, json=body, headers=signed_in(mine)).status_code == status, body
    assert all(role.built_in for role in roles.list_all(shop.actor))
    assert tokens.person(mine.id, "test").permissions == {"*"}
    assert told(shop, "role.created") == []


def test_nobody_rises_above_themselves(shop: Shop) -> None:
    person(shop, "payments_admin")
    roles.create(shop.operator, "lead", ["team.manage", "intents:read"])
    lead = person(shop, "lead", "lead")
    actor = tokens.person(lead.id, "test")
    admin = next(u for u in _people(shop) if u.role == "payments_admin")
    with pytest.raises(PermissionDenied):
        roles.assign(actor, "payments_admin", lead.id)
    with pytest.raises(PermissionDenied):
        roles.create(actor, "more", ["refunds:create"])
    with pytest.raises(PermissionDenied):
        roles.assign(actor, "lead", admin.id)
    roles.create(actor, "viewer", ["intents:read"])
    assert {u.role for u in _people(shop)} == {"payments_admin", "lead"}


def test_of_two_admins_who_demote_each_other_one_stays(shop: Shop) -> None:
    people = [person(shop, "payments_admin", name) for name in ("a", "b")]
    live = replace(shop.actor, mode=Mode.LIVE)

    def demote(user: User) -> bool:
        try:
            roles.assign(live, "read_only", user.id)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(demote, people)) == 1
    assert sorted(u.role for u in _people(shop)) == ["payments_admin", "read_only"]


def test_of_many_who_make_the_same_role_one_does(shop: Shop) -> None:
    def make_role(_: int) -> bool:
        try:
            roles.create(shop.operator, "clerk", ["intents:read"])
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(make_role, range(8))) == 1
    assert {"intents:read", "team.manage"} <= PERMISSIONS


def _people(shop: Shop) -> list[User]:
    with reading() as db:
        return list(db.scalars(select(User).where(User.tenant_id == shop.actor.tenant_id)))


def test_a_key_of_test_mode_hands_out_no_rights_that_hold_in_live_mode(
    client: FlaskClient, shop: Shop
) -> None:
    person(shop, "payments_admin")
    clerk = person(shop, "read_only", "clerk")
    given = {"name": "payments_admin", "user_id": clerk.id}
    made = {"name": "boss", "permissions": ["*"]}
    machine = bearer(tokens.mint_jwt(shop.actor))
    for headers in (shop.bearer, machine):
        for body in (given, made, {**made, "user_id": clerk.id}):
            answer = client.post(ROLE_PATH, json=body, headers=headers)
            assert answer.json is not None
            assert (answer.status_code, answer.json["code"]) == (403, "live_mode_required")
    assert tokens.person(clerk.id, "live").permissions == ROLES["read_only"]
    assert roles.get_or_none(shop.actor, "boss") is None
    _, live = keys.create(shop.actor, "live", mode="live")
    for body in (made, given):
        assert client.post(ROLE_PATH, json=body, headers=bearer(live)).status_code == 201
    assert tokens.person(clerk.id, "live").permissions == {"*"}


def test_keys_come_in_pages(client: FlaskClient, shop: Shop) -> None:
    made = [keys.create(shop.actor, f"key {number}")[0].id for number in range(4)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get(KEYS, query_string=query, headers=shop.bearer).json
        assert page is not None
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
    assert (seen[:4], len(seen), cursor) == (made[::-1], 5, None)
    for query in ({"limit": 0}, {"limit": 101}, {"cursor": "%%%"}):
        assert client.get(KEYS, query_string=query, headers=shop.bearer).status_code == 400
