"""Settlements, payouts, reconciliations and the daily report over HTTP: shapes, refusals, keys, permissions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db import reading
from app.kit import clock
from app.models.treasury.payout import Payout
from app.services.access import keys
from app.services.treasury import statements
from tests.accounts import account as connector
from tests.shops import GOOD, Shop, make
from tests.treasuries import NEVER, SHORT, days_later, from_noon, pay, settled, work

pytestmark = pytest.mark.usefixtures("holds")

BASE = "/v1/payments"


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Midnight comes when a test says so."""
    with from_noon():
        yield


PAYOUT = {
    "merchant_account_id": "ma_1",
    "amount": 4_000,
    "currency": "GBP",
    "destination": "bank_account_123",
    "metadata": {"week": 47},
}


def ask(client: FlaskClient, shop: Shop, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """GET without a body, POST with one; status and JSON."""
    sent = {**shop.bearer, **headers}
    url = BASE + path
    answer = client.get(url, headers=sent) if body is None else client.post(url, json=body, headers=sent)
    return answer.status_code, answer.get_json()


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


def test_settlements_are_synced_listed_and_read(client: FlaskClient, shop: Shop) -> None:
    charge = pay(shop, 10_000)
    pay(shop, 10_000)
    for path in ("/settlements/sync", "/connectors/sandbox/run-settlement"):
        status, accepted = ask(client, shop, path, {})
        assert (status, accepted["status"]) == (202, "queued")
        assert accepted["job_id"].startswith("job_")
        work()
    status, listed = ask(client, shop, "/settlements?limit=1&status=posted&connector_id=sandbox")
    assert (status, listed["has_more"], len(listed["data"])) == (200, True, 1)
    _, second = ask(client, shop, f"/settlements?limit=1&cursor={listed['next_cursor']}")
    assert second["has_more"] is False
    row = second["data"][0]
    assert {name: row[name] for name in ("status", "connector_id", "currency", "gross", "fee", "net")} == {
        "status": "posted",
        "connector_id": "sandbox",
        "currency": "GBP",
        "gross": 10_000,
        "fee": 160,
        "net": 9_840,
    }
    status, detail = ask(client, shop, f"/settlements/{row['id']}")
    assert status == 200
    assert [(line["type"], line["transaction_id"], line["net"]) for line in detail["transactions"]] == [
        ("charge", charge, 9_840)
    ]
    shown = ask(client, shop, f"/charges/{charge}")[1]
    assert shown["settlement_date"] == row["settled_at"][:10]
    _, moved = ask(client, shop, f"/intents/{shown['intent_id']}/transactions")
    dates = {item["type"]: item["settlement_date"] for item in moved["data"]}
    assert dates == {"auth": None, "capture": shown["settlement_date"]}
    _, numbered = ask(client, shop, "/settlements?page=2&limit=1")
    assert [numbered[name] for name in ("page", "limit", "total", "has_more")] == [2, 1, 2, False]
    assert numbered["data"][0]["id"] == row["id"]
    today = clock.now().date().isoformat()
    for span, count in (
        (f"from={today}&to={today}", 2),
        ("to=2020-01-01", 0),
        ("from=2020-01-01T00:00:00Z", 2),
        (f"date_range=2020-01-01..{today}", 2),
    ):
        assert len(ask(client, shop, f"/settlements?{span}")[1]["data"]) == count


def test_an_account_is_named_by_its_id_and_is_its_merchants_own(client: FlaskClient, shop: Shop) -> None:
    before, own = pay(shop, 1_000), connector(shop.actor)
    after, theirs = pay(shop, 2_000), connector(make("Another shop").actor)
    assert code(ask(client, shop, f"/connectors/{theirs.id}/run-settlement", {})) == (
        404,
        "connector_not_found",
    )
    for body in ({"connector_id": theirs.id}, {**PAYOUT, "connector_id": theirs.id}):
        path = "/payouts" if "amount" in body else "/reconciliations"
        assert code(ask(client, shop, path, body)) == (404, "connector_not_found")
    for name, charge in ((own.id, after), ("sandbox", before)):
        assert ask(client, shop, f"/connectors/{name}/run-settlement", {})[0] == 202
        work()
        _, listed = ask(client, shop, f"/settlements?connector_id={name}")
        [row] = listed["data"]
        assert row["connector_id"] == name
        [line] = ask(client, shop, f"/settlements/{row['id']}")[1]["transactions"]
        assert line["transaction_id"] == charge
    _, payout = ask(client, shop, "/payouts", {**PAYOUT, "amount": 1_000, "connector_id": own.id})
    assert payout["connector_id"] == own.id


def test_refusals_about_settlements(client: FlaskClient, shop: Shop) -> None:
    pay(shop)
    statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    [row] = ask(client, shop, "/settlements")[1]["data"]
    other = make("Another shop")
    assert code(ask(client, other, f"/settlements/{row['id']}")) == (404, "settlement_not_found")
    assert ask(client, other, "/settlements")[1]["data"] == []
    assert code(ask(client, shop, "/connectors/con_nobody/run-settlement", {})) == (
        404,
        "connector_not_found",
    )
    assert code(ask(client, shop, "/settlements/sync", {"connector_id": "x"})) == (404, "connector_not_found")
    for query in (
        "status=paid",
        "from=yesterday",
        "limit=0",
        "cursor=*",
        "page=0",
        "colour=red",
        "page=1&cursor=YQ",
        "connector_id=sandbox&connector=con_1",
        "from=2026-01-01&date_range=2026-01-02..",
    ):
        assert ask(client, shop, f"/settlements?{query}")[0] == 400, query


def test_a_payout_is_made_once_for_a_key_and_read(client: FlaskClient, shop: Shop) -> None:
    settled(shop)
    made = [ask(client, shop, "/payouts", PAYOUT, **{"Idempotency-Key": "p1"}) for _ in range(2)]
    assert made[0] == made[1]
    status, view = made[0]
    assert (status, view["status"], view["payout_id"]) == (201, "pending", view["id"])
    assert {name: view[name] for name in PAYOUT} == PAYOUT
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(Payout)) == 1
    work()
    status, view = ask(client, shop, f"/payouts/{view['id']}")
    assert (status, view["status"], view["connector_id"]) == (200, "paid", "sandbox")
    assert view["gateway_reference"].startswith("sbp_")
    assert code(ask(client, make("Another shop"), f"/payouts/{view['id']}")) == (404, "payout_not_found")


