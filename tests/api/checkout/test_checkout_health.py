"""CK-073, CK-074: each part is broken for real and shows it; what is in flight, quick or waits is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update

from app import db
from app.connectors import registry
from app.connectors.sandbox.connector import SandboxConnector
from app.db import transaction
from app.domain.errors import ServiceUnavailable
from app.kit import clock
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import SURFACES, CheckoutSession
from app.pages import checkout as pages
from app.providers.builtin import catalogue as builtin
from app.services.access import keys, tokens, users
from app.services.checkout import diagnostics, probes, reservations, sessions
from app.services.events import audit
from app.services.operations import health, jobs, probing, settings
from tests import old_checkouts
from tests.accounts import account
from tests.shops import CHALLENGED, GOOD, Shop, later, make
from tests.statements import counted

HEALTH, DIAGNOSTICS = "/v1/checkout/health", "/v1/checkout/diagnostics"
PARTS = ("payment_gateway", "inventory_worker", "calculation_queue", "webhook_delivery", "hosted_pages")


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine under load is no fault of the parts."""
    monkeypatch.setattr(probing, "SECONDS", 30.0)


def get(client: FlaskClient, shop: Shop, path: str = HEALTH) -> Any:
    answer = client.get(path, headers=shop.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json


def but(**changed: str) -> dict[str, str]:
    """Every part well, except these."""
    return dict.fromkeys(PARTS, "ok") | changed


def states(found: Any) -> dict[str, str]:
    assert {name: found["components"][name]["status"] for name in PARTS} == {n: found[n] for n in PARTS}
    return {name: found[name] for name in PARTS}


@pytest.fixture
def alive(shop: Shop) -> Shop:
    """The shop, and a worker that was seen just now."""
    health.beat("worker-1")
    return shop


def test_without_a_worker_nobody_gives_holds_back(client: FlaskClient, shop: Shop) -> None:
    found = get(client, shop)
    assert (states(found), found["status"]) == (but(inventory_worker="down"), "down")
    health.beat("worker-1")
    found = get(client, shop)
    assert (states(found), found["status"]) == (but(), "ok")
    assert all(found["components"][name]["latency_ms"] is not None for name in PARTS)
    with later(health.ALIVE_SECONDS + 1):
        assert get(client, shop)["inventory_worker"] == "down"


def test_holds_that_are_not_given_back_show(client: FlaskClient, alive: Shop) -> None:
    kept, paying = alive.session(), alive.session()
    with transaction() as work:
        for session in (kept, paying):
            row = work.get_one(CheckoutSession, session.id)
            reservations.hold(work, row, alive.actor.tenant, ttl_seconds=60, cause="test")
    alive.pay(paying, CHALLENGED)
    with transaction() as work:
        work.execute(update(Reservation).values(expires_at=clock.now() + timedelta(seconds=60)))
    for seconds, state in ((90, "ok"), (150, "degraded"), (700, "down")):
        with later(seconds):
            health.beat("worker-1")
            found = get(client, alive)
            assert found["inventory_worker"] == state, found
            assert found["components"]["inventory_worker"]["details"]["lag_seconds"] >= seconds - 61
    with later(700):
        reservations.expire_due()
        health.beat("worker-1")
        assert get(client, alive)["inventory_worker"] == "ok", "the hold of a live payment is meant to stay"


def test_a_gateway_that_hangs_breaks_or_is_away_is_down(
    client: FlaskClient, alive: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hangs(*_: Any) -> None:
        release.wait(30)

    def breaks(*_: Any) -> None:
        raise OSError("no route to 10.0.0.1")

    monkeypatch.setattr(probing, "SECONDS", 0.5)
    for broken in (hangs, breaks):
        monkeypatch.setattr(SandboxConnector, "find", broken)
        monkeypatch.setattr(SandboxConnector, "ping", broken, raising=False)
        started = time.monotonic()
        found = get(client, alive)
        assert time.monotonic() - started < 20, "nobody waits for what hangs"
        assert found["payment_gateway"] == "down"
        assert "10.0.0.1" not in str(found)
    release.set()


def test_one_gateway_of_two_is_degraded_and_none_is_down(
    client: FlaskClient, alive: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(alive.actor, 10)
    account(alive.actor, 20, availability="down")
    assert get(client, alive)["payment_gateway"] == "degraded"
    monkeypatch.setattr(registry, "_ALL", ())
    assert states(get(client, alive)) == but(payment_gateway="down", hosted_pages="degraded")


def test_a_calculation_that_breaks_or_is_slow_shows(
    client: FlaskClient, alive: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "SLOW_CALCULATION_MS", -1)
    assert states(get(client, alive)) == but(calculation_queue="degraded")

    def breaks(*_: Any, **__: Any) -> None:
        raise ServiceUnavailable("the tax service")

    monkeypatch.setattr(builtin.BuiltinTaxes, "rate", breaks)
    found = get(client, alive)
    assert states(found) == but(calculation_queue="down")
    assert found["components"]["calculation_queue"]["details"] == {"error": "ServiceUnavailable"}


def test_deliveries_that_wait_show(client: FlaskClient, alive: Shop) -> None:
    endpoint = {"url": "https://hooks.shop.example/x", "events": ["checkout.created"]}
    made = client.post("/v1/checkout/webhooks", json=endpoint, headers=alive.bearer)
    assert made.status_code == 201, made.text
    alive.session()
    audit.seal()
    assert get(client, alive)["webhook_delivery"] == "ok", "it is due this moment"
    with later(health.LATE_SECONDS + 30):
        health.beat("worker-1")
        found = get(client, alive)
        assert states(found) == but(webhook_delivery="degraded")
        assert found["components"]["webhook_delivery"]["details"]["lag_seconds"] >= health.LATE_SECONDS
    with later(health.LATE_SECONDS + 300):
        assert get(client, alive)["webhook_delivery"] == "down", "and nobody is there to send them"


def test_pages_that_cannot_be_drawn_or_paid_on_show(
    client: FlaskClient, alive: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.change(alive.actor, {"allowed_methods": ["bank_account"]})
    assert states(get(client, alive)) == but(hosted_pages="degraded")

    def breaks(*_: Any) -> None:
        raise RuntimeError("templates are gone")

    monkeypatch.setattr(pages.hosted, "find", breaks)
    found = get(client, alive)
    assert states(found) == but(hosted_pages="down")
    assert "templates" not in str(found)


def test_a_database_that_is_away_takes_all_with_it_and_nobody_waits(
    alive: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise ServiceUnavailable("no database")

    for module in (probes, health, probes.probes):
        monkeypatch.setattr(module, "reading", gone)
    found = probes.check(alive.actor, lambda _: 503)
    assert found.state == "down"
    assert {found.parts[name].state for name in ("inventory_worker", "hosted_pages")} == {"down"}


def test_diagnostics_count_what_is_live(client: FlaskClient, shop: Shop) -> None:
    done, paying, fresh, over = (shop.session() for _ in range(4))
    shop.pay(done, GOOD, "n1")
    shop.pay(paying, CHALLENGED, "n2")
    sessions.cancel(shop.actor, over.id)
    held = shop.session()
    client.post(f"/v1/checkout/sessions/{held.id}/reserve", json={}, headers=shop.bearer)
    found = get(client, shop, DIAGNOSTICS)
    assert found["in_flight"] == {"created": 1, "payment_processing": 1, "reserved": 1}
    assert found["in_flight_sessions"] == 3
    assert shop.read(fresh).status == "created"
    holds, payments = found["reservations"], found["payment_intents"]
    assert (holds["count"], payments["count"]) == (3, 1), "a challenge waits for its shopper"
    assert 0 < holds["average_ms"] <= holds["longest_ms"]
    assert 0 <= payments["average_ms"] <= payments["longest_ms"]
    with later(3700):
        found = get(client, shop, DIAGNOSTICS)
    assert (found["reservations"]["count"], found["payment_intents"]["average_ms"]) == (0, None)
    other = get(client, make("Another shop"), DIAGNOSTICS)
    assert (other["in_flight_sessions"], other["reservations"]["count"]) == (0, 0)


def test_diagnostics_tell_the_depth_of_each_queue(client: FlaskClient, shop: Shop) -> None:
    def queues(of: Shop) -> dict[str, tuple[int, int]]:
        rows = get(client, of, DIAGNOSTICS)["queues"]
        return {row["name"]: (row["depth"], row["oldest_seconds"]) for row in rows}

    audit.seal()
    assert {depth for depth, _ in queues(shop).values()} == {0}
    session = shop.session()
    client.post(f"/v1/checkout/sessions/{session.id}/reserve", json={}, headers=shop.bearer)
    with transaction() as work:
        jobs.enqueue(work, "exports.run", {}, tenant_id=shop.actor.tenant_id, mode="test")
    with later(4000):
        found = queues(shop)
        assert {name: depth for name, (depth, _) in found.items()} == {
            "jobs": 1,
            "webhook_deliveries": 0,
            "events_to_seal": 3,
            "payments_to_look_at": 0,
            "reservations_to_expire": 1,
            "sessions_to_expire": 1,
        }
        assert found["jobs"][1] >= 3999
        assert 390 <= found["sessions_to_expire"][1] <= 410
        assert {depth for depth, _ in queues(make("Another shop")).values()} <= {0, 1}


def test_every_surface_has_its_place_in_the_index(shop: Shop) -> None:
    for surface in SURFACES:
        shop.session(surface=surface)
    assert diagnostics.diagnose(shop.actor).in_flight == {"created": len(SURFACES)}


def test_no_statement_looks_at_a_whole_table(shop: Shop) -> None:
    shop.pay(shop.session())
    old_checkouts.fill(shop, 3000)
    with counted() as sent:
        diagnostics.diagnose(shop.actor)
    assert len(sent) == 9
    kind = db.engine().dialect.name
    with transaction() as work:
        if kind == "postgresql":
            work.execute(text("SET LOCAL enable_seqscan = off"))  # these tables are too small for an index
        asked: list[tuple[Any, str]] = [
            (diagnostics.in_flight(shop.actor), "ix_checkout_sessions_"),
            (diagnostics.reserved(shop.actor), "ix_journal_"),
            (diagnostics.paid(work, shop.actor), "ix_attempts_"),
            *((statement, "") for statement in diagnostics.waiting(shop.actor).values()),
        ]
        for statement, index in asked:
            compiled = str(statement.compile(db.engine(), compile_kwargs={"literal_binds": True}))
            explain = f"EXPLAIN {'' if kind == 'postgresql' else 'QUERY PLAN '}{compiled}"
            plan = str(work.connection().exec_driver_sql(explain.replace("%", "%%")).all())
            assert index in plan, plan
            assert "Seq Scan" not in plan, plan
            assert "SCAN " not in plan, plan
            assert "INDEX" in plan.upper(), plan


@pytest.mark.parametrize("path", [HEALTH, DIAGNOSTICS])
def test_who_may(client: FlaskClient, shop: Shop, path: str) -> None:
    def status(token: str) -> int:
        return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code

    person: Callable[[str], str] = lambda role: tokens.mint_jwt(  # noqa: E731
        tokens.person(
            users.create(shop.actor.tenant_id, f"{role}@a.test", role, role, "a long enough secret").id,
            "test",
        )
    )
    assert status(person("read_only")) == 200
    assert status(person("reconciler")) == 403
    assert status(keys.create(shop.actor, "some", scopes=["checkout:read"])[1]) == 403
    assert client.get(path).status_code == 401
