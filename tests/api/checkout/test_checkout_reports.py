"""CK-064, CK-065 over HTTP: the funnel, and exports from their request to their file."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from app.kit import clock
from app.services.access import keys, tokens, users
from app.services.checkout import sessions
from app.services.operations import exports, jobs
from app.services.operations.exporting import datasets
from app.worker import queue
from tests.shops import NO_FUNDS, Shop, make

METRICS, EXPORTS, JOBS = (f"/v1/checkout/{name}" for name in ("metrics", "exports", "jobs"))


def ask(client: FlaskClient, shop: Shop, status: int = 202, **body: Any) -> Any:
    answer = client.post(EXPORTS, json=body, headers=shop.bearer)
    assert answer.status_code == status, answer.text
    return answer.json


def work() -> None:
    for job_id in jobs.due():
        queue.run_job(job_id)


def done(client: FlaskClient, shop: Shop, **body: Any) -> tuple[Any, list[dict[str, str]]]:
    """An export that was asked for, written, polled and fetched."""
    made = ask(client, shop, **body)
    work()
    job = client.get(f"{JOBS}/{made['job_id']}", headers=shop.bearer).json
    file = client.get(urlsplit(job["result"]["download_url"]).path)
    assert file.status_code == 200
    return job, list(csv.DictReader(io.StringIO(file.get_data(as_text=True))))


def fail(shop: Shop, reference: str, nonce: str) -> str:
    """The id of a checkout whose attempts are used up."""
    session = shop.session(reference=reference)
    for number in range(5):
        shop.pay(session, NO_FUNDS, f"{nonce}-{number}")
    assert shop.read(session).status == "failed"
    return session.id


def test_the_funnel_is_told_with_its_definitions(client: FlaskClient, shop: Shop) -> None:
    shop.pay(shop.session())
    sessions.cancel(shop.actor, shop.session().id)
    found = client.get(METRICS, headers=shop.bearer).json
    assert found.pop("from") < found.pop("to")
    assert 0 <= found.pop("avg_time_to_purchase") < 60
    assert found == {
        "checkout_initiated": 2,
        "completed": 1,
        "abandoned": 1,
        "open": 0,
        "payment_attempts": 1,
        "3ds_challenges": 0,
        "abandon_rate": 0.5,
        "conversion_rate": 0.5,
        "abandoned_by_step": [
            {"step": "cart", "count": 1, "share": 1.0},
            {"step": "address", "count": 0, "share": 0.0},
            {"step": "delivery", "count": 0, "share": 0.0},
            {"step": "payment", "count": 0, "share": 0.0},
        ],
    }


def test_a_day_is_whole_and_an_instant_ends_the_span(client: FlaskClient, shop: Shop) -> None:
    with clock.frozen(clock.now() - timedelta(days=5)):
        at = clock.now()
        shop.session()
    whole = f"{at:%Y-%m-%dT%H:%M:%S}Z"
    after = f"{at + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}Z"

    def begun(since: str, until: str) -> int:
        answer = client.get(METRICS, query_string={"from": since, "to": until}, headers=shop.bearer)
        assert answer.status_code == 200, answer.text
        return int(answer.json["checkout_initiated"])

    assert begun(f"{at:%Y-%m-%d}", f"{at:%Y-%m-%d}") == 1
    assert begun(whole, after) == 1
    assert begun(f"{at - timedelta(days=1):%Y-%m-%d}", whole) == 0


def test_nonsense_is_refused(client: FlaskClient, shop: Shop) -> None:
    for query in ({"from": "yesterday"}, {"to": "2025-08-29T12:00:00"}, {"group_by": "day"},
                  {"from": "2025-02-02", "to": "2025-01-01"}):  # fmt: skip
        assert client.get(METRICS, query_string=query, headers=shop.bearer).status_code == 400
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"query": {"type": "transactions"}}, 400, "invalid_field"),
        ({"query": {"surprise": 1}}, 400, "invalid_field"),
        ({"query": {"currency": "GBP"}}, 422, "unsupported_filter"),
        ({"query": {"type": "failed_sessions", "event": "x"}}, 422, "unsupported_filter"),
        ({"format": "qbo"}, 422, "unsupported_format"),
        ({"format": "docx"}, 400, "invalid_field"),
        ({"destination": "ftp://x"}, 400, "invalid_destination"),
        ({"destination": "s3://bucket/x"}, 422, "destination_not_configured"),
        ({"query": {"from": "2199-01-01"}}, 400, "invalid_request"),
    ]
    for body, status, code in refused:
        assert ask(client, shop, status, **body)["code"] == code, body


def test_events_of_checkouts_are_exported_and_polled(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "CHUNK", 3)
    session = shop.session()
    shop.pay(session)
    shop.session()
    keys.create(shop.actor, "no business of a checkout")
    job, rows = done(client, shop)
    assert (job["status"], job["type"], job["errors"]) == ("succeeded", "exports.run", [])
    assert (job["result"]["rows"], job["result"]["type"]) == (len(rows), "checkout_events")
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]))
    assert len({row["id"] for row in rows}) == len(rows) > 6
    assert [row["to_status"] for row in rows if row["entity"] == "checkout" and row["to_status"]] == [
        "created", "reserved", "payment_processing", "completed", "created",
    ]  # fmt: skip
    assert "api_key" not in {row["entity"] for row in rows}
    _, births = done(client, shop, query={"event": "checkout.created"})
    assert len(births) == 2
    _, mine = done(client, shop, query={"checkout_id": session.id})
    assert {row["checkout_id"] for row in mine} == {session.id}
    tomorrow = f"{clock.now() + timedelta(days=1):%Y-%m-%d}"
    assert ask(client, shop, 400, query={"from": tomorrow})["code"] == "invalid_request"


def test_failed_sessions_are_exported_and_no_cell_is_a_formula(client: FlaskClient, shop: Shop) -> None:
    failed = fail(shop, "=cmd|' /C calc'!A0", "a")
    shop.pay(shop.session(), nonce="good")
    sessions.cancel(shop.actor, failed)
    _, rows = done(client, shop, query={"type": "failed_sessions"})
    [row] = rows
    assert (row["checkout_id"], row["failure_reason"], row["status"]) == (
        failed, "payment_declined", "canceled",
    )  # fmt: skip
    assert row["reference"] == "'=cmd|' /C calc'!A0"
    assert (row["grand_total"], row["currency"], row["payment_attempts"]) == ("1620", "GBP", "5")
    for query, count in (({"reason": "payment_declined"}, 1), ({"reason": "fraud"}, 0),
                         ({"currency": "EUR"}, 0), ({"status": "canceled"}, 1)):  # fmt: skip
        _, found = done(client, shop, query={"type": "failed_sessions", **query})
        assert len(found) == count, query


def test_an_export_is_its_merchants_and_a_repeated_ask_is_one(client: FlaskClient, shop: Shop) -> None:
    other = make("Another shop")
    shop.session()
    made = ask(client, shop)
    assert (made["status"], made["download_url"]) == ("queued", None)
    assert client.get(f"{JOBS}/{made['job_id']}", headers=shop.bearer).json["result"] is None
    assert client.get(f"{JOBS}/{made['job_id']}", headers=other.bearer).status_code == 404
    _, theirs = done(client, other)
    assert theirs == []
    headers = shop.bearer | {"Idempotency-Key": "once"}
    first, second = (client.post(EXPORTS, json={}, headers=headers).json["job_id"] for _ in range(2))
    assert first == second
    assert exports.get(shop.actor, first)[0].dataset == "checkout_events"


def test_who_may(client: FlaskClient, shop: Shop) -> None:
    for role, reads, writes in (("reconciler", 200, 202), ("read_only", 200, 403)):
        user = users.create(shop.actor.tenant_id, f"{role}@shop.test", role, role, "a long enough secret")
        headers = {"Authorization": f"Bearer {tokens.mint_jwt(tokens.person(user.id, 'test'))}"}
        assert client.get(METRICS, headers=headers).status_code == reads
        assert client.post(EXPORTS, json={}, headers=headers).status_code == writes
    assert client.get(METRICS).status_code == client.post(EXPORTS, json={}).status_code == 401
