"""API keys at the dashboard: scopes that are chosen, who answers for a key, what its page tells."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from app.services.access import keys, roles, tokens
from tests import desk, shops
from tests.desk import Desk
from tests.shops import Shop


@pytest.fixture
def owner(app: Flask, shop: Shop) -> Desk:
    made = desk.at(app, shop)
    made.confirm("api-keys")
    return made


def secret_of(page: str) -> str:
    found = re.search(r"[sp]k_test_\w{49}", page)
    assert found is not None
    return found.group()


def test_a_key_has_the_scopes_that_were_ticked_and_no_more(owner: Desk, shop: Shop) -> None:
    new = {"name": "Reports", "kind": "sk", "may": "some", "scopes": ["reports:read", "intents:read"]}
    secret = secret_of(owner.post("/keys", new).text)
    headers = {"Authorization": f"Bearer {secret}"}
    assert owner.client.get("/v1/payments/settings", headers=headers).status_code == 403
    key = next(item for item in keys.list_all(shop.actor) if item.name == "Reports")
    assert sorted(key.scopes) == ["intents:read", "reports:read"]
    page = owner.get(f"/keys/{key.id}").text
    assert "Payments: see" in page and "Reports: see" in page and secret not in page
    assert owner.user.name in page and f"/audit?about={key.id}" in page
    assert "2 scopes" in owner.get("/keys").text and owner.user.name in owner.get("/keys").text


def test_a_wrong_choice_makes_no_key(owner: Desk, shop: Shop) -> None:
    nothing = owner.post("/keys", name="x", kind="sk", may="some")
    assert nothing.status_code == 422 and "Tick at least one" in nothing.text
    unknown = owner.post("/keys", name="x", kind="sk", may="some", scopes=["all:read"])
    assert unknown.status_code == 422 and "No such scope" in unknown.text
    assert [key.name for key in keys.list_all(shop.actor)] == ["tests"]


def test_everything_is_what_its_maker_may(app: Flask, shop: Shop) -> None:
    roles.create(shop.operator, "locksmith", ["api_keys.manage", "intents:read"])
    maker = desk.at(app, shop, "locksmith")
    maker.confirm("api-keys")
    form = maker.get("/keys/new").text
    assert "intents:read" in form and "intents:write" not in form
    assert maker.post("/keys", name="Mine", kind="sk", may="all").status_code == 201
    key = next(item for item in keys.list_all(shop.actor) if item.name == "Mine")
    assert key.scopes == ["intents:read"]
    beyond = maker.post("/keys", name="More", kind="sk", may="some", scopes=["refunds:write"])
    assert beyond.status_code == 422 and "You do not hold refunds:write yourself" in beyond.text
    assert len(keys.list_all(shop.actor)) == 2


def test_a_page_tells_that_a_key_does_less_and_who_takes_its_place(
    app: Flask, owner: Desk, shop: Shop
) -> None:
    maker = desk.at(app, shop, "admin")
    key, _ = keys.create(tokens.person(maker.user.id, "test"), "Server")
    roles.assign(tokens.person(owner.user.id, "test"), "read_only", maker.user.id)
    assert "It does less than its scopes" in owner.get(f"/keys/{key.id}").text
    assert owner.post(f"/keys/{key.id}/take-over").status_code == 303
    assert "It does less" not in owner.get(f"/keys/{key.id}").text
    fresh, _, _ = keys.roll(shop.actor, key.id)
    assert f"/keys/{fresh.id}" in owner.get(f"/keys/{key.id}").text


def test_another_merchants_or_modes_key_is_not_there(owner: Desk, app: Flask) -> None:
    stranger = shops.make("Stranger")
    [theirs] = keys.list_all(stranger.actor)
    live, _ = keys.create(stranger.actor, "Live", mode="live")
    mine = desk.at(app, stranger)
    assert mine.get(f"/keys/{theirs.id}").status_code == 200
    assert mine.get(f"/keys/{live.id}").status_code == 404
    for path in ("", "/roll", "/revoke"):
        assert owner.get(f"/keys/{theirs.id}{path}").status_code == 404, path
    for path in ("/roll", "/revoke", "/take-over"):
        assert owner.post(f"/keys/{theirs.id}{path}").status_code == 404, path
    assert keys.authenticate(stranger.secret).tenant_id == stranger.actor.tenant_id
