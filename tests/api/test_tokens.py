"""JWTs and the second factor of the API (OP-05, OP-08, security.md)."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import settings
from app.db import reading, transaction
from app.domain.errors import DomainError
from app.kit import clock
from app.models.access.tenant import Tenant
from app.models.access.user import User
from app.models.events.journal import JournalEntry
from app.services.access import challenges, keys, tokens, totp, users
from app.services.operations import rate_limits
from tests.shops import Shop, later

EMAIL, PASSWORD = "owner@shop.test", "a long enough secret"
PAYMENT = {"amount": 10000, "currency": "USD", "reference": "order_123"}
READ = "/v1/checkout/sessions/chk_none"
LINE = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1500}
CART = {"cart_snapshot": {"currency": "GBP", "lines": [LINE]}}


@pytest.fixture
def owner(shop: Shop) -> User:
    """A person who may do everything."""
    return users.create(shop.actor.tenant_id, EMAIL, "Owner", "payments_admin", PASSWORD)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/v1/auth/token", json=body)


def person(client: FlaskClient, **more: Any) -> str:
    answer = ask(client, grant_type="password", username=EMAIL, password=PASSWORD, **more)
    assert answer.json is not None
    assert answer.status_code == 200, answer.json
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 600)
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.json["access_token"])


def machine(client: FlaskClient, secret: str) -> str:
    answer = ask(client, grant_type="client_credentials", client_secret=secret)
    assert answer.json is not None
    assert answer.status_code == 200
    return str(answer.json["access_token"])


def code(user: User, step: int = 0) -> str:
    secret = totp.secret_of(user.id)
    assert secret is not None
    return pyotp.TOTP(secret).at(clock.now() + timedelta(seconds=30 * step))


def test_a_token_opens_what_its_owner_may_open(client: FlaskClient, shop: Shop, owner: User) -> None:
    session = shop.session()
    for token in (person(client), machine(client, shop.secret)):
        answer = client.get(f"/v1/checkout/sessions/{session.id}", headers=bearer(token))
        assert answer.status_code == 200
        live = person(client, mode="live")
        assert client.get(f"/v1/checkout/sessions/{session.id}", headers=bearer(live)).status_code == 404


def test_a_token_ends_after_ten_minutes(client: FlaskClient, shop: Shop, owner: User) -> None:
    token = person(client)
    with later(595):
        assert client.get(READ, headers=bearer(token)).status_code == 404
    with later(601):
        assert client.get(READ, headers=bearer(token)).status_code == 401


def test_revoking_the_key_or_the_person_ends_the_token(client: FlaskClient, shop: Shop, owner: User) -> None:
    key, secret = keys.create(shop.actor, "machine")
    of_key, of_person = machine(client, secret), person(client)
    keys.revoke(shop.actor, key.id)
    assert client.get(READ, headers=bearer(of_key)).status_code == 401
    with later(2):
        users.set_password(owner.id, "another long secret")
        assert client.get(READ, headers=bearer(of_person)).status_code == 401
    with transaction() as db:
        found = db.get_one(User, owner.number)
        found.tokens_valid_after, found.disabled_at = None, clock.now()
    assert client.get(READ, headers=bearer(of_person)).status_code == 401


def test_a_role_is_looked_up_each_time(client: FlaskClient, shop: Shop, owner: User) -> None:
    token = person(client)
    body = {"amount": 1000, "currency": "GBP", "request_id": "r"}
    assert client.post("/v1/payments/intents", json=body, headers=bearer(token)).status_code == 201
    with transaction() as db:
        db.get_one(User, owner.number).role = "read_only"
    assert client.post("/v1/payments/intents", json=body, headers=bearer(token)).status_code == 403
    assert client.get(READ, headers=bearer(token)).status_code == 404


def _with(token: str, key: bytes | str, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    given = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    merged = {name: value for name, value in {**given, **claims}.items() if value is not None}
    return jwt.encode(merged, key, algorithm="HS256", headers={"kid": kid, **(headers or {})})


def test_a_forged_token_is_refused(client: FlaskClient, shop: Shop, owner: User) -> None:
    token, ours = person(client), tokens._jwt_key()
    head, body, _mac = token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    now = int(clock.now().timestamp())
    forged = {
        "no algorithm": f"{none}.{body}.",
        "no signature": f"{head}.{body}.",
        "another key": _with(token, b"x" * 32),
        "the cookie's key": _with(token, settings.current().signing_key),
        "another kid": _with(token, ours, {"kid": "00000000"}),
        "another audience": _with(token, ours, aud="other"),
        "another issuer": _with(token, ours, iss="https://evil.example"),
        "another tenant": _with(token, ours, tenant_id="ten_other"),
        "no identity": _with(token, ours, jti=None),
        "too long": _with(token, ours, exp=now + 3600),
        "from the future": _with(token, ours, iat=now + 60, exp=now + 500),
        "nobody": _with(token, ours, sub="usr_none"),
        "text for a time": _with(token, ours, exp="soon"),
        "HS512": jwt.encode(
            jwt.decode(token, options={"verify_signature": False}),
            ours,
            algorithm="HS512",
            headers={"kid": jwt.get_unverified_header(token)["kid"]},
        ),
    }
    assert client.get(READ, headers=bearer(_with(token, ours))).status_code == 404, (
        "the way of forging is right"
    )
    for name, bad in forged.items():
        assert client.get(READ, headers=bearer(bad)).status_code == 401, name
    assert client.get("/checkout-sessions", headers={"x-api-key": token}).status_code == 401


def test_what_is_wrong_with_an_ask_is_said(client: FlaskClient, shop: Shop, owner: User) -> None:
    _, publishable = keys.create(shop.actor, "front", kind="pk")
    for status, field, body in (
        (400, "grant_type", {}),
        (400, "client_secret", {"grant_type": "client_credentials"}),
        (400, "password", {"grant_type": "password", "username": EMAIL}),
        (401, None, {"grant_type": "client_credentials", "client_secret": "sk_test_x"}),
        (401, None, {"grant_type": "client_credentials", "client_secret": publishable}),
        (401, None, {"grant_type": "password", "username": EMAIL, "password": "wrong wrong wrong"}),
        (401, None, {"grant_type": "password", "username": "nobody@shop.test", "password": PASSWORD}),
    ):
        answer = ask(client, **body)
        assert answer.json is not None
        assert (answer.status_code, answer.json.get("field")) == (status, field), body


def test_guessing_passwords_is_slowed_down(client: FlaskClient, shop: Shop, owner: User) -> None:
    wrong = {"grant_type": "password", "username": EMAIL, "password": "wrong wrong wrong"}
    assert [ask(client, **wrong).status_code for _ in range(6)] == [401] * 5 + [429]


def test_an_enrolled_person_needs_a_code_which_works_once(
    client: FlaskClient, shop: Shop, owner: User
) -> None:
    totp.begin(owner.id)
    totp.enable_without_code(owner.id)
    asked = {"grant_type": "password", "username": EMAIL, "password": PASSWORD}
    missing = ask(client, **asked)
    assert missing.json is not None
    assert (missing.status_code, missing.json["code"]) == (401, "otp_required")
    for wrong in ("000000", "²²²²²²", "not a code"):
        assert ask(client, **asked, otp=wrong).status_code == 401
    good = code(owner)
    assert ask(client, **asked, otp=good).status_code == 200
    with later(61):  # the limit per address starts anew; the code of then is old
        assert ask(client, **asked, otp=good).status_code == 401


def pay(client: FlaskClient, headers: dict[str, str]) -> TestResponse:
    return client.post("/api/v1/checkout/sessions", json=PAYMENT, headers=headers)


def test_people_confirm_a_payment_keys_need_not_and_machine_tokens_cannot(
    client: FlaskClient, shop: Shop, owner: User
) -> None:
    assert pay(client, shop.bearer).status_code == 201
    refused = pay(client, bearer(machine(client, shop.secret)))
    assert refused.status_code == 401
    assert refused.json == {
        "error": "MFA required",
        "code": "MFA_CHALLENGE_REQUIRED",
        "action": "create-payment",
    }
    token = bearer(person(client))
    asked = pay(client, token).json
    assert asked is not None
    assert asked["enrollmentRequired"] is True

    seed = client.post("/api/v1/mfa/enroll", headers=token)
    assert seed.json is not None
    assert seed.status_code == 201
    assert seed.json["otpauthUri"].startswith("otpauth://totp/")
    answer = {"challengeId": asked["challengeId"], "code": pyotp.TOTP(seed.json["secret"]).at(clock.now())}
    confirmed = client.post("/api/v1/mfa/verify", json=answer, headers=token).json
    assert confirmed is not None
    assert len(confirmed["recoveryCodes"]) == 8
    allowed = {**token, "X-MFA-Token": confirmed["mfaToken"]}
    assert pay(client, allowed).status_code == 201
    assert pay(client, token).status_code == 401
    with later(301):
        assert pay(client, allowed).status_code == 401
    again = client.post("/api/v1/mfa/enroll", headers=token)
    assert again.json is not None
    assert (again.status_code, again.json["code"]) == (400, "MFA_ALREADY_ENROLLED")


def test_a_challenge_is_its_persons_own_and_worth_five_guesses(
    client: FlaskClient, shop: Shop, owner: User
) -> None:
    totp.begin(owner.id)
    totp.enable_without_code(owner.id)
    mine = bearer(tokens.mint_jwt(tokens.person(owner.id, "test")))
    second = users.create(shop.actor.tenant_id, "b@shop.test", "B", "admin", PASSWORD)
    theirs = bearer(tokens.mint_jwt(tokens.person(second.id, "test")))
    asked = pay(client, mine).json
    assert asked is not None
    assert "enrollmentRequired" not in asked

    def verify(headers: dict[str, str], digits: str, **body: str) -> TestResponse:
        given = {"challengeId": asked["challengeId"], "code": digits, **body}
        return client.post("/api/v1/mfa/verify", json=given, headers=headers)

    foreign = verify(theirs, code(owner)).json
    assert foreign is not None
    assert foreign["code"] == "INVALID_CHALLENGE"
    assert verify(mine, code(owner), challengeId="x.y").status_code == 400
    assert verify(shop.bearer, code(owner)).status_code == 401, "a key is nobody"
    assert [verify(mine, "000000").status_code for _ in range(5)] == [401] * 5
    killed = verify(mine, code(owner)).json
    assert killed is not None
    assert killed["code"] == "INVALID_CHALLENGE", "also by the right one, now"
    asked = pay(client, mine).json
    assert asked is not None
    assert verify(mine, code(owner)).status_code == 429, "a fresh challenge is no way round"
    rate_limits.forget("totp", owner.id)
    confirmed = verify(mine, code(owner)).json
    assert confirmed is not None
    assert pay(client, {**mine, "X-MFA-Token": confirmed["mfaToken"]}).status_code == 201
    stolen = {**theirs, "X-MFA-Token": confirmed["mfaToken"]}
    assert pay(client, stolen).status_code == 401, "a confirmation is its person's own"
    actor = tokens.person(owner.id, "test")
    assert challenges.confirmed(actor, "create-payment", confirmed["mfaToken"])
    assert not challenges.confirmed(actor, "refund", confirmed["mfaToken"]), "and its action's own"
    with later(31):
        repeated = verify(mine, code(owner)).json
    assert repeated is not None
    assert repeated["code"] == "INVALID_CHALLENGE", "a challenge is answered once"


def test_a_killed_challenge_stays_dead_when_the_person_succeeds_elsewhere(
    client: FlaskClient, shop: Shop, owner: User
) -> None:
    totp.begin(owner.id)
    totp.enable_without_code(owner.id)
    actor = tokens.person(owner.id, "test")
    asked = challenges.challenge(actor, "refund")["challengeId"]

    def guess(digits: str) -> str:
        try:
            challenges.answer(actor, asked, digits)
        except DomainError as refused:
            return refused.code
        return "confirmed"

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(guess, ["000000"] * 16))
    assert said.count("unauthenticated") <= 5
    assert set(said) <= {"unauthenticated", "invalid_challenge", "rate_limit_exceeded"}
    rate_limits.forget("totp", owner.id)
    assert guess(code(owner)) == "invalid_challenge"
    fresh = challenges.challenge(actor, "refund")["challengeId"]
    _, ends, _ = challenges.answer(actor, fresh, code(owner))
    assert 299 <= (ends - clock.now()).total_seconds() <= 301


def test_a_sign_in_is_renewed_and_ended_over_the_api(client: FlaskClient, shop: Shop, owner: User) -> None:
    first = ask(client, grant_type="password", username=EMAIL, password=PASSWORD).json
    assert first is not None
    assert first["refresh_token"].startswith("rt_")
    assert 1490 <= first["refresh_expires_in"] <= 1500
    second = ask(client, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second.json is not None
    assert (second.status_code, second.headers["Cache-Control"]) == (200, "no-store")
    assert client.get(READ, headers=bearer(second.json["access_token"])).status_code == 404
    raced = ask(client, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert raced.json is not None
    assert (raced.status_code, raced.json["code"]) == (409, "refresh_token_just_used")
    for unknown in ("rt_unknown", "eyJ.a.b", first["refresh_token"][:-1]):
        answer = client.post("/v1/auth/revoke", json={"token": unknown})
        assert (answer.status_code, answer.json) == (200, {"revoked": True}), "nothing is told"
    assert client.get(READ, headers=bearer(second.json["access_token"])).status_code == 404
    ended = client.post("/v1/auth/revoke", json={"token": second.json["refresh_token"]})
    assert (ended.status_code, ended.json) == (200, {"revoked": True})
    assert client.get(READ, headers=bearer(first["access_token"])).status_code == 401
    refused = ask(client, grant_type="refresh_token", refresh_token=second.json["refresh_token"])
    assert refused.json is not None
    assert (refused.status_code, refused.json["code"]) == (401, "invalid_grant")
    of_machine = ask(client, grant_type="client_credentials", client_secret=shop.secret).json
    assert of_machine is not None
    assert of_machine["refresh_token"] is None, "a machine has its key"
    kept = client.post("/v1/auth/revoke", json={"token": of_machine["access_token"]})
    assert kept.json is not None
    assert (kept.status_code, kept.json["code"]) == (400, "unsupported_token_type")
    assert ask(client, grant_type="refresh_token").status_code == 400


def test_who_acts_in_a_persons_name_is_in_the_audit_and_gets_no_further(
    client: FlaskClient, shop: Shop, owner: User
) -> None:
    acting = bearer(tokens.impersonate(owner.id, "test", "support:ada"))
    made = client.post("/v1/checkout/sessions", json=CART, headers=acting)
    assert made.status_code == 201
    with reading() as db:
        entries = db.scalars(select(JournalEntry).where(JournalEntry.actor_id == owner.id)).all()
    assert {entry.on_behalf_of for entry in entries} == {"support:ada"}
    assert {"user.impersonated", "checkout.created"} <= {entry.type for entry in entries}
    refused = pay(client, acting)
    assert (refused.status_code, (refused.json or {}).get("challengeId")) == (401, None)
    assert client.post("/api/v1/mfa/enroll", headers=acting).status_code == 403
    key = {"name": "left behind", "scopes": ["intents:read"]}
    assert client.post("/v1/payments/keys", json=key, headers=acting).status_code == 403
    own = client.post("/v1/checkout/sessions", json=CART, headers=bearer(person(client)))
    assert own.status_code == 201
    with reading() as db:
        last = db.scalars(
            select(JournalEntry)
            .where(JournalEntry.type == "checkout.created")
            .order_by(JournalEntry.id.desc())
            .limit(1)
        ).one()
    assert last.on_behalf_of is None


def test_where_everybody_needs_a_second_factor_the_api_wants_it_too(
    client: FlaskClient, shop: Shop, owner: User
) -> None:
    signed_in = ask(client, grant_type="password", username=EMAIL, password=PASSWORD).json
    assert signed_in is not None
    of_key = machine(client, shop.secret)
    with transaction() as db:
        tenant = db.get_one(Tenant, shop.actor.tenant_id)
        tenant.settings = {**tenant.settings, "require_second_factor": True}
    again = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
    for refused in (
        ask(client, grant_type="password", username=EMAIL, password=PASSWORD),
        ask(client, **again),
        client.get(READ, headers=bearer(signed_in["access_token"])),
    ):
        assert refused.json is not None
        assert (refused.status_code, refused.json["code"]) == (403, "second_factor_required")
    assert client.get(READ, headers=bearer(of_key)).status_code == 404, "a machine has none"
    totp.begin(owner.id)
    totp.enable(owner.id, code(owner))
    with later(60):
        token = person(client, otp=code(owner))
        assert client.get(READ, headers=bearer(token)).status_code == 404
