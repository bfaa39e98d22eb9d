"""Choosing systems: under a version, in the journal, with a secret for each that is shown once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app import settings as environment
from app.db import reading
from app.domain.actor import system_actor
from app.domain.errors import InvalidRequest, VersionConflict
from app.domain.rules.providers import url_of
from app.models.access.tenant import Tenant
from app.models.events.journal import JournalEntry
from app.services.access import tenants
from app.services.operations import encryption_rotation, inbound_secrets, provider_settings, settings
from tests.shops import Shop, make

TAX = {"tax": {"kind": "http", "url": "http://127.0.0.1:9000/tax"}}


def told(shop: Shop) -> list[JournalEntry]:
    mine = (JournalEntry.tenant_id == shop.actor.tenant_id, JournalEntry.entity == "settings")
    with reading() as db:
        return list(db.scalars(select(JournalEntry).where(*mine).order_by(JournalEntry.id)))


def test_a_choice_is_kept_told_and_has_its_secret(shop: Shop) -> None:
    made = provider_settings.choose(shop.actor, TAX)
    assert list(made) == ["tax"]
    assert [made["tax"]] == inbound_secrets.find_for(shop.actor.tenant_id, "tax", "test")
    assert provider_settings.read(shop.actor)["tax"] == TAX["tax"]
    assert provider_settings.read(shop.actor)["carts"] == {"kind": "builtin"}
    [entry] = told(shop)
    assert (entry.type, entry.data["after"]) == ("settings.updated", {"providers": TAX})
    assert made["tax"] not in str(entry.data)
    with reading() as db:
        tenant = db.get_one(Tenant, shop.actor.tenant_id)
        assert (tenant.settings_version, tenant.settings.get("providers")) == (2, None)
        assert made["tax"] not in str(tenant.inbound_secrets)


def test_choosing_again_keeps_the_secret_and_the_others(shop: Shop) -> None:
    first = provider_settings.choose(shop.actor, TAX)
    assert provider_settings.choose(shop.actor, TAX) == {}
    assert len(told(shop)) == 1, "what is equal already is no change"
    carts = {"carts": {"kind": "http", "url": "http://127.0.0.1:9000/carts"}}
    assert list(provider_settings.choose(shop.actor, carts)) == ["carts"]
    assert provider_settings.choose(shop.actor, {"tax": {"kind": "builtin"}}) == {}
    assert provider_settings.choose(shop.actor, TAX) == {}
    assert inbound_secrets.find_for(shop.actor.tenant_id, "tax", "test") == [first["tax"]]
    chosen = provider_settings.read(shop.actor)
    assert (chosen["tax"], chosen["carts"]) == (TAX["tax"], carts["carts"])
    assert settings.read(shop.actor)[0].default_capture_mode == "auto"


def test_what_a_test_key_chooses_reaches_no_live_mode_and_ends_with_a_choice_for_both(shop: Shop) -> None:
    mine, merchant = shop.actor.tenant_id, system_actor(tenants.profile(shop.actor.tenant_id, "live"), "live")
    provider_settings.choose(shop.actor, TAX)
    provider_settings.roll_secret(shop.actor, "tax")
    assert url_of(tenants.profile(mine, "test").settings, "tax") == TAX["tax"]["url"]
    assert url_of(tenants.profile(mine, "live").settings, "tax") is None
    assert inbound_secrets.find_for(mine, "tax", "live") == [], "its holder knows no secret of live mode"
    safe = {"carts": {"kind": "http", "url": "https://shop.example/carts"}}
    assert list(provider_settings.choose(merchant, safe)) == ["carts"]
    for mode in ("test", "live"):
        chosen = tenants.profile(mine, mode).settings["providers"]
        assert chosen == safe, "nothing of the test key's choice came along"
    assert inbound_secrets.find_for(mine, "tax", "test") == [], "nor its secrets, the rolled one neither"
    both = inbound_secrets.find_for(mine, "carts", "test")
    provider_settings.roll_secret(shop.actor, "carts")
    assert both[0] not in inbound_secrets.find_for(mine, "carts", "test")
    changes = len(told(shop))
    assert provider_settings.choose(merchant, safe) == {}
    assert (
        inbound_secrets.find_for(mine, "carts", "test")
        == both
        == inbound_secrets.find_for(mine, "carts", "live")
    )
    assert len(told(shop)) == changes + 1, "that a test key's secret has ended is told"


def test_a_stale_version_and_a_bad_choice_change_nothing(shop: Shop) -> None:
    with pytest.raises(VersionConflict):
        provider_settings.choose(shop.actor, TAX, expected=7)
    with pytest.raises(InvalidRequest):
        provider_settings.choose(shop.actor, {**TAX, "pricing": {"kind": "http", "url": "ftp://x"}})
    assert told(shop) == []
    assert inbound_secrets.find_for(shop.actor.tenant_id, "tax", "test") == []


def test_in_production_an_address_is_public_and_encrypted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = environment.current().model_copy(update={"env": "production", "allow_loopback_webhooks": False})
    monkeypatch.setattr(environment, "_current", live)
    for url in ("http://tax.example.com/", "https://127.0.0.1/"):
        with pytest.raises(InvalidRequest):
            provider_settings.choose(shop.actor, {"tax": {"kind": "http", "url": url}})


def test_a_rolled_secret_stands_before_the_old_one_and_both_are_re_encrypted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = provider_settings.choose(shop.actor, TAX)["tax"]
    new = provider_settings.roll_secret(shop.actor, "tax")
    mine = shop.actor.tenant_id
    assert inbound_secrets.find_for(mine, "tax", "test") == [new, old]
    assert told(shop)[-1].type == "provider_secret.rolled"
    assert inbound_secrets.find_for(make("Stranger").actor.tenant_id, "tax", "test") == []
    with pytest.raises(InvalidRequest):
        provider_settings.roll_secret(shop.actor, "weather")
    keys = "t2:" + "B" * 43 + "=,t1:" + "A" * 43 + "="
    both = environment.load(
        env="test",
        database_url=environment.current().database,
        data_dir=environment.current().data_dir,
        encryption_keys=keys,
        secret_key="a secret of the tests",
    )
    monkeypatch.setattr(environment, "_current", both)
    assert {count.unreadable for count in encryption_rotation.rotate()} == {0}
    assert inbound_secrets.find_for(mine, "tax", "test") == [new, old]
