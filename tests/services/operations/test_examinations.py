"""The nightly examination and the attestation that rests on it (PY-075)."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text

from app import settings
from app.db import transaction
from app.kit import clock
from app.models.events.journal_guard import install, remove
from app.services.access import attestations, keys, users
from app.services.events import audit, webhooks
from app.services.operations import examinations, jobs
from app.worker import queue
from tests.shops import Shop, later

PATH = "/v1/payments/pci/attestation"


def facts(client: FlaskClient, shop: Shop) -> dict[str, Any]:
    answer = client.get(PATH, headers=shop.bearer)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json
    return found


def examine() -> None:
    assert examinations.enqueue_due() == 1
    for job_id in jobs.due():
        queue.run_job(job_id)


def test_before_the_first_examination_nothing_is_claimed(client: FlaskClient, shop: Shop) -> None:
    found = facts(client, shop)
    assert (found["standard"], found["questionnaire"], found["merchant"]) == (
        "PCI DSS 4.0.1",
        "A",
        "Test shop",
    )
    assert (found["card_data"]["numbers_stored"], found["card_data"]["last_scan_at"]) == (None, None)
    assert found["audit"]["chain_verified_at"] is None


def test_after_sales_no_number_is_stored(client: FlaskClient, shop: Shop) -> None:
    shop.pay(shop.session())
    audit.seal()
    examine()
    found = facts(client, shop)
    assert (found["card_data"]["numbers_stored"], found["card_data"]["findings"]) == (False, {})
    assert found["card_data"]["cells_scanned"] > 100
    assert found["audit"]["chain_problems"] == []
    assert found["audit"]["chain_verified_at"] is not None
    assert found["audit"]["append_only"] is True
    assert found["audit"]["entries"] > 0
    assert re.fullmatch("[0-9a-f]{64}", found["audit"]["head_hash"])
    assert examinations.enqueue_due() == 0, "once a day"
    with later(24 * 3600 + 60):
        assert examinations.enqueue_due() == 1


def test_a_number_that_got_in_is_found_and_not_repeated(client: FlaskClient, shop: Shop) -> None:
    shop.pay(shop.session())
    number = "4111111111111111"
    places = {
        "payment_intents.description": number,
        "payment_intents.metadata": json.dumps({"note": f"card {number}"}),
        "sandbox_payments.return_url": f"http://shop.test/?pan={number}",
    }
    with transaction() as db:
        for place, value in places.items():
            table, column = place.split(".")
            db.execute(text(f"UPDATE {table} SET {column} = :value"), {"value": value})
    examine()
    answer = client.get(PATH, headers=shop.bearer)
    assert answer.json is not None
    assert answer.json["card_data"]["findings"] == dict.fromkeys(places, 1)
    assert answer.json["card_data"]["numbers_stored"] is True
    assert number not in answer.text


def test_keys_in_use_and_their_rotation_are_told(client: FlaskClient, shop: Shop) -> None:
    webhooks.create(shop.actor, "https://shop.example/hook", ["payment.succeeded"])
    examine()
    before = facts(client, shop)["encryption"]
    assert [key["id"] for key in before["keys"]] == ["t1"]
    assert before["keys"][0]["cells"] >= 1
    assert (before["rotation_pending"], before["last_rotation_at"]) == (False, None)
    ring = "t2:" + "B" * 43 + "=,t1:" + "A" * 43 + "="
    at = clock.now() + timedelta(days=2)
    with clock.frozen(at):
        settings.use(settings.load(**{**settings.current().model_dump(), "encryption_keys": ring}))
        webhooks.create(shop.actor, "https://shop.example/hook2", ["payment.succeeded"])
        examine()
        after = facts(client, shop)["encryption"]
    found = {key["id"]: key for key in after["keys"]}
    assert (found["t1"]["encrypts"], found["t2"]["encrypts"]) == (False, True)
    assert found["t1"]["first_seen_at"] < found["t2"]["first_seen_at"] == clock.to_rfc3339(at)
    assert (after["rotation_pending"], after["last_rotation_at"]) == (True, clock.to_rfc3339(at))
    assert "A" * 20 not in str(after)


def test_the_inventory_is_that_of_the_page(client: FlaskClient, shop: Shop) -> None:
    page = client.get(f"/pay/{shop.session().hosted_id}").text
    on_the_page = {src.split("?")[0] for src in re.findall(r'<script[^>]*\ssrc="([^"]+)"', page)}
    scripts = facts(client, shop)["scripts"]
    assert on_the_page == {row["path"] for row in scripts["hosted_page"]}
    assert all(row["integrity"].startswith("sha384-") for row in scripts["hosted_page"])
    assert attestations.HOSTED_PAGE_SCRIPTS


def test_access_is_counted_and_the_guard_is_looked_for(client: FlaskClient, shop: Shop) -> None:
    users.create(shop.actor.tenant_id, "a@shop.test", "A", "read_only", "a long enough secret")
    keys.create(shop.actor, "ends", scopes=["intents:read"], expires_in_seconds=3600)
    found = facts(client, shop)["access"]
    assert (found["users"], found["users_with_second_factor"]) == (1, 0)
    assert (found["active_keys"], found["keys_without_expiry"]) == (2, 1)
    with transaction() as db:
        remove(db.connection())
    assert facts(client, shop)["audit"]["append_only"] is False
    with transaction() as db:
        install(db.connection())
    _, narrow = keys.create(shop.actor, "narrow", scopes=["intents:read"])
    assert client.get(PATH, headers={"Authorization": f"Bearer {narrow}"}).status_code == 403
