"""Alternative methods by API and through the worker: the bank's four buttons, QR codes, transfers, wallets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.connectors.sandbox import book, challenges, notices
from app.db import reading, transaction
from app.models.access.tenant import Tenant
from app.models.operations.job import Job
from app.services.checkout import payment
from app.services.operations import inbound_secrets, jobs
from app.services.payments import apms, intents
from app.worker import queue
from tests import workers
from tests.buyers import together
from tests.payments_api import Api
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")

BACK = "https://shop.test/back"


def initiated(api: Api, apm_id: str, **fields: Any) -> dict[str, Any]:
    made = api.intent(None, **fields)
    return dict(api.post(f"/apm/{apm_id}/initiate", {"intent_id": made["id"], "return_url": BACK}))


def decide(view: dict[str, Any], *, approve: bool) -> None:
    challenges.decide(str(view["redirect_url"]).rsplit("/", 1)[1], approve=approve)


def confirmation(view: dict[str, Any]) -> dict[str, Any]:
    return {"intent_id": view["intent_id"], "token": view["token"]}


def deliver_notices(app: Flask) -> list[int]:
    """What the worker does: the sandbox's signed webhooks come in, and their jobs run."""
    client, statuses = app.test_client(), []

    def post(url: str, body: bytes, headers: dict[str, str]) -> int:
        path = "/" + url.split("/", 3)[3]
        statuses.append(client.post(path, data=body, headers=headers).status_code)
        return statuses[-1]

    notices.send_due(post, lambda tenant_id: inbound_secrets.find(tenant_id, "payment") or "")
    for job_id in jobs.due():
        queue.run_job(job_id)
    return statuses


def test_each_method_is_initiated_approved_and_confirmed(api: Api) -> None:
    types = {"promptpay": "qr_code", "bank_transfer": "awaiting_webhook"}
    for apm_id in sorted(apms.KNOWN):
        view = initiated(api, apm_id)
        assert view["next_action"]["type"] == types.get(apm_id, "redirect_to_url")
        assert view["status"] == ("processing" if apm_id == "bank_transfer" else "requires_action")
        assert (view["qr_payload"] is not None) == (apm_id == "promptpay")
        assert (view["details"] is not None) == (apm_id == "bank_transfer")
        assert api.get(f"/intents/{view['intent_id']}/next-action") == view["next_action"]
        early = api.post(f"/apm/{apm_id}/confirm", confirmation(view))
        assert early["status"] == view["status"], "a token alone proves nothing"
        decide(view, approve=True)
        assert api.post(f"/apm/{apm_id}/confirm", confirmation(view))["status"] == "succeeded", apm_id
        assert api.post(f"/apm/{apm_id}/confirm", confirmation(view), 409)["code"] == "already_completed"
        api.get(f"/intents/{view['intent_id']}/next-action", 204)


def test_a_bank_that_refuses_leaves_the_intent_for_another_method(api: Api) -> None:
    view = initiated(api, "ideal")
    decide(view, approve=False)
    done = api.post("/apm/ideal/confirm", confirmation(view))
    assert (done["status"], done["last_error"]["code"]) == ("requires_payment_method", "payment_declined")
    again = api.post("/apm/paypal/initiate", {"intent_id": view["intent_id"]})
    decide(again, approve=True)
    wrong = api.post("/apm/paypal/confirm", confirmation(view), 422)
    assert wrong["code"] == "payment_token_invalid", "the token of the first try"
    assert api.post("/apm/paypal/confirm", confirmation(again))["status"] == "succeeded"


@pytest.mark.parametrize("apm_id", ["bank_transfer", "promptpay", "klarna"])
def test_a_lost_browser_is_made_up_for_by_the_signed_webhook(api: Api, app: Flask, apm_id: str) -> None:
    view = initiated(api, apm_id)
    assert set(deliver_notices(app)) == {200}
    assert api.get(f"/intents/{view['intent_id']}")["status"] == view["status"]
    decide(view, approve=True)
    assert set(deliver_notices(app)) == {200}
    assert api.get(f"/intents/{view['intent_id']}")["status"] == "succeeded"
    assert api.post(f"/apm/{apm_id}/confirm", confirmation(view))["status"] == "succeeded"


def test_a_forged_webhook_confirms_nothing(api: Api, app: Flask) -> None:
    view = initiated(api, "bank_transfer")
    client = app.test_client()
    body = {"id": "e1", "type": "payment.authorized", "data": {"key": f"authorize_{view['charge_id']}"}}
    assert client.post("/v1/payments/webhook/gateway", json=body).status_code == 401
    assert api.get(f"/intents/{view['intent_id']}")["status"] == "processing"
    with reading() as db:
        assert db.scalars(select(Job)).all() == []


