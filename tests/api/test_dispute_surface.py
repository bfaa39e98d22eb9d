"""PY-028 to PY-033 and the uploads of OP-36 over HTTP: forms, filters, bad input, other merchants, twice."""

from __future__ import annotations

import io
import os
import stat
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import settings
from app.connectors.sandbox import notices
from app.db import reading
from app.domain.rules.documents import MAX_BYTES
from app.models.events.journal import JournalEntry
from app.services.operations import inbound_secrets
from app.services.payments import disputes, uploads
from tests import shops
from tests.disputes import FRAUD, charge, deliver, paid, work
from tests.shops import Shop, later

URL = "/v1/payments/disputes"
PDF, PNG = b"%PDF-1.7\n%\xe2\xe3\n", b"\x89PNG\r\n\x1a\n\x00\x00"


class Caller:
    """A merchant's server."""

    def __init__(self, client: FlaskClient, shop: Shop) -> None:
        self.client, self.shop, self.actor = client, shop, shop.actor

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(path, headers=self.shop.bearer, query_string=query)

    def post(self, path: str, body: Any, key: str | None = None) -> TestResponse:
        headers = {**self.shop.bearer, **({"Idempotency-Key": key} if key else {})}
        return self.client.post(path, json=body, headers=headers)

    def upload(
        self, content: bytes, name: str = "proof.pdf", media: str = "application/pdf", **more: Any
    ) -> TestResponse:
        form = {"file": (io.BytesIO(content), name, media)}
        return self.client.post(
            "/v1/payments/uploads", data=form, headers={**self.shop.bearer, **more.get("headers", {})}
        )

    def dispute(self, amount: int = 500, **changes: Any) -> dict[str, Any]:
        """A dispute by hand."""
        made = charge(self.actor, paid(self.actor, merchant_account_id=changes.pop("account", None)))
        body = {"charge_id": made.id, "amount": amount, "reason_code": "fraud", **changes}
        answer = self.post(URL, body)
        assert answer.status_code == 201, answer.json
        return answer.json  # type: ignore[no-any-return]


@pytest.fixture
def caller(client: FlaskClient, shop: Shop) -> Caller:
    return Caller(client, shop)


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]  # type: ignore[index]


def test_a_dispute_is_entered_answered_and_closed(caller: Caller) -> None:
    made = caller.dispute(received_at="2025-08-30T09:00:00+02:00", account="ma_1")
    assert made["id"] == made["dispute_id"]
    assert (made["status"], made["amount"], made["currency"]) == ("needs_response", 500, "GBP")
    assert (made["reason_code"], made["received_at"]) == ("fraud", "2025-08-30T07:00:00Z")
    assert (made["merchant_account_id"], made["accounting_note"]) == ("ma_1", None)
    place = f"{URL}/{made['id']}"
    assert caller.get(place).json == made
    stored = caller.upload(PDF).json
    body = {
        "evidence": [
            {"type": "pdf", "upload_id": stored["id"]},
            {"type": "receipt", "url": stored["url"]},
            {"type": "pdf", "url": "https://files.example.com/shipping.pdf?signature=x"},
        ],
        "notes": "Signed for at the door",
    }
    sent = caller.post(f"{place}/submit-evidence", body, key="once")
    assert (sent.status_code, sent.json["submission_status"], sent.json["status"]) == (
        200,
        "submitted",
        "under_review",
    )
    again = caller.post(f"{place}/submit-evidence", body, key="once")
    assert again.json == sent.json
    assert again.headers["Idempotent-Replayed"] == "true"
    items = caller.get(f"{place}/evidence").json["data"]
    assert items == sent.json["evidence"]
    assert [item["type"] for item in items] == ["pdf", "receipt", "pdf", "notes"]
    assert items[0]["sha256"] == items[1]["sha256"] == stored["sha256"]
    assert (items[2]["upload_id"], items[3]["text"]) == (None, "Signed for at the door")
    closed = caller.post(f"{place}/close", {"outcome": "lost", "note": "Written off"})
    assert (closed.status_code, closed.json["status"], closed.json["outcome"]) == (200, "closed", "lost")
    note = closed.json["accounting_note"]
    assert (note["text"], note["amount"], note["credit_note_id"]) == (
        "Written off",
        500,
        closed.json["credit_note_id"],
    )
    assert code(caller.post(f"{place}/close", {})) == (409, "invalid_state")
    assert code(caller.post(f"{place}/submit-evidence", {"notes": "more"})) == (409, "invalid_state")
    _check_audit(made["id"], stored["sha256"])


