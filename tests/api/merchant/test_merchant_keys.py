"""MR-006 and MR-007 over HTTP: the secret once, one store for both surfaces, revoked at once."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading
from app.domain.permissions import KEYS_MANAGE
from app.models.access.api_key import ApiKey
from app.models.events.journal import JournalEntry
from app.services.access import roles
from app.services.operations.secrets_at_rest import hash_token
from tests import shops
from tests.shops import Shop, later
from tests.staff import Person, person

CREATE, REVOKE = "/api/keys:create", "/api/keys:revoke"

pytestmark = pytest.mark.usefixtures("unlimited")


@pytest.fixture
def owner(shop: Shop) -> Person:
    return person(shop)


def ask(client: FlaskClient, who: Person, url: str, body: Any, **headers: str) -> TestResponse:
    return client.post(url, json=body, headers={**who.confirming("api-keys"), **headers})


def works(client: FlaskClient, secret: str) -> bool:
    answer = client.get("/checkout-sessions", headers={"x-api-key": secret})
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def test_a_key_is_made_shown_once_and_stored_as_a_hash(
    client: FlaskClient, shop: Shop, owner: Person
) -> None:
    made = ask(client, owner, CREATE, {"name": "Production Server"})
    assert made.status_code == 201
    assert set(made.json) == {"id", "name", "prefix", "secret", "created_at"}
    assert (made.json["name"], made.json["prefix"]) == ("Production Server", "sk_live")
    assert made.json["secret"].startswith("sk_live_")
    assert str(uuid.UUID(made.json["id"])) == made.json["id"]
    assert made.json["created_at"].endswith("Z") and datetime.fromisoformat(made.json["created_at"])
    assert works(client, made.json["secret"])
    with reading() as db:
        row = db.scalars(select(ApiKey).where(ApiKey.public_id == made.json["id"])).one()
        told = db.scalars(select(JournalEntry).where(JournalEntry.type == "api_key.created")).all()
    assert (row.key_hash, row.created_by) == (hash_token(made.json["secret"]), owner.user.id)
    assert made.json["secret"] not in str([entry.data for entry in told])
    test = ask(client, owner, CREATE, {"name": "Try", "environment": "test"}).json
    assert (test["prefix"], test["secret"][:8]) == ("sk_test", "sk_test_")
    assert works(client, test["secret"])


def test_both_surfaces_show_the_same_keys(client: FlaskClient, shop: Shop, owner: Person) -> None:
    made = ask(client, owner, CREATE, {"name": "Till", "environment": "test"}).json
    shown = client.get("/v1/payments/keys", headers=owner.bearer).json["data"]
    [mine] = [key for key in shown if key["name"] == "Till"]
    assert made["secret"] not in str(shown)
    gone = ask(client, owner, REVOKE, {"keyId": mine["id"]})
    assert (gone.status_code, gone.json["success"]) == (200, True)
    assert not works(client, made["secret"])
    other = client.post(
        "/v1/payments/keys", json={"name": "B", "scopes": ["sessions:read"]}, headers=owner.bearer
    ).json
    assert works(client, other["key"])
    assert ask(client, owner, REVOKE, {"keyId": other["id"]}).status_code == 200
    assert not works(client, other["key"])


def test_a_key_is_revoked_at_once_and_for_good(client: FlaskClient, shop: Shop, owner: Person) -> None:
    made = ask(client, owner, CREATE, {"name": "Leaked"}).json  # live, while the token is for test mode
    first = ask(client, owner, REVOKE, {"keyId": made["id"]})
    assert first.status_code == 200
    assert set(first.json) == {"success", "revokedAt"}
    assert not works(client, made["secret"])
    with later(90):
        again = ask(client, owner, REVOKE, {"keyId": made["id"]})
    assert (again.status_code, again.json) == (200, first.json)
    with reading() as db:
        told = db.scalars(select(JournalEntry).where(JournalEntry.type == "api_key.revoked")).all()
    assert [entry.actor_id for entry in told] == [owner.user.id]


def test_a_repetition_does_not_show_the_secret_again(client: FlaskClient, shop: Shop, owner: Person) -> None:
    first, second = (ask(client, owner, CREATE, {"name": "A"}, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json == {**first.json, "secret": None}
    assert first.json["secret"]


def test_what_is_not_there_is_not_found(client: FlaskClient, shop: Shop, owner: Person) -> None:
    theirs = ask(client, person(shops.make("Other shop")), CREATE, {"name": "Theirs"}).json
    for name in (theirs["id"], "none"):
        answer = ask(client, owner, REVOKE, {"keyId": name})
        assert (answer.status_code, answer.json) == (
            404,
            {"error": "API key not found", "code": "RESOURCE_NOT_FOUND"},
        )
    assert works(client, theirs["secret"])


MISTAKES: list[Any] = [
    (CREATE, {}, "name is required", "MISSING_FIELD"),
    (CREATE, {"name": " "}, "Enter a name", "INVALID_REQUEST"),
    (CREATE, {"name": "A", "environment": "prod"}, None, "INVALID_FIELD"),
    (CREATE, {"name": "A", "scopes": ["*"]}, None, "INVALID_FIELD"),
    (REVOKE, {}, "keyId is required", "MISSING_FIELD"),
    (REVOKE, {"keyId": 7}, None, "INVALID_FIELD"),
]


def test_mistakes_are_400(client: FlaskClient, shop: Shop, owner: Person) -> None:
    for url, body, text, code in MISTAKES:
        answer = ask(client, owner, url, body)
        assert (answer.status_code, answer.json["code"]) == (400, code), body
        assert text is None or answer.json["error"] == text


def test_who_may_not(client: FlaskClient, shop: Shop, owner: Person) -> None:
    viewer = person(shop, "read_only")
    for url, body in ((CREATE, {"name": "A"}), (REVOKE, {"keyId": "x"})):
        forbidden = ask(client, viewer, url, body)
        assert (forbidden.status_code, forbidden.json) == (
            403,
            {"error": "Missing api_keys.manage permission", "code": "INSUFFICIENT_PERMISSIONS"},
        )
        asked = client.post(url, json=body, headers=owner.bearer)
        assert (asked.status_code, asked.json["code"]) == (401, "MFA_CHALLENGE_REQUIRED")
        assert asked.json["action"] == "api-keys"
        assert client.post(url, json=body, headers=shop.bearer).json == {
            "error": "Authentication required",
            "code": "UNAUTHENTICATED",
        }


def test_nobody_makes_a_key_that_may_do_more_than_they(client: FlaskClient, shop: Shop) -> None:
    roles.put(shop.operator, "locksmith", [KEYS_MANAGE, "sessions:read"], "", None)
    made = ask(client, person(shop, "locksmith"), CREATE, {"name": "A"})
    assert made.status_code == 201
    with reading() as db:
        row = db.scalars(select(ApiKey).where(ApiKey.public_id == made.json["id"])).one()
    assert row.scopes == ["sessions:read"]
    assert works(client, made.json["secret"])
    refused = client.post(
        "/checkout-sessions",
        json={"amount": 1, "currency_code": "USD", "title": "A", "customer_email": "a@example.com"},
        headers={"x-api-key": made.json["secret"]},
    )
    assert (refused.status_code, refused.json) == (
        403,
        {"statusCode": 403, "message": "Missing sessions:write permission"},
    )
