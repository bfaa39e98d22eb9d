"""CK-035 to CK-038 and CK-075 over HTTP, and the receipt's page."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.connectors import base
from app.providers.base import CartLine, CartSnapshot
from app.services.access import keys, tokens
from app.services.checkout import receipts, rollback, sessions
from app.services.checkout.drafts import SessionDraft
from app.services.operations import jobs
from app.services.payments import gateway
from tests import finalizations
from tests.finalizations import charges, orders, ready
from tests.shops import Shop, make

pytestmark = pytest.mark.usefixtures("holds")

BASE = "/v1/checkout"


def post(client: FlaskClient, shop: Shop, path: str, body: Any = None, **headers: str) -> TestResponse:
    sent = {**shop.bearer, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.post(BASE + path, json=body or {}, headers=sent)


def test_finalizing_answers_order_and_receipt(client: FlaskClient, shop: Shop) -> None:
    session = ready(shop)
    body = {"create_order": True, "order_service_hint": {"warehouse": "north"}}
    answer = post(client, shop, f"/sessions/{session.id}/finalize", body)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.json is not None
    done = answer.json
    assert done["status"] == "completed"
    assert [done["order_id"]] == [order_id for order_id, _ in orders(session)]
    assert done["receipt_id"].startswith("rcpt_")
    page = client.get(done["receipt_url"].removeprefix("http://localhost:8000"))
    assert page.status_code == 200
    again = post(client, shop, f"/sessions/{session.id}/finalize")
    assert again.json == done
    read = client.get(f"{BASE}/sessions/{session.id}", headers=shop.bearer).json
    assert read is not None
    assert (read["status"], read["order_id"], read["receipt_id"]) == (
        "completed",
        done["order_id"],
        done["receipt_id"],
    )


def test_a_key_gives_the_same_answer_again(client: FlaskClient, shop: Shop) -> None:
    session = ready(shop)
    path = f"/sessions/{session.id}/finalize"
    first = post(client, shop, path, Idempotency_Key="k1")
    again = post(client, shop, path, Idempotency_Key="k1")
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    other = post(client, shop, path, {"create_order": False}, Idempotency_Key="k1")
    assert (other.status_code, (other.json or {})["code"]) == (422, "idempotency_key_reused")


def test_a_refusal_names_its_reasons_and_is_not_kept(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(hosted=False)
    answer = post(client, shop, f"/sessions/{session.id}/finalize", Idempotency_Key="k1")
    assert answer.status_code == 422
    assert answer.json is not None
    assert (answer.json["code"], answer.json["status"]) == ("finalization_failed", "failed")
    assert answer.json["failure_reasons"][0]["code"] == "payment_required"
    assert answer.json["explain"] == {"reason": "finalization_failed", "reasons": ["payment_required"]}
    shop.pay(session)
    assert post(client, shop, f"/sessions/{session.id}/finalize", Idempotency_Key="k1").status_code == 200


@pytest.mark.parametrize(
    "body", [{"create_order": "yes"}, {"order_service_hint": []}, {"unknown": 1}, {"create_order": None}]
)
def test_bad_bodies_are_refused(client: FlaskClient, shop: Shop, body: dict[str, Any]) -> None:
    session = ready(shop)
    for path in ("finalize", "finalize/async"):
        answer = post(client, shop, f"/sessions/{session.id}/{path}", body)
        assert answer.status_code == 400, path
    assert shop.read(session).status == "payment_processing"


def test_in_the_background(client: FlaskClient, shop: Shop) -> None:
    session = ready(shop, "manual")
    answer = post(client, shop, f"/sessions/{session.id}/finalize/async")
    assert answer.status_code == 202
    assert answer.json is not None
    job_id = answer.json["job_id"]

    def poll() -> Any:
        found = client.get(f"{BASE}/finalizations/{job_id}", headers=shop.bearer)
        assert found.status_code == 200
        return found.json

    assert (poll()["status"], poll()["result"], poll()["errors"]) == ("queued", None, [])
    threads = client.get(f"{BASE}/threads", headers=shop.bearer).json
    assert threads is not None
    assert [(row["job_id"], row["checkout_id"], row["status"]) for row in threads["data"]] == [
        (job_id, session.id, "queued")
    ]
    finalizations.work()
    now = shop.read(session)
    assert poll()["status"] == "succeeded"
    assert (poll()["result"]["order_id"], poll()["result"]["receipt_id"]) == (now.order_id, now.receipt_id)
    assert charges() == [("captured", 1620, 0)]


def test_a_job_that_cannot_says_why(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(hosted=False)
    answer = post(client, shop, f"/sessions/{session.id}/finalize/async")
    finalizations.work()
    found = client.get(f"{BASE}/finalizations/{(answer.json or {})['job_id']}", headers=shop.bearer).json
    assert found is not None
    assert found["status"] == "failed"
    assert [error["code"] for error in found["errors"]] == ["payment_required"]
    assert shop.read(session).status == "created"


def test_jobs_are_seen_by_their_own_only(client: FlaskClient, shop: Shop) -> None:
    session, second, other = ready(shop), shop.session(hosted=False), make("Other shop")
    job_id = (post(client, shop, f"/sessions/{session.id}/finalize/async").json or {})["job_id"]
    path = f"{BASE}/finalizations/{job_id}"
    assert client.get(path, headers=other.bearer).status_code == 404
    mine = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    assert client.get(path, headers=mine).status_code == 200
    theirs = {"Authorization": f"Bearer {tokens.client_token(second)}"}
    assert client.get(path, headers=theirs).status_code == 404
    assert client.get(f"{BASE}/threads", headers=other.bearer).json["data"] == []  # type: ignore[index]
    assert client.get(f"{BASE}/threads", headers=mine).status_code == 403
    with_other = jobs.list_page(shop.actor).data[0]
    assert with_other.id == job_id


def test_threads_are_for_admins_and_come_in_pages(client: FlaskClient, shop: Shop) -> None:
    made = [
        (post(client, shop, f"/sessions/{shop.session(hosted=False).id}/finalize/async").json or {})["job_id"]
        for _ in range(3)
    ]
    _, secret = keys.create(shop.actor, "clerk", scopes=["checkout:read", "checkout:write"])
    refused = client.get(f"{BASE}/threads", headers={"Authorization": f"Bearer {secret}"})
    assert refused.status_code == 403
    seen, cursor = [], None
    for _ in range(3):
        query = f"?limit=1&cursor={cursor}" if cursor else "?limit=1"
        page = client.get(f"{BASE}/threads{query}", headers=shop.bearer).json
        assert page is not None
        seen += [row["job_id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == (made[::-1], None)
    assert client.get(f"{BASE}/threads?cursor=!", headers=shop.bearer).status_code == 400


def test_other_merchants_and_browsers(client: FlaskClient, shop: Shop) -> None:
    session, other = ready(shop), make("Other shop")
    for path in ("finalize", "finalize/async", "finalize/rollback"):
        assert post(client, other, f"/sessions/{session.id}/{path}").status_code == 404
    browser = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    url = f"{BASE}/sessions/{session.id}/finalize"
    assert client.post(url, json={"create_order": False}, headers=browser).status_code == 403
    assert client.post(f"{url}/rollback", json={}, headers=browser).status_code == 403
    assert client.post(url, json={}, headers=browser).status_code == 200


def test_rolling_back_answers_step_by_step(client: FlaskClient, shop: Shop) -> None:
    session = ready(shop)
    path = f"/sessions/{session.id}/finalize/rollback"
    post(client, shop, f"/sessions/{session.id}/finalize")
    answer = post(client, shop, path)
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["session_status"]) == ("rolled_back", "failed")
    assert {step["step"]: step["status"] for step in answer.json["steps"]} == {
        "order": "done",
        "receipt": "done",
        "wallet": "nothing_to_do",
        "reservation": "done",
        "payment": "done",
    }
    assert post(client, shop, path).json == answer.json
    fresh = shop.session(hosted=False)
    refused = post(client, shop, f"/sessions/{fresh.id}/finalize/rollback")
    assert (refused.status_code, (refused.json or {})["code"]) == (409, "nothing_to_roll_back")


def test_a_receipt_is_a_page_that_escapes_what_it_shows(client: FlaskClient, shop: Shop) -> None:
    line = CartLine("line_1", "MUG", "<script>alert(1)</script>", 2, 1500)
    draft = SessionDraft("checkout", cart=CartSnapshot("GBP", (line,)), hosted=True)
    session = sessions.create(shop.actor, draft)
    shop.pay(session)
    paid = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert f"/pay/{session.hosted_id}/receipt" in paid
    led = client.get(f"/pay/{session.hosted_id}/receipt")
    assert led.status_code == 303
    issued = finalizations.receipts(session)[0]
    assert led.location == receipts.url_of(issued)
    page = client.get(f"/receipts/{issued.token}")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert issued.public_number in text
    assert "£32.40" in text
    assert "4242" in text
    post(client, shop, f"/sessions/{session.id}/finalize/rollback")
    assert "void" in client.get(f"/receipts/{issued.token}").get_data(as_text=True)


def test_nobody_guesses_a_receipt(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    receipts.issue_due()
    issued = finalizations.receipts(session)[0]
    for guess in (issued.id, str(issued.number), issued.token[:-1]):
        assert client.get(f"/receipts/{guess}").status_code == 404
    assert client.get(f"/pay/{shop.session().hosted_id}/receipt").status_code == 404


def test_the_page_of_an_undone_sale_says_where_the_money_is(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = shop.session()
    shop.pay(session)
    with monkeypatch.context() as patch:
        patch.setattr(gateway, "refund", lambda item, attempt: base.Declined("insufficient_balance"))
        rollback.roll_back(shop.actor, session.id)
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert "No money has left" not in page
    assert "looking into your payment" in page
    assert "/again" not in page, "who is told not to pay again is not led to it"
    rollback.roll_back(shop.actor, session.id)
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert "on its way back to you" in page and "/again" in page


def test_a_capture_leads_into_it_and_stands_where_the_sale_does_not(client: FlaskClient, shop: Shop) -> None:
    session = ready(shop, "manual")
    answer = post(client, shop, f"/payment-intents/{shop.intent(session).id}/capture", Idempotency_Key="c1")
    assert answer.status_code == 200
    done = (answer.json or {})["finalization"]
    assert [(done["status"], done["order_id"])] == [
        ("completed", order_id) for order_id, _ in orders(session)
    ]
    second = ready(shop, "manual", options={"require_billing_address": True})
    answer = post(client, shop, f"/payment-intents/{shop.intent(second).id}/capture")
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["finalization"]["status"]) == (
        "succeeded",
        "payment_processing",
    )
    assert charges() == [("captured", 1620, 0), ("captured", 1620, 0)]
    refused = post(client, shop, f"/sessions/{second.id}/finalize")
    assert (refused.json or {})["failure_reasons"][0]["code"] == "missing_billing_address"