def test_refusals_about_payouts(client: FlaskClient, shop: Shop) -> None:
    whole = settled(shop)
    for changes, refusal in (
        ({"amount": whole + 1}, (422, "insufficient_balance")),
        ({"currency": "EUR"}, (422, "insufficient_balance")),
        ({"currency": "XXX"}, (400, "unsupported_currency")),
        ({"destination": "4242424242424242"}, (422, "invalid_destination")),
        ({"destination": "my bank"}, (400, "invalid_field")),
        ({"amount": 0}, (400, "invalid_field")),
        ({"amount": -5}, (400, "invalid_field")),
        ({"amount": True}, (400, "invalid_field")),
        ({"amount": "5"}, (400, "invalid_field")),
        ({"amount": 1.5}, (400, "invalid_field")),
        ({"currency": "gbp"}, (400, "invalid_field")),
        ({"colour": "red"}, (400, "invalid_field")),
        ({"connector_id": "con_nobody"}, (404, "connector_not_found")),
    ):
        assert code(ask(client, shop, "/payouts", {**PAYOUT, **changes})) == refusal, changes
    for name in ("amount", "currency", "destination"):
        body = {key: value for key, value in PAYOUT.items() if key != name}
        assert code(ask(client, shop, "/payouts", body)) == (400, "missing_field")
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(Payout)) == 0


