"""Keys over their lives: rolled with an overlap, cut to what their maker may do now, ended with their maker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, select, text

from app import settings
from app.api import SURFACES
from app.db import reading
from app.domain.actor import Actor, ActorKind
from app.domain.errors import Conflict, DomainError, NotFound, PermissionDenied, Unauthenticated
from app.domain.permissions import ROLES, cut
from app.kit import clock
from app.models.access.api_key import ApiKey
from app.models.access.user import User
from app.models.events.journal import JournalEntry
from app.services.access import key_owners, keys, roles, team, tokens, users
from tests.shops import Shop, make

KEYS = "/v1/payments/keys"
READ = "/v1/payments/intents/pi_none"
PASSWORD = "a long enough secret"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def person(shop: Shop, role: str, name: str) -> User:
    return users.create(shop.actor.tenant_id, f"{name}@shop.test", name, role, PASSWORD)


def acting(user: User, mode: str = "test") -> Actor:
    return tokens.person(user.id, mode)


def status(client: FlaskClient, key: str, path: str = READ) -> int:
    return client.get(path, headers=bearer(key)).status_code


def row(key_id: str) -> ApiKey:
    with reading() as db:
        return db.get_one(ApiKey, key_id)


def told(type_: str) -> list[JournalEntry]:
    with reading() as db:
        return list(db.scalars(select(JournalEntry).where(JournalEntry.type == type_)))


def test_a_rolled_key_works_on_for_the_stated_time_and_no_longer(client: FlaskClient, shop: Shop) -> None:
    old, secret = keys.create(shop.actor, "server", scopes=["intents:read"], expires_in_seconds=90 * 86_400)
    headers = shop.bearer | {"Idempotency-Key": "roll once"}
    start = clock.now()
    with clock.frozen(start):
        rolled = client.post(f"{KEYS}/{old.id}/roll", json={"overlap": "2h"}, headers=headers)
        again = client.post(f"{KEYS}/{old.id}/roll", json={"overlap": "2h"}, headers=headers)
    assert rolled.json is not None
    assert again.json is not None
    assert rolled.status_code == 201
    fresh = rolled.json["key"]
    assert (again.json["id"], again.json["key"]) == (rolled.json["id"], None), "shown once"
    assert (rolled.json["name"], rolled.json["scopes"]) == ("server", ["intents:read"])
    assert rolled.json["previous"]["replaced_by"] == rolled.json["id"]
    assert row(old.id).expires_at == start + timedelta(hours=2)
    lives = row(rolled.json["id"]).expires_at
    assert lives is not None
    assert abs(lives - start - timedelta(days=90)) < timedelta(minutes=1), "as long a life as the old one's"
    for key in (secret, fresh):
        assert status(client, key) == 404, "both work meanwhile"
    with clock.frozen(start + timedelta(hours=2)):
        assert status(client, secret) == 401
        assert status(client, fresh) == 404
    [entry] = told("api_key.rolled")
    assert entry.data["after"]["replaced_by"] == rolled.json["id"]
    assert fresh not in str(entry.data)


def test_of_sixteen_who_roll_a_key_at_once_one_does(shop: Shop) -> None:
    old, _ = keys.create(shop.actor, "server", scopes=["intents:read"])
    before = len(keys.list_all(shop.actor))

    def roll(_: int) -> str:
        try:
            return keys.roll(shop.actor, old.id)[1]
        except Conflict as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        came = list(pool.map(roll, range(16)))
    assert came.count("key_rolled") == 15
    assert len(keys.list_all(shop.actor)) == before + 1


def test_what_cannot_be_rolled_is_not(client: FlaskClient, shop: Shop) -> None:
    narrow, _ = keys.create(shop.actor, "narrow", scopes=["intents:read"])
    for overlap in ("8d", "169h", "-1s", "soon", "", "1"):
        answer = client.post(f"{KEYS}/{narrow.id}/roll", json={"overlap": overlap}, headers=shop.bearer)
        assert (answer.status_code, (answer.json or {}).get("field")) == (400, "overlap"), overlap
    other = make("Another shop")
    live, _ = keys.create(shop.actor, "live", mode="live")
    for headers, key_id in ((other.bearer, narrow.id), (shop.bearer, live.id), (shop.bearer, "key_none")):
        assert client.post(f"{KEYS}/{key_id}/roll", json={}, headers=headers).status_code == 404
    roles.create(shop.operator, "key_maker", ["api_keys.manage", "intents:read"])
    maker = acting(person(shop, "key_maker", "maker"))
    powerful, _ = keys.create(shop.actor, "powerful")
    with pytest.raises(PermissionDenied):
        keys.roll(maker, powerful.id)
    with pytest.raises(PermissionDenied):
        key_owners.take_over(maker, powerful.id)
    fresh, own, _ = keys.roll(maker, narrow.id)
    assert fresh.created_by == maker.id
    assert keys.authenticate(own).permissions == {"intents:read"}, "by a role of the merchant's own"
    with pytest.raises(PermissionDenied):
        keys.create(maker, "more")
    ended, secret = keys.create(shop.actor, "now", scopes=["intents:read"])
    keys.roll(shop.actor, ended.id, overlap_seconds=0)
    assert status(client, secret) == 401
    keys.revoke(shop.actor, powerful.id)
    with pytest.raises(Conflict) as refused:
        keys.roll(shop.actor, powerful.id)
    assert refused.value.code == "key_not_active"


def test_a_key_does_no_more_than_its_maker_may_do_now(client: FlaskClient, shop: Shop) -> None:
    person(shop, "payments_admin", "owner")
    maker = person(shop, "payments_admin", "maker")
    _, wide = keys.create(acting(maker), "wide")
    _, narrow = keys.create(acting(maker), "narrow", scopes=["intents:read", "refunds:create"])
    token = tokens.mint_jwt(keys.authenticate(wide))
    refund = {"payment_intent_id": "pi_none"}

    def refunds(credential: str) -> int:
        headers = bearer(credential) | {"Idempotency-Key": "k"}
        return client.post("/v1/payments/refunds", json=refund, headers=headers).status_code

    assert [refunds(credential) for credential in (wide, narrow, token)] == [404, 404, 404]
    live = acting(next(u for u in _people(shop) if u.email.startswith("owner")), "live")
    roles.assign(live, "read_only", maker.id)
    assert [refunds(credential) for credential in (wide, narrow, token)] == [403, 403, 403]
    assert [status(client, credential) for credential in (wide, narrow, token)] == [404, 404, 404]
    assert keys.authenticate(wide).permissions == ROLES["read_only"]
    listed = client.get(KEYS, headers=shop.bearer).json
    assert listed is not None
    found = {item["name"]: item for item in listed["data"]}
    assert found["narrow"]["scopes"] == ["intents:read", "refunds:create"]
    assert found["narrow"]["effective_scopes"] == ["intents:read"]
    assert found["tests"]["effective_scopes"] == ["*"], "an operator's key is cut by nobody's rights"
    owner = next(u for u in _people(shop) if u.email.startswith("owner"))
    taken = client.post(
        f"{KEYS}/{found['narrow']['id']}/take-over", headers=bearer(tokens.mint_jwt(acting(owner)))
    )
    assert taken.json is not None
    assert (taken.status_code, taken.json["created_by"]) == (200, owner.id)
    assert [refunds(credential) for credential in (wide, narrow)] == [403, 404]
    [entry] = told("api_key.handed_over")
    assert (entry.data["before"], entry.actor_id) == ({"created_by": maker.id}, owner.id)
    machine = client.post(f"{KEYS}/{found['wide']['id']}/take-over", headers=shop.bearer)
    assert machine.status_code == 401, "a key answers for none"


def test_rights_are_cut_to_what_both_hold() -> None:
    assert cut(["*"], ["intents:read", "team.manage"]) == {"intents:read", "team.manage"}
    assert cut(["intents:read"], ["*"]) == {"intents:read"}
    assert cut(["*"], ["*"]) == {"*"}
    assert cut(["intents:read", "refunds:create"], ["intents:*", "team.manage"]) == {"intents:read"}
    assert cut(["intents:read"], []) == frozenset()


def test_whoever_leaves_takes_no_key_along(client: FlaskClient, shop: Shop) -> None:
    owner, leaver = person(shop, "payments_admin", "owner"), person(shop, "payments_admin", "leaver")
    key, secret = keys.create(acting(leaver), "server")
    _, front = keys.create(acting(leaver), "front", kind="pk")
    live, live_secret = keys.create(acting(leaver, "live"), "live server")
    with pytest.raises(Conflict) as refused:
        team.disable(acting(owner), leaver.id)
    assert refused.value.code == "keys_remain"
    assert users.get(leaver.id)[0].disabled_at is None, "nothing was changed"
    with pytest.raises(NotFound):
        team.disable(acting(owner), leaver.id, keys_to="usr_none")
    team.disable(acting(owner), leaver.id, keys_to=owner.id)
    for held in (secret, live_secret):
        assert keys.authenticate(held).permissions == {"*"}
    assert {row(key.id).created_by, row(live.id).created_by} == {owner.id}
    assert status(client, front, "/v1/checkout/payment-methods") == 200, "it has no rights to take along"
    team.disable(acting(owner), leaver.id)
    assert len(told("user.disabled")) == 1
    with pytest.raises(Conflict) as last:
        team.disable(acting(owner), owner.id, revoke_keys=True)
    assert last.value.code == "last_admin"
    assert keys.authenticate(secret).id == key.id
    team.enable(acting(owner), leaver.id)
    team.disable(acting(leaver), owner.id, revoke_keys=True)
    for held in (secret, live_secret):
        with pytest.raises(Unauthenticated):
            keys.authenticate(held)
    reader = person(shop, "read_only", "reader")
    for refuse in (team.disable, team.enable):
        with pytest.raises(PermissionDenied):
            refuse(acting(reader), leaver.id)


def test_without_an_answerable_person_a_key_is_refused(client: FlaskClient, shop: Shop) -> None:
    """However the person came to be disabled: the key is looked up with them, on each request."""
    maker = person(shop, "payments_admin", "maker")
    _, secret = keys.create(acting(maker), "server")
    token = tokens.mint_jwt(keys.authenticate(secret))
    assert status(client, secret) == 404
    _elsewhere("UPDATE users SET disabled_at = created_at WHERE id = :id", id=maker.id)
    assert status(client, secret) == 401
    assert status(client, token) == 401


def test_what_another_process_revokes_is_refused_on_the_next_request(client: FlaskClient, shop: Shop) -> None:
    key, secret = keys.create(shop.actor, "server")
    token = tokens.mint_jwt(keys.authenticate(secret))
    assert [status(client, held) for held in (secret, token)] == [404, 404]
    _elsewhere("UPDATE api_keys SET revoked_at = created_at WHERE id = :id", id=key.id)
    assert [status(client, held) for held in (secret, token)] == [401, 401]


def test_keys_made_with_a_key_end_with_it(shop: Shop) -> None:
    parent, secret = keys.create(shop.actor, "parent", expires_in_seconds=86_400)
    actor = keys.authenticate(secret)
    child, child_secret = keys.create(actor, "child", expires_in_seconds=30 * 86_400)
    grandchild, grandchild_secret = keys.create(keys.authenticate(child_secret), "grandchild")
    assert (child.made_with, child.expires_at) == (parent.id, parent.expires_at), "none outlives its maker"
    assert grandchild.expires_at == parent.expires_at
    fresh, fresh_secret, _ = keys.roll(shop.actor, parent.id, overlap_seconds=60)
    assert row(child.id).made_with == fresh.id, "a roll is no reason to end them"
    keys.revoke(shop.actor, parent.id)
    for held in (fresh_secret, child_secret, grandchild_secret):
        assert keys.authenticate(held).tenant_id == shop.actor.tenant_id
    assert keys.made_with(shop.actor, fresh.id) == 2
    keys.revoke(shop.actor, fresh.id)
    for held in (fresh_secret, child_secret, grandchild_secret):
        with pytest.raises(Unauthenticated):
            keys.authenticate(held)
    assert {entry.data["after"].get("with") for entry in told("api_key.revoked")} == {None, fresh.id}


def alive(*secrets: str) -> list[bool]:
    found = []
    for secret in secrets:
        try:
            found.append(bool(keys.authenticate(secret)))
        except Unauthenticated:
            found.append(False)
    return found


def test_a_secret_that_a_key_got_by_rolling_ends_with_that_key(shop: Shop) -> None:
    leaked, leaked_secret = keys.create(shop.actor, "leaked")
    thief = keys.authenticate(leaked_secret)
    parent, parent_secret = keys.create(shop.actor, "parent")
    victim, victim_secret = keys.create(keys.authenticate(parent_secret), "victim")
    taken, taken_secret, _ = keys.roll(thief, victim.id)
    again, again_secret, _ = keys.roll(thief, leaked.id)
    _, below = keys.create(keys.authenticate(again_secret), "made with what was rolled")
    assert (row(taken.id).made_with, row(again.id).made_with) == (again.id, leaked.id)
    assert keys.made_with(shop.actor, leaked.id) == 3
    assert keys.made_with(shop.actor, parent.id) == 2, "what took its key's place ends with it as well"
    keys.revoke(shop.actor, leaked.id)
    assert alive(leaked_secret, taken_secret, again_secret, below) == [False] * 4
    assert alive(parent_secret, victim_secret) == [True, True]


def test_a_key_that_rolled_itself_may_end_the_old_one(shop: Shop) -> None:
    old, secret = keys.create(shop.actor, "server")
    _, below = keys.create(keys.authenticate(secret), "below")
    fresh, fresh_secret, _ = keys.roll(keys.authenticate(secret), old.id)
    keys.revoke(keys.authenticate(fresh_secret), old.id)
    assert alive(secret, fresh_secret, below) == [False, True, True]
    assert keys.made_with(shop.actor, old.id) == 2
    keys.revoke(shop.actor, old.id)  # anybody else means all that came of it, also afterwards
    assert alive(fresh_secret, below) == [False, False]
    assert row(fresh.id).revoked_at is not None


def test_a_key_that_is_revoked_while_it_makes_others_leaves_none(shop: Shop) -> None:
    parent, secret = keys.create(shop.actor, "parent")
    actor = keys.authenticate(secret)

    def work(number: int) -> str | None:
        try:
            if number == 8:
                keys.revoke(shop.actor, parent.id)
                return None
            return keys.create(actor, f"child {number}")[1]
        except DomainError:
            return None

    with ThreadPoolExecutor(16) as pool:
        made = [held for held in pool.map(work, range(16)) if held is not None]
    for held in made:
        with pytest.raises(Unauthenticated):
            keys.authenticate(held)


def test_a_publishable_key_opens_three_doors(client: FlaskClient, shop: Shop) -> None:
    """It makes sessions and lists methods (OP-07), and makes tokens, which give no right (docs/adr/0010)."""
    policies = [policy for surface in SURFACES for policy in surface.policies]
    doors = {policy.contract_id for policy in policies if ActorKind.PUBLISHABLE_KEY in policy.auth}
    assert doors == {"CK-001", "CK-030", "OP-37"}
    _, front = keys.create(shop.actor, "front", kind="pk")
    assert keys.authenticate(front).permissions == frozenset()
    answer = client.post("/v1/auth/token", json={"grant_type": "client_credentials", "client_secret": front})
    assert answer.status_code == 401
    refused: dict[str, Any] = {}
    for policy in policies:
        if policy.contract_id in doors or not policy.auth or policy.surface.key_header != "Authorization":
            continue
        path = policy.surface.prefix + policy.path.replace("{", "").replace("}", "")
        answer = client.open(path, method=policy.method, headers=bearer(front), json={})
        refused[policy.route] = answer.status_code
    assert len(refused) > 100
    assert {route: code for route, code in refused.items() if code not in (401, 403)} == {}


def _people(shop: Shop) -> list[User]:
    with reading() as db:
        return list(db.scalars(select(User).where(User.tenant_id == shop.actor.tenant_id)))


def _elsewhere(statement: str, **values: str) -> None:
    """Change something as another process would, on a connection of its own."""
    engine = create_engine(settings.current().database)
    with engine.begin() as connection:
        assert connection.execute(text(statement), values).rowcount == 1
    engine.dispose()