def _check_audit(dispute_id: str, sha256: str) -> None:
    """The journal proves what was handed in, without its words."""
    statement = select(JournalEntry).where(JournalEntry.entity_id == dispute_id)
    with reading() as db:
        rows = {row.type: row.data["after"] for row in db.scalars(statement)}
    assert {"dispute.created", "dispute.evidence_submitted", "dispute.accounting_note"} <= set(rows)
    proof = rows["dispute.evidence_submitted"]["evidence"]
    assert [item["sha256"] for item in proof[:2]] == [sha256, sha256]
    assert "Signed for" not in str(proof)


def test_a_bad_body_is_refused_with_its_field(caller: Caller) -> None:
    for name, value in (
        ("amount", 0),
        ("amount", -5),
        ("amount", "500"),
        ("amount", True),
        ("amount", None),
        ("reason_code", "Not A Word"),
        ("received_at", "yesterday"),
        ("received_at", "2025-08-30T09:00:00"),
        ("received_at", "0001-01-01T00:00:00+10:00"),
        ("received_at", 5),
        ("status", "won"),
    ):
        body = {"charge_id": "ch_1", "amount": 500, "reason_code": "fraud", name: value}
        answer = caller.post(URL, body)
        assert (answer.status_code, answer.json["field"]) == (400, name), value  # type: ignore[index]


def test_business_refusals(caller: Caller) -> None:
    made = charge(caller.actor, paid(caller.actor))
    body = {"charge_id": made.id, "amount": 2001, "reason_code": "fraud"}
    assert code(caller.post(URL, body)) == (422, "dispute_exceeds_captured")
    assert code(caller.post(URL, {**body, "charge_id": "ch_nobody"})) == (404, "charge_not_found")
    place = f"{URL}/{caller.post(URL, {**body, 'amount': 5}).json['id']}"
    for evidence, expected in (
        ({}, (400, "evidence_required")),
        ({"notes": "  "}, (400, "evidence_required")),
        ({"evidence": [{"type": "pdf"}]}, (422, "invalid_evidence_url")),
        ({"evidence": [{"type": "pdf", "url": "file:///etc/passwd"}]}, (422, "invalid_evidence_url")),
        ({"evidence": [{"type": "pdf", "url": "https://a@b/x"}]}, (422, "invalid_evidence_url")),
        ({"evidence": [{"type": "pdf", "upload_id": "upl_nobody"}]}, (404, "upload_not_found")),
    ):
        assert code(caller.post(f"{place}/submit-evidence", evidence)) == expected, evidence
    waiting = caller.post(
        "/v1/payments/uploads", {"filename": "a.pdf", "content_type": "application/pdf"}
    ).json
    unstored = {"evidence": [{"type": "pdf", "upload_id": waiting["id"]}]}
    assert code(caller.post(f"{place}/submit-evidence", unstored)) == (422, "upload_not_stored")
    picture = caller.upload(PNG, "a.png", "image/png").json
    wrong = {"evidence": [{"type": "pdf", "upload_id": picture["id"]}]}
    assert code(caller.post(f"{place}/submit-evidence", wrong)) == (422, "content_type_mismatch")
    assert caller.get(f"{place}/evidence").json["data"] == []
    assert caller.get(place).json["status"] == "needs_response"