def test_a_reconciliation_is_run_reported_and_resolved(client: FlaskClient, shop: Shop) -> None:
    pay(shop, 1_000, GOOD)
    never, short = pay(shop, 1_000, NEVER), pay(shop, 1_000, SHORT)
    with days_later(2):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
        status, accepted = ask(client, shop, "/reconciliations", {"connector_id": "sandbox"})
        assert status == 202
        path = f"/reconciliations/{accepted['job_id']}"
        early = {"items": [{"transaction_id": short, "action": "accept", "note": "too early"}]}
        assert ask(client, shop, path)[1]["status"] == "queued"
        assert code(ask(client, shop, f"{path}/resolve", early)) == (409, "invalid_state")
        work()
        status, report = ask(client, shop, f"{path}?resolved=false")
    assert (status, report["status"], report["open"]) == (200, "succeeded", 2)
    found = {
        item["transaction_id"]: (item["outcome"], item["expected_amount"], item["actual_amount"])
        for item in report["items"]
    }
    assert found == {never: ("missing", 1_000, None), short: ("amount_mismatch", 1_000, 900)}
    assert {row["outcome"]: row["count"] for row in report["summary"]} == {
        "amount_mismatch": 1,
        "matched": 1,
        "missing": 1,
    }
    body = {
        "items": [
            {"transaction_id": never, "action": "write_off", "note": "lost"},
            {"transaction_id": short, "action": "investigate", "note": "asked"},
        ]
    }
    status, done = ask(client, shop, f"{path}/resolve", body)
    assert (status, done["open"], [item["amount"] for item in done["items"]]) == (200, 1, [1_000, 0])
    assert ask(client, shop, f"{path}/resolve", body) == (status, done)
    other = {"items": [{"transaction_id": never, "action": "accept", "note": ""}]}
    assert code(ask(client, shop, f"{path}/resolve", other)) == (409, "already_resolved")
    [item] = ask(client, shop, f"{path}?outcome=missing")[1]["items"]
    assert (item["resolution"]["action"], item["resolution"]["decided_by"]) == ("write_off", shop.actor.id)
    stranger = make("Another shop")
    assert code(ask(client, stranger, path)) == (404, "reconciliation_not_found")
    assert code(ask(client, stranger, f"{path}/resolve", body)) == (404, "reconciliation_not_found")


def test_refusals_about_reconciliations(client: FlaskClient, shop: Shop) -> None:
    for body in (
        {"from": "soon"},
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"from": 5},
        {"colour": "red"},
    ):
        assert ask(client, shop, "/reconciliations", body)[0] == 400, body
    assert code(ask(client, shop, "/reconciliations", {"connector_id": "x"})) == (404, "connector_not_found")
    _, accepted = ask(client, shop, "/reconciliations", {})
    work()
    path = f"/reconciliations/{accepted['job_id']}/resolve"
    item = {"transaction_id": "ch_1", "action": "accept", "note": ""}
    assert code(ask(client, shop, path, {"items": [item]})) == (404, "transaction_not_found")
    for bad in (
        {"items": []},
        {"items": [{**item, "action": "forget"}]},
        {"items": [{"action": "accept"}]},
        {},
    ):
        assert ask(client, shop, path, bad)[0] == 400, bad


def test_the_daily_report(client: FlaskClient, shop: Shop) -> None:
    pay(shop, 10_000)
    statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    status, report = ask(client, shop, f"/reports/settlement/{clock.now().date()}")
    assert (status, report["complete"], report["timezone"]) == (200, False, "UTC")
    [row] = report["totals"]
    assert (row["connector"], row["captures"], row["fees"]) == ("sandbox", 10_000, 160)
    assert (row["net"], row["settled"]) == (9_840, 9_840)
    assert row["closing_balance"] == {"pending": 0, "available": 9_840}
    debit, credit = (sum(entry[side] for entry in report["entries"]) for side in ("debit", "credit"))
    assert debit == credit == 20_000
    for bad in ("2026-02-30", "today", "20260201", "9999-12-31"):
        assert code(ask(client, shop, f"/reports/settlement/{bad}")) == (400, "invalid_date")


def test_each_wants_its_scope(client: FlaskClient, shop: Shop) -> None:
    _, without = keys.create(shop.actor, "others", scopes=["intents:read"])
    for scope, path, body in (
        ("settlements:read", "/settlements", None),
        ("settlements:write", "/settlements/sync", {}),
        ("settlements:write", "/connectors/sandbox/run-settlement", {}),
        ("payouts:read", "/payouts/po_1", None),
        ("payouts:write", "/payouts", PAYOUT),
        ("reconciliations:read", "/reconciliations/job_1", None),
        ("reconciliations:write", "/reconciliations", {}),
        ("reports:read", "/reports/settlement/2026-01-01", None),
    ):
        _, fitting = keys.create(shop.actor, "fitting", scopes=[scope])
        assert ask(client, replace(shop, secret=without), path, body)[0] == 403
        assert ask(client, replace(shop, secret=fitting), path, body)[0] in (200, 202, 404, 422)
