"""The audit log at the dashboard: what the filters find, an entry with its proof, the chain in parts."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import update

from app.dashboard import audit_log
from app.db import engine, reading
from app.domain.errors import InvalidRequest
from app.models.events import journal_guard
from app.models.events.journal import JournalEntry
from app.services.access import keys
from app.services.events import audit, inspection, webhooks
from app.services.events.inspection import Filters
from app.services.operations import settings
from tests import desk, shops
from tests.desk import Desk
from tests.shops import Shop

TABLE = re.compile(r'class="row-link" href="[^"]*/audit/(evt_\w+)">([\w.]+)<')


@pytest.fixture
def owner(app: Flask, shop: Shop) -> Desk:
    return desk.at(app, shop)


def found(at: Desk, **query: str) -> list[str]:
    return [kind for _, kind in TABLE.findall(at.get("/audit", **query).text)]


def test_entries_are_found_by_what_who_about_and_mode(owner: Desk, shop: Shop) -> None:
    owner.confirm("api-keys", "webhooks")
    owner.post("/keys", name="Server", kind="sk")
    settings.change(shop.actor, {"max_payment_attempts": 7})
    webhooks.create(shop.actor, "https://shop.test/hook", ["payment.succeeded"])
    live = desk.at(owner.client.application, shop, "admin")
    owner.post(f"/team/{live.user.id}/sign-out")
    assert found(owner, what="api_key.*") == ["api_key.created", "api_key.created"]
    assert found(owner, what="api_key.*", who=owner.user.id) == ["api_key.created"]
    assert found(owner, who=owner.user.id) == ["user.signed_out", "api_key.created"]
    assert found(owner, who=owner.user.id, modes="one") == ["api_key.created"]
    assert found(owner, what="settings.*", until="2001-01-01") == []
    assert found(owner, what="settings.*", since="2001-01-01") == ["settings.updated"]
    assert found(owner, what="settings.*", since="no day") == ["settings.updated"]
    key = next(item for item in keys.list_all(shop.actor) if item.name == "Server")
    assert found(owner, about=key.id) == ["api_key.created"]
    assert found(desk.at(owner.client.application, shops.make("Stranger")), about=key.id) == []


def test_both_modes_are_one_list_in_pages(shop: Shop) -> None:
    for number in range(3):
        for mode in ("test", "live"):
            keys.create(shop.actor, f"{mode} {number}", mode=mode)
    everything = inspection.search(shop.actor, Filters(both_modes=True), limit=100).data
    seen, cursor = [], None
    while True:
        page = inspection.search(shop.actor, Filters(both_modes=True), limit=2, cursor=cursor)
        seen += [item.entry.id for item in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [item.entry.id for item in everything] and len(seen) >= 7
    assert {item.entry.mode for item in everything} == {"test", "live"}
    instants = [item.entry.created_at for item in everything]
    assert instants == sorted(instants, reverse=True)
    with pytest.raises(InvalidRequest):
        inspection.search(shop.actor, Filters(), cursor="nonsense!")


def test_an_entry_shows_what_changed_and_its_proof(owner: Desk, shop: Shop) -> None:
    settings.change(shop.actor, {"max_payment_attempts": 7})
    audit.seal()
    [(entry_id, _)] = TABLE.findall(owner.get("/audit", what="settings.*").text)
    page = owner.get(f"/audit/{entry_id}").text
    assert "max_payment_attempts" in page and ">5<" in page and ">7<" in page
    assert "As it was written" in page
    with reading() as db:
        row = db.get(JournalEntry, entry_id)
    assert row is not None and row.hash in page
    stranger = desk.at(owner.client.application, shops.make("Stranger"))
    assert stranger.get(f"/audit/{entry_id}").status_code == 404
    assert owner.get("/audit/evt_none").status_code == 404


def test_the_chain_is_checked_in_parts_and_tells_what_was_altered(
    owner: Desk, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        keys.create(shop.actor, f"key {number}")
    audit.seal()
    monkeypatch.setattr(audit_log, "PART", 2)
    path, parts = "/dashboard/test/audit/chain", 0
    while True:
        page = owner.get(path).text
        parts += 1
        on = re.search(r'href="([^"]*/audit/chain\?after=\d+)"', page)
        if on is None:
            break
        assert "The chain holds" not in page
        path = on.group(1)
    assert parts > 2 and "The chain holds" in page
    tenant = shop.actor.tenant_id
    with reading() as db:
        victim = db.query(JournalEntry).filter_by(tenant_id=tenant, sequence=4).one()
    with engine().begin() as connection:
        journal_guard.remove(connection)
        altered = update(JournalEntry).where(JournalEntry.id == victim.id).values(actor_id="somebody")
        connection.execute(altered)
        journal_guard.install(connection)
    assert audit.verify_part(tenant, 0, 3).problems == []
    whole = audit.verify(tenant, batch=2)
    assert whole == audit.verify(tenant) and len(whole) == 1 and victim.id in whole[0]
    assert "was altered" in owner.get("/audit/chain", after="2").text
    assert "Not as it was written" in owner.get(f"/audit/{victim.id}").text