def test_the_list_is_filtered_and_paged(caller: Caller) -> None:
    days = ["2025-08-01", "2025-08-02", "2025-08-02", "2025-08-03", "2025-08-04"]
    made = [
        caller.dispute(10, received_at=f"{day}T12:00:00Z", account="ma_1" if number % 2 else None)["id"]
        for number, day in enumerate(days)
    ]
    caller.post(f"{URL}/{made[0]}/close", {})

    def ids(**query: Any) -> list[str]:
        return [row["id"] for row in caller.get(URL, **query).json["data"]]

    newest_first = list(reversed(made))
    assert ids() == newest_first
    seen, cursor, pages = [], None, 0
    while True:
        page = caller.get(URL, limit=2, **({"cursor": cursor} if cursor else {})).json
        seen += [row["id"] for row in page["data"]]
        pages, cursor = pages + 1, page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert (seen, pages) == (newest_first, 3)
    second = caller.get(URL, limit=2, page=2).json
    assert [row["id"] for row in second["data"]] == newest_first[2:4]
    assert (second["page"], second["limit"], second["total"], second["has_more"]) == (2, 2, 5, True)
    assert "total" not in caller.get(URL).json
    assert ids(status="closed") == [made[0]]
    assert ids(**{"from": "2025-08-02", "to": "2025-08-03"}) == newest_first[1:4]
    assert ids(date_range="2025-08-02..2025-08-03") == newest_first[1:4]
    assert ids(date_range="..2025-08-01") == [made[0]]
    assert ids(**{"from": "2025-08-04T12:00:00Z"}) == [made[4]]
    assert ids(**{"from": "2025-08-04T12:00:01Z"}) == []
    assert ids(to="2025-08-01T12:00:00Z") == [made[0]]
    assert ids(merchant_account_id="ma_1") == ids(merchant_account="ma_1") == [made[3], made[1]]
    assert caller.get(URL, status="closed").json["data"][0]["accounting_note"]["outcome"] == "lost"
    for bad in (
        {"status": "lovely"},
        {"from": "then"},
        {"to": "9999-12-31"},
        {"date_range": "2025-08-01"},
        {"cursor": "nonsense"},
        {"limit": 0},
        {"limit": 101},
        {"merchant_account_id": "ma_1", "merchant_account": "ma_2"},
        {"from": "2025-08-01", "date_range": "2025-08-02.."},
        {"unknown": "x"},
        {"page": 0},
        {"page": 1, "cursor": page["next_cursor"] or "x"},
    ):
        assert caller.get(URL, **bad).status_code == 400, bad


def test_other_merchants_and_lesser_keys_get_nothing(caller: Caller, client: FlaskClient) -> None:
    dispute = caller.dispute()
    stored = caller.upload(PDF).json
    stranger = Caller(client, shops.make("Stranger"))
    place, file = f"{URL}/{dispute['id']}", f"/v1/payments/uploads/{stored['id']}"
    for path in (place, f"{place}/evidence"):
        assert code(stranger.get(path)) == (404, "dispute_not_found")
    for path in (file, f"{file}/content"):
        assert code(stranger.get(path)) == (404, "upload_not_found")
    assert code(stranger.post(f"{place}/close", {})) == (404, "dispute_not_found")
    assert code(stranger.post(f"{place}/submit-evidence", {"notes": "x"})) == (404, "dispute_not_found")
    theirs = stranger.dispute()
    stolen = {"evidence": [{"type": "pdf", "upload_id": stored["id"]}]}
    assert code(stranger.post(f"{URL}/{theirs['id']}/submit-evidence", stolen)) == (404, "upload_not_found")
    assert [row["id"] for row in stranger.get(URL).json["data"]] == [theirs["id"]]
    assert client.get(place).status_code == client.get(f"{file}/content").status_code == 401
    tenant = f"/v1/{caller.actor.tenant_id}/payments/disputes/{dispute['id']}"
    assert caller.get(tenant).json["id"] == dispute["id"]


