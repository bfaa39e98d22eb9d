"""CK-047, CK-048, OP-36: an identity check, its documents from the signed address to their deletion, its end."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app import settings
from app.db import reading
from app.domain.actor import TenantProfile
from app.domain.errors import Conflict
from app.domain.rules.documents import MAX_BYTES
from app.kit import clock, signing
from app.models.events.journal import JournalEntry
from app.models.payments.upload import Upload
from app.models.risk.kyc import KycRequest
from app.providers import registry
from app.providers.base import KycOpening, Scope
from app.services.access import tokens
from app.services.checkout import identity, sessions
from app.services.operations import inbound_secrets
from app.services.payments import kyc_documents, uploads
from tests import buyers, reviewers, risks
from tests.reviewers import SESSIONS, notice
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")

PDF = b"%PDF-1.7\nPassport of Jane Roe"
PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff\xe0 and so on"
DAY = 86_400


def start(client: FlaskClient, shop: Shop, checkout_id: str, **given: Any) -> Any:
    return client.post(f"{SESSIONS}/{checkout_id}/kyc/start", headers=shop.bearer, **{"json": {}, **given})


def with_file(content: bytes, content_type: str, filename: str = "jane-roe.pdf") -> dict[str, Any]:
    """What makes a call a form with a file."""
    return {"json": None, "data": {"file": (io.BytesIO(content), filename, content_type)}}


def put(client: FlaskClient, url: str, content: bytes, content_type: str = "application/pdf") -> Any:
    path = url.removeprefix(settings.current().base_url)
    return client.put(path, data=content, content_type=content_type)


def complete(client: FlaskClient, shop: Shop, kyc_id: str, result: str) -> Any:
    return client.post(f"/v1/checkout/kyc/{kyc_id}/complete", json={"result": result}, headers=shop.bearer)


def read(client: FlaskClient, shop: Shop, kyc_id: str) -> Any:
    return client.get(f"/v1/checkout/kyc/{kyc_id}", headers=shop.bearer).get_json()


def requests_of(checkout_id: str) -> list[KycRequest]:
    statement = select(KycRequest).where(KycRequest.checkout_id == checkout_id).order_by(KycRequest.id)
    with reading() as db:
        return list(db.scalars(statement))


def files() -> list[Path]:
    """Whatever lies in the folder of identity documents."""
    return sorted(path for path in (settings.current().data_dir / "kyc").glob("*/*"))


def whole_journal() -> str:
    with reading() as db:
        return json.dumps([entry.data for entry in db.scalars(select(JournalEntry))])


def test_a_check_is_started_a_document_put_and_a_person_decides(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    answer = start(client, shop, session.id)
    assert answer.status_code == 201
    made = answer.get_json()
    assert made["kyc_id"].startswith("kyc_")
    assert (made["status"], made["documents"], made["upload_method"]) == ("pending", 0, "PUT")
    shown = client.get(f"{SESSIONS}/{session.id}", headers=shop.bearer).get_json()["kyc"]
    assert shown == {"kyc_id": made["kyc_id"], "status": "pending"}
    assert put(client, made["upload_url"], PDF).status_code == 200
    whole = read(client, shop, made["kyc_id"])
    assert (whole["status"], whole["documents"]) == ("submitted", 1)
    [document] = whole["document_list"]
    assert (document["content_type"], document["size"]) == ("application/pdf", len(PDF))
    done = complete(client, shop, made["kyc_id"], "approved")
    assert done.status_code == 200
    assert (done.get_json()["status"], done.get_json()["decided_by"]) == ("approved", shop.actor.id)
    shown = client.get(f"{SESSIONS}/{session.id}", headers=shop.bearer).get_json()
    assert (shown["kyc"]["status"], shown["review"]) == ("approved", None)
    kinds = [
        fact.type
        for name in ("kyc.pending", "kyc.submitted", "kyc.approved")
        for fact in reviewers.told(session.id, name)
    ]
    assert kinds == ["kyc.pending", "kyc.submitted", "kyc.approved"]
    assert shop.pay(session).status == "completed"


def test_a_form_brings_its_document_along(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    first = start(client, shop, session.id, **with_file(JPEG, "image/jpeg", "front.jpg"))
    assert (first.status_code, first.get_json()["status"]) == (201, "submitted")
    assert first.get_json()["upload_url"] is None
    second = start(client, shop, session.id, **with_file(PNG, "image/png", "back.png")).get_json()
    assert (second["kyc_id"], second["documents"]) == (first.get_json()["kyc_id"], 2)
    assert len(requests_of(session.id)) == 1
    assert [one["content_type"] for one in read(client, shop, second["kyc_id"])["document_list"]] == [
        "image/jpeg",
        "image/png",
    ]


def test_what_a_document_says_is_in_no_journal_and_its_file_is_private(
    client: FlaskClient, shop: Shop
) -> None:
    session = shop.session()
    start(client, shop, session.id, **with_file(PDF, "application/pdf", "Jane Roe passport.pdf"))
    [file] = files()
    assert b"%PDF" not in file.read_bytes()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "static" not in file.parts and "templates" not in file.parts
    with reading() as db:
        [row] = db.scalars(select(Upload))
    assert row.filename == "document.pdf"
    written = whole_journal()
    assert "Jane" not in written and (row.sha256 or "") not in written


def test_a_document_is_downloaded_by_who_may_decide_and_that_is_kept(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    made = start(client, shop, session.id, **with_file(PDF, "application/pdf")).get_json()
    [document] = read(client, shop, made["kyc_id"])["document_list"]
    path = f"/v1/checkout/kyc/{made['kyc_id']}/documents/{document['document_id']}"
    answer = client.get(path, headers=shop.bearer)
    assert (answer.status_code, answer.data) == (200, PDF)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    [fact] = reviewers.told(session.id, "kyc.document_read")
    assert (fact.actor_id, fact.data["after"]) == (shop.actor.id, {"document_id": document["document_id"]})
    browser = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    assert client.get(path, headers=browser).status_code == 403
    assert client.get(path, headers=reviewers.scoped(shop, "fraud:read")).status_code == 403
    assert client.get(path, headers=risks.another().bearer).status_code == 404
    assert client.get(path[:-3] + "xyz", headers=shop.bearer).status_code == 404
    files()[0].unlink()
    assert client.get(path, headers=shop.bearer).get_json()["code"] == "document_not_found"
    assert len(reviewers.told(session.id, "kyc.document_read")) == 1


def test_an_identity_document_is_no_evidence_and_no_upload_of_the_merchants(
    client: FlaskClient, shop: Shop
) -> None:
    session = shop.session()
    made = start(client, shop, session.id, **with_file(PDF, "application/pdf")).get_json()
    [document] = read(client, shop, made["kyc_id"])["document_list"]
    path = f"/v1/payments/uploads/{document['document_id']}"
    assert client.get(path, headers=shop.bearer).status_code == 404
    assert client.get(f"{path}/content", headers=shop.bearer).status_code == 404


def test_the_signed_address_is_for_one_document_and_expires(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    made = start(client, shop, session.id).get_json()
    url = made["upload_url"]
    assert start(client, shop, session.id).get_json()["upload_url"] == url, "what waits is given again"
    assert put(client, url[:-2] + "xx", PDF).status_code == 401
    with later(16 * 60):
        assert put(client, url, PDF).status_code == 401
    assert files() == []
    assert put(client, url, PDF).status_code == 200
    assert put(client, url, PDF).status_code == 200, "the same bytes once more"
    other = put(client, url, PDF + b"!")
    assert (other.status_code, other.get_json()["code"]) == (409, "upload_already_stored")
    assert len(files()) == 1
    assert read(client, shop, made["kyc_id"])["documents"] == 1
    assert start(client, shop, session.id).get_json()["upload_url"] != url


BAD: tuple[tuple[bytes, str, int], ...] = (
    (b"", "application/pdf", 400),
    (b"just text", "text/plain", 422),
    (b"<html>", "text/html", 422),
    (b"<svg/>", "image/svg+xml", 422),
    (PNG, "application/pdf", 422),
    (PDF, "image/jpeg", 422),
    (PDF + b"x" * MAX_BYTES, "application/pdf", 413),
)


def test_what_is_no_picture_or_pdf_is_refused_and_nothing_is_kept(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    for content, content_type, status in BAD:
        answer = start(client, shop, session.id, **with_file(content, content_type))
        assert answer.status_code == status, content_type
    assert requests_of(session.id) == [], "a check is not begun with a bad document"
    url = start(client, shop, session.id).get_json()["upload_url"]
    for content, content_type, status in BAD:
        if content_type in ("application/pdf", "text/plain", "image/jpeg"):
            assert put(client, url, content, content_type).status_code == status
    two = {"file": [(io.BytesIO(PDF), "a.pdf"), (io.BytesIO(PDF), "b.pdf")]}
    answer = start(client, shop, session.id, json=None, data=two)
    assert answer.get_json()["code"] == "one_document"
    form = {"json": None, "data": {"words": "none"}, "content_type": "multipart/form-data"}
    assert start(client, shop, session.id, **form).get_json()["field"] == "file"
    assert start(client, shop, session.id, json={"mood": "good"}).status_code == 400
    assert files() == []
    assert [row.status for row in requests_of(session.id)] == ["pending"]


def test_ten_documents_are_enough(shop: Shop) -> None:
    session = shop.session()
    made = buyers.together(
        12, lambda number: identity.hand_in(shop.actor, session.id, "image/png", PNG + bytes([number]))
    )
    refused = [one for one in made if isinstance(one, Exception)]
    assert [getattr(one, "code", one) for one in refused] == ["too_many_documents"] * 2
    [request] = requests_of(session.id)
    assert (request.documents, len(files())) == (10, 10)
    assert len(reviewers.told(session.id, "kyc.submitted")) == 1


def test_a_document_put_twice_at_once_is_one(shop: Shop) -> None:
    session = shop.session()
    waiting = identity.start(shop.actor, session.id).waiting
    assert waiting is not None
    made = buyers.together(
        6, lambda number: kyc_documents.put(waiting, "image/png", PNG + bytes([number % 2]))
    )
    lost = [one for one in made if isinstance(one, Exception)]
    assert len(lost) == 3
    assert all(isinstance(one, Conflict) and one.code == "upload_already_stored" for one in lost), lost
    [request] = requests_of(session.id)
    assert (request.documents, len(files())) == (1, 1)


def test_a_rejected_check_puts_the_checkout_under_review(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    kyc_id = start(client, shop, session.id).get_json()["kyc_id"]
    assert complete(client, shop, kyc_id, "rejected").get_json()["status"] == "rejected"
    seen = client.get(f"{SESSIONS}/{session.id}", headers=shop.bearer).get_json()
    assert (seen["kyc"]["status"], seen["review"]["status"], seen["review"]["source"]) == (
        "rejected",
        "pending",
        "kyc",
    )
    with pytest.raises(Conflict) as refused:
        shop.pay(session)
    assert refused.value.code == "manual_review_pending"
    second = start(client, shop, session.id).get_json()
    assert second["kyc_id"] != kyc_id, "after a rejection another check may be made"
    assert shop.read(session).kyc == {"kyc_id": second["kyc_id"], "status": "pending"}


def test_a_decision_about_an_identity_stands(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    made = start(client, shop, session.id).get_json()
    first = complete(client, shop, made["kyc_id"], "approved").get_json()
    assert complete(client, shop, made["kyc_id"], "approved").get_json() == first
    other = complete(client, shop, made["kyc_id"], "rejected")
    assert (other.status_code, other.get_json()["code"]) == (409, "kyc_decided")
    assert put(client, made["upload_url"], PDF).get_json()["code"] == "kyc_decided"
    again = start(client, shop, session.id)
    assert (again.status_code, again.get_json()["code"]) == (409, "kyc_approved")
    assert start(client, shop, session.id, **with_file(PDF, "application/pdf")).status_code == 409
    assert files() == []
    assert len(reviewers.told(session.id, "kyc.approved")) == 1


def test_of_eight_decisions_at_once_one_stands(shop: Shop) -> None:
    session = shop.session()
    request = identity.start(shop.actor, session.id).request
    made = buyers.together(
        8, lambda number: identity.complete(shop.actor, request.id, approved=number % 2 == 0)
    )
    lost = [one for one in made if isinstance(one, Exception)]
    assert all(isinstance(one, Conflict) and one.code == "kyc_decided" for one in lost), lost
    assert len(lost) == 4
    [row] = requests_of(session.id)
    assert len(reviewers.told(session.id, f"kyc.{row.status}")) == 1


def test_a_provider_decides_by_a_signed_webhook_once(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    kyc_id = start(client, shop, session.id).get_json()["kyc_id"]
    body = {"id": "ky_1", "kyc_id": kyc_id, "result": "approved"}
    for _ in range(2):
        answer = notice(client, shop, "kyc", **body)
        assert (answer.status_code, answer.get_json()) == (200, {"received": True})
    late = notice(client, shop, "kyc", id="ky_2", kyc_id=kyc_id, result="rejected")
    assert late.status_code == 200
    [row] = requests_of(session.id)
    assert (row.status, row.decided_by) == ("approved", "kyc_provider")
    assert len(reviewers.told(session.id, "kyc.approved")) == 1
    assert shop.read(session).review is None


def test_eight_webhooks_at_once_are_one(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    kyc_id = start(client, shop, session.id).get_json()["kyc_id"]
    raw = json.dumps({"id": "ky_1", "kyc_id": kyc_id, "result": "rejected"}).encode()
    secret = inbound_secrets.find(shop.actor.tenant_id, "kyc") or ""
    headers = {"X-Webhook-Signature": signing.timestamped_signature(raw, [secret], clock.now())}
    made = buyers.together(8, lambda _: identity.receive(raw, headers))
    assert sorted(str(one) for one in made) == ["False"] * 7 + ["True"]
    assert len(reviewers.told(session.id, "review.pending")) == 1


def test_no_webhook_about_an_identity_is_believed_unsigned(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    kyc_id = start(client, shop, session.id).get_json()["kyc_id"]
    raw = json.dumps({"kyc_id": kyc_id, "result": "approved"}).encode()
    path = "/v1/checkout/webhook/kyc"
    stranger = risks.another()
    for owner, kind in ((shop, "fraud"), (stranger, "kyc")):
        secret = inbound_secrets.find(owner.actor.tenant_id, kind) or ""
        signature = signing.timestamped_signature(raw, [secret], clock.now())
        answer = client.post(path, data=raw, headers={"X-Webhook-Signature": signature})
        assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_signature")
    assert client.post(path, data=raw).status_code == 401
    mine = inbound_secrets.find(shop.actor.tenant_id, "kyc") or ""
    headers = {"X-Webhook-Signature": signing.timestamped_signature(raw, [mine], clock.now())}
    assert client.post(path, data=raw + b" ", headers=headers).status_code == 401, "the bytes are signed"
    with later(301):
        assert client.post(path, data=raw, headers=headers).status_code == 401, "too old"
    assert notice(client, shop, "kyc", kyc_id="kyc_nobody", result="approved").status_code == 401
    for change in ({"result": "perhaps"}, {"result": None}, {"id": "a b"}):
        body = {"id": "ky_1", "kyc_id": kyc_id, "result": "approved", **change}
        assert notice(client, shop, "kyc", **body).status_code == 400, change
    assert [row.status for row in requests_of(session.id)] == ["pending"]


def test_who_may_start_read_and_decide(client: FlaskClient, shop: Shop) -> None:
    session, other = shop.session(), shop.session()
    browser = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    path = f"{SESSIONS}/{session.id}/kyc/start"
    assert client.post(path, json={}).status_code == 401
    assert client.post(path, json={}, headers=risks.another().bearer).status_code == 404
    elsewhere = f"{SESSIONS}/{other.id}/kyc/start"
    assert client.post(elsewhere, json={}, headers=browser).status_code == 404
    assert client.post(path, json={}, headers=reviewers.scoped(shop, "checkout:read")).status_code == 403
    made = client.post(path, json={}, headers=browser)
    assert made.status_code == 201, "the shopper's browser hands the documents in"
    kyc = f"/v1/checkout/kyc/{made.get_json()['kyc_id']}"
    done = {"result": "approved"}
    assert client.post(f"{kyc}/complete", json=done, headers=browser).status_code == 403
    assert client.get(kyc, headers=browser).status_code == 403
    reads = reviewers.scoped(shop, "fraud:read")
    assert client.post(f"{kyc}/complete", json=done, headers=reads).status_code == 403
    assert client.get(kyc, headers=reads).status_code == 200
    assert client.post(f"{kyc}/complete", json={"result": "maybe"}, headers=shop.bearer).status_code == 400
    assert client.post(f"{kyc}/complete", json={}, headers=shop.bearer).status_code == 400
    assert [row.status for row in requests_of(session.id)] == ["pending"]


@pytest.mark.parametrize("status", ["completed", "canceled"])
def test_a_checkout_that_is_over_has_nobody_left_to_identify(
    client: FlaskClient, shop: Shop, status: str
) -> None:
    session = shop.session()
    shop.pay(session) if status == "completed" else sessions.cancel(shop.actor, session.id)
    answer = start(client, shop, session.id)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "invalid_state")
    assert requests_of(session.id) == []


def test_documents_are_deleted_thirty_days_after_the_decision(client: FlaskClient, shop: Shop) -> None:
    decided, open_ = shop.session(), shop.session()
    made = start(client, shop, decided.id, **with_file(PDF, "application/pdf")).get_json()
    kept = start(client, shop, open_.id, **with_file(PNG, "image/png")).get_json()
    complete(client, shop, made["kyc_id"], "approved")
    with later(29 * DAY):
        assert kyc_documents.clean() == 0
    with later(31 * DAY):
        assert kyc_documents.clean() == 1
        assert kyc_documents.clean() == 0
    assert len(files()) == 1
    gone = read(client, shop, made["kyc_id"])
    assert (gone["status"], gone["documents"], gone["document_list"]) == ("approved", 1, [])
    assert len(reviewers.told(decided.id, "kyc.document_deleted")) == 1
    with later(91 * DAY):
        assert kyc_documents.clean() == 1, "nobody decided in three months"
    assert files() == []
    assert read(client, shop, kept["kyc_id"])["status"] == "submitted"


def test_documents_come_under_the_first_key_also_those_from_before(client: FlaskClient, shop: Shop) -> None:
    made = [
        start(client, shop, shop.session().id, **with_file(content, kind)).get_json()["kyc_id"]
        for content, kind in ((PDF, "application/pdf"), (PNG, "image/png"))
    ]
    [plain] = [file for file in files() if file.name.endswith(hashlib.sha256(PDF).hexdigest())]
    plain.write_bytes(PDF)  # as it was written before files were encrypted
    before = settings.current()

    def restart(keys: str) -> None:
        same = {"env": "test", "database_url": before.database_url, "data_dir": before.data_dir}
        settings.use(settings.load(**same, ephemeral=True, encryption_keys=keys, secret_key="a secret"))

    def contents() -> list[bytes]:
        checks = [identity.get(shop.actor, kyc_id) for kyc_id in made]
        documents = [(check, kyc_documents.listed(check)[0]) for check in checks]
        return [kyc_documents.content(shop.actor, check, document.id)[1] for check, document in documents]

    old = ",".join(
        f"{name}:{base64.b64encode(key).decode()}" for name, key in before.encryption_key_ring.items()
    )
    try:
        restart(f"new:{base64.b64encode(b'B' * 32).decode()},{old}")
        assert contents() == [PDF, PNG]
        assert (kyc_documents.rotate().rotated, kyc_documents.rotate().rotated) == (2, 0)
        restart(f"new:{base64.b64encode(b'B' * 32).decode()}")
        assert contents() == [PDF, PNG]
        restart(old)
        assert kyc_documents.rotate().unreadable == 2
        with pytest.raises(OSError, match="cannot be decrypted"):
            contents()
    finally:
        settings.use(before)


def test_a_file_that_no_row_names_is_swept(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    start(client, shop, session.id, **with_file(PDF, "application/pdf"))
    [file] = files()
    old = clock.now().timestamp() - 2 * DAY
    orphans = [file.with_name(name) for name in ("upl_gone.00", ".draft", f"{file.name[:-1]}x")]
    for orphan in orphans:
        orphan.write_bytes(PDF)
        os.utime(orphan, (old, old))
    young = file.with_name("upl_young.00")
    young.write_bytes(PDF)
    os.utime(file, (old, old))
    kyc_documents.clean()
    assert files() == sorted([file, young])


def test_what_nobody_put_is_forgotten(shop: Shop) -> None:
    identity.start(shop.actor, shop.session().id)
    with later(2 * DAY):
        assert uploads.clean() == 1


class Elsewhere:
    """A provider with pages of its own."""

    remote, name = True, "elsewhere"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def open(self, scope: Scope, kyc_id: str) -> KycOpening:
        """A page for each check."""
        self.asked.append(kyc_id)
        return KycOpening("ref_1", f"https://kyc.example/{kyc_id}")


def test_a_provider_with_its_own_page_takes_the_documents_there(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Elsewhere()

    def chosen(tenant: TenantProfile) -> Elsewhere:
        return provider

    monkeypatch.setattr(registry, "kyc", chosen)
    session = shop.session()
    made = start(client, shop, session.id).get_json()
    assert made["upload_url"] == f"https://kyc.example/{made['kyc_id']}"
    assert start(client, shop, session.id).get_json()["kyc_id"] == made["kyc_id"]
    assert provider.asked == [made["kyc_id"]]
    [row] = requests_of(session.id)
    assert (row.provider, row.provider_reference) == ("elsewhere", "ref_1")
    notice(client, shop, "kyc", kyc_id=made["kyc_id"], result="approved")
    assert requests_of(session.id)[0].status == "approved"
