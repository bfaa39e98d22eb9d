"""PY-084 to PY-086: parts that are really tried, what is in flight, and an audit that proves its entries."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.connectors import registry
from app.db import transaction
from app.kit import clock
from app.models.events.journal_guard import install, remove
from app.services.access import keys, tokens, users
from app.services.events import audit
from app.services.operations import health, jobs, probing
from app.services.payments import connectors, intents, methods, probes, refunds
from app.services.payments.connectors import ConnectorChange
from tests.accounts import account, takes_in_two_calls
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card, later, make
from tests.stripe_standin import StandIn

HEALTH, DIAGNOSTICS, AUDIT = (f"/v1/payments/{name}" for name in ("health", "diagnostics", "audit"))


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine under load is no fault of the parts."""
    monkeypatch.setattr(probing, "SECONDS", 30.0)


def get(client: FlaskClient, shop: Shop, path: str, **query: Any) -> Any:
    answer = client.get(path, query_string=query, headers=shop.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json


def pay(shop: Shop, number: str, mode: str = "auto") -> str:
    method = methods.tokenize_card(shop.actor, card(number))
    draft = intents.IntentDraft(1000, "GBP", capture_mode=mode, payment_method_id=method.id)
    made = intents.create(shop.actor, draft)
    intents.confirm(shop.actor, made.id, nonce="n1")
    return made.id


def states(found: Any) -> dict[str, str]:
    return {name: part["status"] for name, part in found["components"].items()}


def test_each_part_is_told_and_the_worst_is_the_whole(client: FlaskClient, shop: Shop) -> None:
    found = get(client, shop, HEALTH)
    assert states(found) == {
        "database": "ok",
        "gateways": "ok",
        "vault": "ok",
        "job_queue": "ok",
        "webhook_delivery": "ok",
        "reconciliation_worker": "down",
    }
    assert found["status"] == "down"
    health.beat("worker-1")
    found = get(client, shop, HEALTH)
    assert found["status"] == "ok"
    assert found["components"]["gateways"]["details"]["connectors"][0]["name"] == "sandbox"
    assert found["components"]["reconciliation_worker"]["details"]["last_seen_at"]


def test_late_and_dead_jobs_show(client: FlaskClient, shop: Shop) -> None:
    health.beat("worker-1")
    with transaction() as db:
        for name in ("a", "b"):
            jobs.enqueue(db, name, {}, tenant_id=shop.actor.tenant_id, mode="test", max_tries=1)
    first = jobs.claim(jobs.due()[0])
    assert first is not None
    jobs.fail(first, "broken")
    found = get(client, shop, HEALTH)["components"]["job_queue"]
    assert (found["status"], found["details"]["dead"]) == ("degraded", 1)
    with later(300):
        health.beat("worker-1")
        found = get(client, shop, HEALTH)["components"]["job_queue"]
        assert found["status"] == "degraded"
        assert found["details"]["lag_seconds"] >= 300


def test_a_gateway_that_hangs_or_breaks_is_down_and_the_rest_is_told(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.beat("worker-1")
    sandbox: Any = registry.get("sandbox")
    waited: list[float] = []

    release = threading.Event()

    def hangs(*_: Any) -> None:
        release.wait(30)

    def breaks(*_: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(probing, "SECONDS", 0.3)
    for broken in (hangs, breaks):
        monkeypatch.setattr(type(sandbox), "ping", broken)
        started = time.monotonic()
        found = get(client, shop, HEALTH)
        waited.append(time.monotonic() - started)
        assert states(found)["gateways"] == "down"
        assert "no route" not in str(found)
    release.set()
    assert waited[0] < 20, "nobody waits for what hangs"


def test_stripe_is_asked_and_not_guessed(client: FlaskClient, shop: Shop, standin: StandIn) -> None:
    made = account(shop.actor, 10, type_="stripe", secret_key="sk_test_of_this_shop")

    def stripe() -> str:
        connectors = get(client, shop, HEALTH)["components"]["gateways"]["details"]["connectors"]
        return next(str(row["status"]) for row in connectors if row["name"] == made.id)

    assert stripe() == "ok"
    standin.fail("GET .*", status=500, body=b"{}")
    assert stripe() == "down"
    standin.refused_keys.add("sk_test_of_this_shop")
    assert stripe() == "down"


def test_each_account_is_asked_over_its_own_credentials(client: FlaskClient, shop: Shop) -> None:
    up, down = account(shop.actor, 10), account(shop.actor, 20, availability="down")
    off = account(shop.actor, 30)
    connectors.change(shop.actor, off.id, ConnectorChange({}, status="disabled"))
    found = get(client, shop, HEALTH)["components"]["gateways"]
    assert found["status"] == "degraded"
    assert {(row["name"], row["type"], row["status"]) for row in found["details"]["connectors"]} == {
        (up.id, "sandbox", "ok"),
        (down.id, "sandbox", "down"),
    }


def test_one_of_two_gateways_is_enough_to_go_on() -> None:
    up, down = probing.Part(health.State.OK, 5), probing.Part(health.State.DOWN)
    assert probes.together({"a": up, "b": down}).state == "degraded"
    assert probes.together({"a": down, "b": down}).state == "down"
    assert probes.together({"a": up}).latency_ms == 5
    assert probes.together({}).state == "down", "nobody can pay"


def test_diagnostics_tell_what_is_there(client: FlaskClient, shop: Shop) -> None:
    pay(shop, NO_FUNDS)
    challenged, _, paid = pay(shop, CHALLENGED), pay(shop, GOOD, "manual"), pay(shop, GOOD)
    refunds.create(shop.actor, paid, 100)
    found = get(client, shop, DIAGNOSTICS)
    in_flight = {row["status"]: row["count"] for row in found["in_flight"]}
    assert in_flight == {"requires_action": 1, "requires_capture": 1}
    assert [row["intent_id"] for row in found["oldest_in_flight"]] == [challenged]
    assert found["failed_attempts"] == [{"connector": "sandbox", "code": "insufficient_funds", "count": 1}]
    [latency] = found["gateway_latencies"]
    assert (latency["connector"], latency["count"]) == ("sandbox", 2)
    assert 0 <= latency["average_ms"] <= latency["longest_ms"]
    own = account(shop.actor)
    pay(shop, GOOD)
    pay(shop, NO_FUNDS)
    apart = get(client, shop, DIAGNOSTICS)
    assert {(row["connector"], row["count"]) for row in apart["gateway_latencies"]} == {
        ("sandbox", 2),
        (own.id, 1),
    }
    assert {(row["connector"], row["count"]) for row in apart["failed_attempts"]} == {
        ("sandbox", 1),
        (own.id, 1),
    }
    [queued] = found["queued_refunds"]
    assert (queued["status"], queued["count"]) == ("pending", 1)
    other = get(client, make("Another shop"), DIAGNOSTICS)
    assert all(other[name] == [] for name in other)


def test_a_capture_without_an_answer_is_in_flight(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Approved, and nobody knows whether the money was taken: the very payment that diagnostics are for."""

    def broken(*_: Any) -> None:
        raise ConnectionResetError

    takes_in_two_calls(monkeypatch)
    monkeypatch.setattr(type(registry.get("sandbox")), "capture", broken)
    stuck = pay(shop, GOOD)
    found = get(client, shop, DIAGNOSTICS)
    assert [(row["status"], row["count"]) for row in found["in_flight"]] == [("authorized", 1)]
    assert [row["intent_id"] for row in found["oldest_in_flight"]] == [stuck]


def test_the_audit_is_found_by_actor_action_and_time(client: FlaskClient, shop: Shop) -> None:
    user = users.create(shop.actor.tenant_id, "a@shop.test", "A", "payments_admin", "a long enough secret")
    by_hand = tokens.person(user.id, "test")
    key, _ = keys.create(by_hand, "made by a person")
    keys.revoke(by_hand, key.id)
    pay(shop, GOOD)

    def actions(**query: Any) -> list[str]:
        return [row["action"] for row in get(client, shop, AUDIT, limit=100, **query)["data"]]

    assert actions(actor=user.id) == ["api_key.revoked", "api_key.created"]
    assert actions(action="api_key.revoked") == ["api_key.revoked"]
    assert set(actions(action="api_key.*")) == {"api_key.created", "api_key.revoked"}
    assert actions(action="api_key.*", actor=user.id) == ["api_key.revoked", "api_key.created"]
    assert "payment.succeeded" in actions()
    tomorrow = (clock.now() + timedelta(days=1)).date().isoformat()
    assert actions(**{"from": tomorrow}) == []
    assert len(actions(to=tomorrow)) == len(actions())
    [revoked] = get(client, shop, AUDIT, action="api_key.revoked")["data"]
    assert (revoked["actor"], revoked["actor_kind"], revoked["entity_id"]) == (user.id, "user", key.id)
    assert revoked["after"]["name"] == "made by a person"
    assert (revoked["sequence"], revoked["intact"]) == (None, None)


def test_pages_leave_nothing_out(client: FlaskClient, shop: Shop) -> None:
    for _ in range(3):
        pay(shop, GOOD)
    whole = [row["id"] for row in get(client, shop, AUDIT, limit=100)["data"]]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 7}
    while True:
        page = get(client, shop, AUDIT, **query)
        found += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert found == whole
    assert len(set(whole)) == len(whole)


def test_entries_are_proven_and_an_altered_one_shows(client: FlaskClient, shop: Shop) -> None:
    pay(shop, GOOD)
    audit.seal()
    rows = get(client, shop, AUDIT, limit=100)["data"]
    assert all(row["intact"] for row in rows)
    by_place = {row["sequence"]: row for row in rows}
    assert by_place[1]["previous_hash"] == audit.GENESIS
    assert by_place[2]["previous_hash"] == by_place[1]["hash"]
    victim = by_place[3]
    with transaction() as db:
        remove(db.connection())
        db.execute(text("UPDATE journal SET actor_id = 'somebody_else' WHERE id = :id"), {"id": victim["id"]})
        install(db.connection())
    altered = {row["id"]: row["intact"] for row in get(client, shop, AUDIT, limit=100)["data"]}
    assert [entry for entry, intact in altered.items() if not intact] == [victim["id"]]
    assert audit.verify(shop.actor.tenant_id) != []


def test_the_audit_is_the_admins_and_the_merchants_own(client: FlaskClient, shop: Shop) -> None:
    other = make("Another shop")
    theirs = get(client, other, AUDIT)["data"]
    assert theirs
    assert not {row["id"] for row in theirs} & {row["id"] for row in get(client, shop, AUDIT)["data"]}
    for role in ("reconciler", "read_only"):
        user = users.create(shop.actor.tenant_id, f"{role}@shop.test", role, role, "a long enough secret")
        headers = {"Authorization": f"Bearer {tokens.mint_jwt(tokens.person(user.id, 'test'))}"}
        assert client.get(AUDIT, headers=headers).status_code == 403
        wanted = 200 if role == "read_only" else 403
        assert client.get(HEALTH, headers=headers).status_code == wanted
    cursor = client.get(AUDIT, query_string={"cursor": "nonsense"}, headers=shop.bearer)
    foreign = client.get(AUDIT, query_string={"cursor": "cGlfMQ"}, headers=shop.bearer)
    assert cursor.status_code == foreign.status_code == 400
    assert client.get(AUDIT, query_string={"from": "yesterday"}, headers=shop.bearer).status_code == 400