def test_a_gateways_dispute_is_told_and_answered_over_http(caller: Caller) -> None:
    intent = paid(caller.actor, FRAUD)

    def post(url: str, raw: bytes, headers: dict[str, str]) -> int:
        forged = raw.replace(b"dispute.created", b"dispute.updated")
        if forged != raw:
            refused = caller.client.post(urlsplit(url).path, data=forged, headers=headers)
            assert code(refused) == (401, "invalid_signature")
        return caller.client.post(urlsplit(url).path, data=raw, headers=headers).status_code

    notices.send_due(post, lambda tenant_id: inbound_secrets.find(tenant_id, "payment") or "")
    assert caller.get(URL).json["data"] == []
    work()
    [dispute] = caller.get(URL).json["data"]
    assert (dispute["payment_intent_id"], dispute["status"]) == (intent.id, "needs_response")
    place = f"{URL}/{dispute['id']}"
    spoilt = caller.upload(PDF).json
    [file] = (settings.current().data_dir / "uploads" / caller.actor.tenant_id).iterdir()
    file.write_bytes(PDF + b"altered")
    with_it = {"evidence": [{"type": "pdf", "upload_id": spoilt["id"]}], "notes": "losing_evidence"}
    refused = caller.post(f"{place}/submit-evidence", with_it)
    assert code(refused) == (409, "evidence_refused")
    assert refused.json["explain"]["refusal"] == "document_unreadable"  # type: ignore[index]
    proof = caller.upload(b"winning_evidence", "letter.txt", "text/plain").json
    sent = caller.post(f"{place}/submit-evidence", {"evidence": [{"type": "text", "upload_id": proof["id"]}]})
    assert sent.json["submission_status"] == "submitted"
    with later(11):
        deliver()
    assert [item["submission_status"] for item in caller.get(f"{place}/evidence").json["data"]] == [
        "refused",
        "refused",
        "submitted",
    ]
    shown = caller.get(place).json
    assert (shown["status"], shown["outcome"], shown["fee"]) == ("won", "won", 0)


def test_a_form_brings_a_document_which_only_its_owner_gets_back(caller: Caller) -> None:
    made = caller.upload(PDF, "../../etc/Réceipt 1.pdf")
    assert made.status_code == 201
    body = made.json
    assert (body["status"], body["size"], body["content_type"]) == ("stored", len(PDF), "application/pdf")
    assert (body["filename"], body["upload_url"]) == ("Réceipt 1.pdf", None)
    assert caller.get(f"/v1/payments/uploads/{body['id']}").json == body
    back = caller.get(f"/v1/payments/uploads/{body['id']}/content")
    assert back.data == PDF
    assert back.headers["Content-Disposition"].startswith("attachment;")
    assert back.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in back.headers["Content-Security-Policy"]
    [file] = (settings.current().data_dir / "uploads" / caller.actor.tenant_id).iterdir()
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(PDF + b"altered")
    with pytest.raises(OSError):
        uploads.content(caller.actor, body["id"])


def test_a_form_is_refused_where_it_is_not_what_it_says(caller: Caller) -> None:
    for content, name, media, expected in (
        (b"<script>alert(1)</script>", "a.html", "text/html", (422, "unsupported_content_type")),
        (b"MZ\x90\x00", "a.pdf", "application/pdf", (422, "content_type_mismatch")),
        (PDF, "a.png", "image/png", (422, "content_type_mismatch")),
        (b"\xff\xfe\x00", "a.txt", "text/plain", (422, "content_type_mismatch")),
        (PDF, "a.txt", "text/plain", (422, "content_type_mismatch")),
        (b"", "a.pdf", "application/pdf", (400, "empty_document")),
        (PDF + b"0" * MAX_BYTES, "a.pdf", "application/pdf", (413, "payload_too_large")),
        (PDF + b"0" * MAX_BYTES * 2, "a.pdf", "application/pdf", (413, "payload_too_large")),
    ):
        assert code(caller.upload(content, name, media)) == expected, name
    empty = caller.client.post(
        "/v1/payments/uploads",
        data={"x": "y"},
        headers=caller.shop.bearer,
        content_type="multipart/form-data",
    )
    assert code(empty) == (400, "missing_field")
    two = {"file": [(io.BytesIO(PDF), "a.pdf", "application/pdf"), (io.BytesIO(PNG), "b.png", "image/png")]}
    both = caller.client.post("/v1/payments/uploads", data=two, headers=caller.shop.bearer)
    assert code(both) == (400, "one_document")
    assert not (settings.current().data_dir / "uploads").exists()
    exact = caller.upload(PDF + b"0" * (MAX_BYTES - len(PDF)))
    assert exact.status_code == 201


