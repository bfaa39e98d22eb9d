"""The commands of an operator: what they print, and what they change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import settings
from app.api import SURFACES
from app.db import reading, transaction
from app.domain.errors import Unauthenticated
from app.models.access.tenant import Tenant
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry
from app.models.ledger import ledger_guard
from app.models.ledger.posting import Posting
from app.services.access import keys, tokens, totp, users
from app.services.checkout import links
from app.services.checkout.link_terms import LinkDraft
from app.services.events import audit, deliveries, webhooks
from app.services.operations import inbound_secrets
from app.web.openapi import document
from tests.desk import at
from tests.shops import Shop

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a long enough secret"


def run(app: Flask, *arguments: str, code: int = 0, typed: str | None = None) -> str:
    result = app.test_cli_runner().invoke(args=list(arguments), input=typed)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), "no traceback for people"
    return result.output


def test_a_key_is_made_listed_and_revoked(app: Flask, shop: Shop) -> None:
    slug = shop.actor.tenant.slug
    plaintext = run(app, "keys", "create", slug, "ops").strip()
    actor = keys.authenticate(plaintext)
    assert actor.tenant_id == shop.actor.tenant_id
    listed = run(app, "keys", "list", slug)
    assert plaintext not in listed
    assert f"{actor.id}  sk_test_…{plaintext[-4:]}  active    ops" in listed
    assert run(app, "keys", "revoke", slug, actor.id).startswith("revoked at ")
    assert "revoked   ops" in run(app, "keys", "list", slug)
    with pytest.raises(Unauthenticated):
        keys.authenticate(plaintext)


def test_a_merchant_from_before_a_kind_of_secret_gets_one(app: Flask, shop: Shop) -> None:
    slug = shop.actor.tenant.slug
    with transaction() as db:
        tenant = db.get_one(Tenant, shop.actor.tenant_id)
        tenant.inbound_secrets = {
            name: kept for name, kept in tenant.inbound_secrets.items() if name != "kyc"
        }
    assert inbound_secrets.find(shop.actor.tenant_id, "kyc") is None
    made = run(app, "keys", "inbound", slug, "kyc").strip()
    assert made == run(app, "keys", "inbound", slug, "kyc").strip()
    assert made == inbound_secrets.find(shop.actor.tenant_id, "kyc")
    fraud = run(app, "keys", "inbound", slug, "fraud").strip()
    assert fraud == inbound_secrets.find(shop.actor.tenant_id, "fraud") != made
    run(app, "keys", "inbound", slug, "nobody", code=2)


def test_live_keys_and_publishable_ones_say_so(app: Flask, shop: Shop) -> None:
    slug = shop.actor.tenant.slug
    made = run(app, "keys", "create", slug, "front", "--mode", "live", "--kind", "pk").strip()
    assert made.startswith("pk_live_")
    assert str(keys.authenticate(made).mode) == "live"


def test_what_is_wrong_is_told_in_a_line(app: Flask, shop: Shop) -> None:
    slug = shop.actor.tenant.slug
    assert run(app, "keys", "create", "nobody", "ops", code=1) == "Error: no merchant nobody\n"
    assert run(app, "keys", "revoke", slug, "key_none", code=1) == "Error: API key not found\n"
    assert run(app, "keys", "create", slug, " ", code=1) == "Error: Enter a name\n"
    weak = run(app, "users", "create", slug, "a@shop.test", "--password", "short", code=1)
    assert "12 to 128" in weak
    assert users.by_email("a@shop.test") is None
    assert run(app, "users", "token", "a@shop.test", code=1) == "Error: no such user\n"


def test_a_person_is_added_gets_a_token_and_loses_the_second_factor(app: Flask, shop: Shop) -> None:
    slug = shop.actor.tenant.slug
    made = run(app, "users", "create", slug, "A@shop.test", "--role", "read_only", typed=f"{PASSWORD}\n" * 2)
    assert PASSWORD not in made
    user = users.by_email("a@shop.test")
    assert user is not None
    assert made.strip().endswith(user.id)
    taken = run(app, "users", "create", slug, "a@shop.test", "--password", PASSWORD, code=1)
    assert taken == "Error: this address is taken\n"
    actor = tokens.authenticate(run(app, "users", "token", "a@shop.test").strip())
    assert (actor.id, actor.can("checkout:read"), actor.can("checkout:write")) == (user.id, True, False)
    totp.begin(user.id)
    totp.enable_without_code(user.id)
    run(app, "users", "reset-mfa", "a@shop.test")
    again = users.by_email("a@shop.test")
    assert again is not None
    assert not again.totp_enabled


def test_a_person_leaves_and_hands_their_keys_over(app: Flask, shop: Shop) -> None:
    tenant_id, slug = shop.actor.tenant_id, shop.actor.tenant.slug
    made = [users.create(tenant_id, f"{name}@shop.test", name, "admin", PASSWORD) for name in "ab"]
    key, secret = keys.create(tokens.person(made[0].id, "test"), "server")
    first = run(app, "keys", "roll", slug, key.id, "--hours", "0").strip()
    with pytest.raises(Unauthenticated):
        keys.authenticate(secret)
    assert keys.authenticate(first).permissions == {"*"}
    _, held = keys.create(tokens.person(made[0].id, "live"), "live server")
    assert "answer for keys" in run(app, "users", "disable", "a@shop.test", code=1)
    assert keys.authenticate(held).label == "live server"
    run(app, "users", "disable", "a@shop.test", "--keys-to", "b@shop.test")
    assert keys.authenticate(held).created_by == made[1].id
    with pytest.raises(Unauthenticated):
        tokens.person(made[0].id, "test")
    run(app, "users", "enable", "a@shop.test")
    run(app, "users", "password", "a@shop.test", typed="quite another one\n" * 2)
    assert users.check_password("a@shop.test", "quite another one", "192.0.2.1").user_id == made[0].id
    run(app, "users", "disable", "b@shop.test", "--revoke-keys")
    with pytest.raises(Unauthenticated):
        keys.authenticate(held)
    acting = run(app, "users", "token", "a@shop.test", "--act", "ada").strip()
    assert tokens.authenticate(acting).on_behalf_of == "ada"
    own = run(app, "users", "token", "a@shop.test").strip()
    assert tokens.authenticate(own).on_behalf_of is None
    with reading() as db:
        told = db.scalars(select(JournalEntry).where(JournalEntry.type == "user.token_handed_out")).one()
    assert (told.entity_id, told.data["after"]["operator"][:4]) == (made[0].id, "cli:")
    run(app, "users", "end-tokens", slug)
    with pytest.raises(Unauthenticated):
        tokens.authenticate(acting)


def test_a_merchant_is_switched_off_and_on_again(app: Flask, shop: Shop) -> None:
    slug, client = shop.actor.tenant.slug, app.test_client()
    user = users.create(shop.actor.tenant_id, "a@shop.test", "A", "payments_admin", PASSWORD)
    wanted = {"grant_type": "client_credentials", "client_secret": shop.secret}
    session, link = shop.session(), links.create(shop.actor, LinkDraft("Tea", "GBP", amount=500))
    person = tokens.mint_jwt(tokens.person(user.id, "test"))
    browser = at(app, shop, user=user)
    held = (
        shop.secret,
        person,
        tokens.client_token(session),
        tokens.mint_jwt(keys.authenticate(shop.secret)),
    )
    path = f"/v1/checkout/sessions/{session.id}"

    def seen() -> set[int]:
        answers = [client.get(path, headers={"Authorization": f"Bearer {token}"}) for token in held]
        pages = (f"/pay/{session.hosted_id}", f"/l/{link.slug}", f"/api/v1/links/{link.slug}")
        answers += [client.get(page) for page in pages]
        answers.append(client.post("/v1/auth/token", json=wanted))
        answers.append(browser.get("/payments"))
        return {answer.status_code for answer in answers}

    assert seen() == {200}
    run(app, "tenants", "suspend", slug, "--reason", "fraud")
    assert seen() == {403}
    assert b"This shop takes no payments at the moment." in client.get(f"/pay/{session.hosted_id}").data
    assert client.get(path, headers=shop.bearer).get_json()["code"] == "tenant_suspended"
    run(app, "tenants", "suspend", slug)
    with reading() as db:
        [told] = db.scalars(select(JournalEntry).where(JournalEntry.type == "tenant.suspended"))
    assert told.data["after"]["reason"] == "fraud"
    run(app, "tenants", "resume", slug)
    assert seen() == {200}


def test_the_openapi_document_is_printed(app: Flask) -> None:
    assert json.loads(run(app, "openapi")) == json.loads(json.dumps(document(SURFACES)))


def test_the_diagrams_in_docs_are_those_of_the_tables(app: Flask, tmp_path: Path) -> None:
    run(app, "diagrams", "--folder", str(tmp_path / "drawn"))
    drawn = {path.name: path.read_text() for path in (tmp_path / "drawn").iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / "docs" / "diagrams").glob("*.md")}
    assert drawn == kept, "run `flask diagrams`"


def test_the_doctor_finds_what_does_not_hold(app: Flask, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    assert run(app, "doctor") == "Everything holds.\n"
    with transaction() as db:
        ledger_guard.remove(db.connection())
        db.execute(update(Posting).where(Posting.line == 0).values(amount=Posting.amount + 1))
    found = run(app, "doctor", code=1)
    assert "ledger_balances" in found
    assert "1 GBP" in found


def test_upgrading_twice_changes_nothing(app: Flask) -> None:
    assert settings.current().env == "test"
    run(app, "db", "upgrade")
    run(app, "db", "upgrade")


def test_one_delivery_or_a_span_of_events_is_sent_again(app: Flask, shop: Shop) -> None:
    slug = shop.actor.tenant.slug
    events = ["payment.succeeded", "checkout.completed"]
    first, _ = webhooks.create(shop.actor, "https://shop.test/a", events)
    second, _ = webhooks.create(shop.actor, "https://shop.test/b", events[:1])
    shop.pay(shop.session())
    audit.seal()
    with transaction() as db:
        db.execute(update(Delivery).values(status="exhausted"))

    def waiting() -> int:
        return len(deliveries.list_page(shop.actor, statuses=("pending",)).data)

    span = ("webhooks", "replay", slug, "--since", "2020-01-01")
    counted = run(app, *span, "--dry-run")
    lines = {line.split()[0]: line.split()[1] for line in counted.splitlines()}
    assert lines == {first.id: "2", second.id: "1"}
    assert waiting() == 0
    run(app, *span, "--until", "2020-01-02T00:00:00Z")
    run(app, *span, "--mode", "live")
    assert waiting() == 0
    only = run(app, *span, "--endpoint", first.id, "--event", "checkout.completed")
    assert only.split()[:2] == [first.id, "1"] and waiting() == 1
    assert run(app, *span).count(" 1  ") == 2 and waiting() == 3
    [last, *_] = deliveries.list_page(shop.actor).data
    made = run(app, "webhooks", "replay", slug, last.id).strip()
    assert deliveries.get(shop.actor, made)[0].replay_of == last.id
    for wrong in (("--endpoint", "whk_none"), ("--event", "x.y"), ("--until", "2019-01-01")):
        assert run(app, *span, *wrong, code=1).startswith("Error: ")
    assert "Delivery not found" in run(app, "webhooks", "replay", slug, "dlv_none", code=1)
    run(app, "webhooks", "replay", slug, code=2)
