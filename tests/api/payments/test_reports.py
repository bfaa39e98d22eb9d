"""PY-076 to PY-078 over HTTP: a report, an export from its request to its file, and who may have them."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from app.kit import clock
from app.services.access import keys, tokens, users
from app.services.operations import exports, jobs
from app.worker import queue
from tests.shops import Shop, later, make

EXPORTS, METRICS = "/v1/payments/exports", "/v1/payments/metrics"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(client: FlaskClient, shop: Shop, **body: Any) -> Any:
    return client.post(EXPORTS, json=body, headers=shop.bearer)


def work() -> None:
    for job_id in jobs.due():
        queue.run_job(job_id)


def test_an_export_is_asked_for_written_and_fetched(client: FlaskClient, shop: Shop) -> None:
    shop.pay(shop.session())
    asked = ask(client, shop, query={"type": "transactions", "currency": "GBP"}, format="csv")
    assert asked.status_code == 202
    job_id = asked.json["job_id"]
    assert (asked.json["status"], asked.json["rows"], asked.json["download_url"]) == ("queued", 0, None)
    work()
    found = client.get(f"{EXPORTS}/{job_id}", headers=shop.bearer).json
    assert found is not None
    assert (found["status"], found["rows"], found["type"]) == ("succeeded", 1, "transactions")
    assert found["query"]["currency"] == "GBP"
    assert (found["query"]["from"], len(found["query"]["to"])) == (None, len("2026-01-01T00:00:00Z"))
    path = urlsplit(found["download_url"]).path
    file = client.get(path)
    assert (file.status_code, file.mimetype) == (200, "text/csv")
    assert f"till-transactions-{clock.now():%Y%m%d}-{job_id}.csv" in file.headers["Content-Disposition"]
    assert file.headers["Cache-Control"] == "no-store"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    [row] = csv.DictReader(io.StringIO(file.text))
    assert (row["status"], row["currency"]) == ("captured", "GBP")
    assert client.get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 404
    with later(901):
        assert client.get(path).status_code == 404
    with later(8 * 86_400):
        exports.clean()
        over = client.get(f"{EXPORTS}/{job_id}", headers=shop.bearer).json
        assert over is not None
        assert (over["status"], over["download_url"], over["expires_at"]) == ("succeeded", None, None)


def test_a_broken_export_says_so(client: FlaskClient, shop: Shop, monkeypatch: Any) -> None:
    job_id = ask(client, shop).json["job_id"]

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "_write", full)
    for turn in range(exports.MAX_TRIES):
        with later(turn * 86_400):
            work()
    found = client.get(f"{EXPORTS}/{job_id}", headers=shop.bearer).json
    assert found is not None
    assert (found["status"], len(found["errors"])) == ("failed", exports.MAX_TRIES)
    assert set(found["errors"]) == {"The file could not be written: No space left on device"}


def test_what_cannot_be_exported_is_refused(client: FlaskClient, shop: Shop) -> None:
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"format": "xml"}, 400, "invalid_field"),
        ({"query": {"type": "weather"}}, 400, "invalid_field"),
        ({"query": {"from": "yesterday"}}, 400, "invalid_field"),
        ({"query": {"from": "2026-02-02", "to": "2026-01-01"}}, 400, "invalid_request"),
        ({"query": {"currency": "gbp"}}, 400, "invalid_field"),
        ({"query": {"sql": "DROP TABLE"}}, 400, "invalid_field"),
        ({"destination": "file:///etc/passwd"}, 400, "invalid_destination"),
        ({"destination": "s3://finance/2026", "format": "parquet"}, 422, "destination_not_configured"),
        ({"format": "qbo"}, 422, "currency_required"),
    ]
    for body, status, code in cases:
        answer = ask(client, shop, **body)
        assert (answer.status_code, answer.json["code"]) == (status, code), body
    assert jobs.list_page(shop.actor).data == []


def test_a_repeated_request_makes_one_export(client: FlaskClient, shop: Shop) -> None:
    headers = shop.bearer | {"Idempotency-Key": "once"}
    first, second = (client.post(EXPORTS, json={}, headers=headers) for _ in range(2))
    assert first.json is not None
    assert second.json is not None
    assert first.json["job_id"] == second.json["job_id"]
    assert len(jobs.list_page(shop.actor).data) == 1


def test_exports_and_reports_are_the_merchants_own_and_guarded(client: FlaskClient, shop: Shop) -> None:
    other = make("Another shop")
    job_id = ask(client, shop).json["job_id"]
    assert client.get(f"{EXPORTS}/{job_id}", headers=other.bearer).status_code == 404
    _, live = keys.create(shop.actor, "live", mode="live")
    assert client.get(f"{EXPORTS}/{job_id}", headers=bearer(live)).status_code == 404
    _, narrow = keys.create(shop.actor, "narrow", scopes=["exports:read"])
    assert client.get(f"{EXPORTS}/{job_id}", headers=bearer(narrow)).status_code == 200
    assert client.post(EXPORTS, json={}, headers=bearer(narrow)).status_code == 403
    assert client.get(METRICS, headers=bearer(narrow)).status_code == 403
    user = users.create(shop.actor.tenant_id, "r@shop.test", "R", "reconciler", "a long enough secret")
    finance = bearer(tokens.mint_jwt(tokens.person(user.id, "test")))
    assert client.post(EXPORTS, json={}, headers=finance).status_code == 202
    assert client.get(METRICS, headers=finance).status_code == 200


def test_metrics_have_the_contracts_names(client: FlaskClient, shop: Shop) -> None:
    shop.pay(shop.session())
    today, tomorrow = clock.now().date(), clock.now().date() + timedelta(days=1)
    query = {"from": str(today), "to": str(today), "group_by": "day"}
    found = client.get(METRICS, query_string=query, headers=shop.bearer).json
    assert found is not None
    assert (found["payments_count"], found["success_rate"], found["decline_rate"]) == (1, 1.0, 0.0)
    assert (found["chargeback_rate"], found["avg_settlement_delay"]) == (0.0, None)
    assert (found["from"], found["to"]) == (f"{today}T00:00:00Z", f"{tomorrow}T00:00:00Z")
    [group] = found["groups"]
    assert (group["key"], group["payments_count"]) == (str(today), 1)
    assert found["connectors"][0]["key"] == "sandbox"
    for wrong in (
        {"group_by": "hour"},
        {"from": "x"},
        {"from": str(tomorrow), "to": str(today)},
        {"page": "1"},
    ):
        assert client.get(METRICS, query_string=wrong, headers=shop.bearer).status_code == 400, wrong