def test_a_document_is_on_the_disk_with_its_name(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, honest = [], os.fsync

    def fsync(descriptor: int) -> None:
        kept.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        honest(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        uploads.store(caller.actor, "a.pdf", "application/pdf", PDF)
    assert kept == [False, True]


def test_one_key_keeps_one_document(caller: Caller) -> None:
    key = {"headers": {"Idempotency-Key": "k1"}}
    first, again = caller.upload(PDF, **key), caller.upload(PDF, **key)
    assert first.json == again.json
    assert code(caller.upload(PDF + b"other", **key)) == (422, "idempotency_key_reused")


def test_a_signed_address_takes_one_document_until_it_expires(caller: Caller, client: FlaskClient) -> None:
    asked = caller.post("/v1/payments/uploads", {"filename": "a.pdf", "content_type": "application/pdf"})
    assert asked.status_code == 201
    body = asked.json
    assert (body["status"], body["upload_method"], body["size"]) == ("pending", "PUT", None)
    address = urlsplit(body["upload_url"])
    place = f"{address.path}?{address.query}"
    assert code(caller.get(f"/v1/payments/uploads/{body['id']}/content")) == (404, "upload_not_found")

    def put(content: bytes, at: str = place, media: str = "application/pdf") -> TestResponse:
        return client.put(at, data=content, content_type=media)

    assert code(put(PDF, address.path)) == (401, "invalid_signature")
    assert code(put(PDF, place[:-1] + ("A" if place[-1] != "A" else "B"))) == (401, "invalid_signature")
    assert code(put(PNG, place, "image/png")) == (422, "content_type_mismatch")
    assert code(put(b"no pdf")) == (422, "content_type_mismatch")
    assert code(put(PDF + b"0" * MAX_BYTES)) == (413, "payload_too_large")
    with later(901):
        assert code(put(PDF)) == (401, "invalid_signature")
    done = put(PDF)
    assert (done.status_code, done.json["status"], done.json["upload_url"]) == (200, "stored", None)
    assert put(PDF).json == done.json
    assert code(put(PDF + b"other")) == (409, "upload_already_stored")
    assert caller.get(f"/v1/payments/uploads/{body['id']}/content").data == PDF
    other = caller.post("/v1/payments/uploads", {"filename": "b.pdf", "content_type": "application/pdf"}).json
    assert code(put(PDF, f"/v1/uploads/{other['id']}?{address.query}")) == (401, "invalid_signature")
    with reading() as db:
        mine = select(JournalEntry.type, JournalEntry.actor_kind).where(JournalEntry.entity_id == body["id"])
        assert sorted(tuple(row) for row in db.execute(mine)) == [
            ("upload.announced", "api_key"),
            ("upload.stored", "system"),
        ]
    with later(2 * 86_400):
        assert uploads.clean() == 1
    assert caller.get(f"/v1/payments/uploads/{other['id']}").status_code == 404
    assert caller.get(f"/v1/payments/uploads/{body['id']}").status_code == 200


def test_what_is_asked_for_must_be_a_document(caller: Caller) -> None:
    for body, expected in (
        ({"filename": "a.exe", "content_type": "application/x-dosexec"}, (422, "unsupported_content_type")),
        ({"filename": "", "content_type": "application/pdf"}, (400, "invalid_field")),
        ({"content_type": "application/pdf"}, (400, "missing_field")),
    ):
        assert code(caller.post("/v1/payments/uploads", body)) == expected
    assert disputes.list_page(caller.actor, disputes.Filters()).data == []