def test_an_abandoned_method_is_given_up_when_its_time_is_over(api: Api) -> None:
    quick, slow = initiated(api, "promptpay"), initiated(api, "bank_transfer")
    with later(16 * 60):
        payment.sweep()
        assert api.get(f"/intents/{quick['intent_id']}")["status"] == "requires_payment_method"
        assert api.get(f"/intents/{slow['intent_id']}")["status"] == "processing"
    with later(7 * 86_400 + 60):
        payment.sweep()
        after = api.get(f"/intents/{slow['intent_id']}")
    assert (after["status"], after["next_action"]) == ("requires_payment_method", None)
    assert not intents.get(api.shop.actor, slow["intent_id"]).needs_review


def test_a_transfer_that_is_waited_for_can_be_canceled(api: Api) -> None:
    view = initiated(api, "bank_transfer")
    done = api.post(f"/intents/{view['intent_id']}/cancel", {"reason": "timeout"})
    assert (done["status"], done["cancel_reason"]) == ("canceled", "timeout")
    decide(view, approve=True)
    with reading() as db:
        assert db.scalars(select(book.payments.c.status)).all() == ["voided"]


def test_manual_capture_of_a_redirect(api: Api) -> None:
    view = initiated(api, "paypal", capture_mode="manual")
    decide(view, approve=True)
    assert api.post("/apm/paypal/confirm", confirmation(view))["status"] == "requires_capture"
    record = api.post(f"/intents/{view['intent_id']}/capture", {"amount": 100})
    assert (record["status"], record["amount"]) == ("succeeded", 100)


def test_what_cannot_be_initiated(api: Api, shop: Shop) -> None:
    made = api.intent(None)
    body = {"intent_id": made["id"]}
    assert api.post("/apm/cash/initiate", body, 404)["code"] == "apm_not_found"
    assert api.post("/apm/card/initiate", body, 404)["code"] == "apm_not_found"
    api.post("/apm/ideal/initiate", {"intent_id": "pi_none"}, 404)
    api.post("/apm/ideal/initiate", {}, 400)
    api.post("/apm/ideal/confirm", {**body, "token": "x"}, 404)
    held = api.held()
    assert api.post("/apm/ideal/initiate", {"intent_id": held}, 409)["code"] == "invalid_state"
    with transaction() as db:
        db.execute(update(Tenant).values(settings={"allowed_methods": ["card", "paypal"]}))
    refused = api.post("/apm/ideal/initiate", body, 422)
    assert refused["code"] == "payment_method_not_supported"
    api.post("/apm/paypal/initiate", body)


def test_the_same_key_initiates_once(api: Api) -> None:
    made = api.intent(None)
    body = {"intent_id": made["id"]}
    first = api.post("/apm/ideal/initiate", body, key="k")
    assert api.post("/apm/ideal/initiate", body, key="k") == first
    with reading() as db:
        assert len(db.scalars(select(book.payments.c.reference)).all()) == 1


def test_of_sixteen_confirmations_one_learns_the_outcome(api: Api) -> None:
    view = initiated(api, "ideal")
    decide(view, approve=True)

    def confirm(number: int) -> int:
        one = Api(api.client.application.test_client(), api.shop)
        answer = one.call("POST", "/apm/ideal/confirm", confirmation(view), key=f"tab-{number}")
        return answer.status_code

    assert sorted(str(answer) for answer in together(16, confirm)) == ["200", *["409"] * 15]
    with reading() as db:
        assert db.execute(select(book.payments.c.status, book.payments.c.captured)).all() == [
            ("captured", 5000)
        ]


def test_a_checkouts_payment_is_initiated_with_its_checkout(api: Api, app: Flask) -> None:
    session = api.shop.session()
    api.shop.pay(session, "4000000000009995")
    intent_id = api.shop.intent(session).id
    view = api.post("/apm/bancontact/initiate", {"intent_id": intent_id, "return_url": BACK})
    assert api.shop.read(session).status == "payment_processing"
    decide(view, approve=True)
    landing = payment.resume(view["token"])
    assert landing is not None and landing.attempt.return_url == BACK
    assert api.shop.read(session).status == "completed"
    body = app.test_client().get(f"/return/{view['token']}").get_data(as_text=True)
    assert f"{BACK}?payment_intent_id={intent_id}" in body


def test_the_worker_confirms_what_the_bank_tells_it(
    api: Api, app: Flask, database: str, tmp_path: Path
) -> None:
    """A worker process takes the job of a webhook that came in by the front door."""
    view = initiated(api, "promptpay")
    decide(view, approve=True)
    client = app.test_client()

    def post(url: str, body: bytes, headers: dict[str, str]) -> int:
        return client.post("/" + url.split("/", 3)[3], data=body, headers=headers).status_code

    assert notices.send_due(post, lambda tenant_id: inbound_secrets.find(tenant_id, "payment") or "") == 2
    with workers.running(database, tmp_path):
        workers.until(lambda: intents.get(api.shop.actor, view["intent_id"]).status == "succeeded")
