"""A browser pays with a payment's client secret: this payment, as long as it lives, and nothing else (OP-07)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from flask.testing import FlaskClient
from sqlalchemy import text

from app import db
from app.connectors.sandbox import challenges
from app.models.base import Base
from app.services.access import keys
from app.services.payments import methods
from app.web import headers, logs
from tests import shops
from tests.payments_api import BASE, Api
from tests.shops import CHALLENGED, GOOD, Shop, later

pytestmark = pytest.mark.usefixtures("holds")


def test_a_browser_reads_attaches_confirms_and_completes_its_payment(api: Api) -> None:
    made = api.intent(None, metadata={"margin": 12}, merchant_account_id="ma_1")
    browser = api.browser(made["client_secret"])
    path = f"/intents/{made['id']}"
    seen = browser.get(path)
    assert (seen["amount"], seen["metadata"], seen["merchant_account_id"]) == (5000, {}, None)
    assert seen["client_secret"] is None
    browser.get(f"{path}/next-action", 204)
    browser.post(f"{path}/attach-method", {"payment_method_id": api.method(CHALLENGED)})
    asked = browser.post(f"{path}/confirm", {"return_url": "https://shop.test/back"})
    assert asked["status"] == "requires_action"
    action = browser.get(f"{path}/next-action")
    assert action["type"] == "3ds_challenge"
    page = api.client.get(urlsplit(action["url"]).path)
    framed = "frame-ancestors 'none'" not in page.headers["Content-Security-Policy"]
    assert ("not in a frame" in action["instructions"]) is not framed, "they say what works"
    challenges.answer(action["url"].rsplit("/", 1)[1], "123456")
    done = browser.post(f"{path}/3ds/complete", {"result": "authenticated"})
    assert (done["status"], done["client_secret"]) == ("succeeded", None)
    assert api.get(path)["metadata"] == {"margin": 12}


def test_it_opens_nothing_but_its_own_payment(api: Api) -> None:
    mine, other = api.intent(), api.intent()
    session = api.shop.session()
    browser = api.browser(mine["client_secret"])
    for path in (f"/intents/{other['id']}", f"/intents/{other['id']}/next-action"):
        browser.get(path, 404)
    for path in ("confirm", "3ds/start", "3ds/complete"):
        browser.post(f"/intents/{other['id']}/{path}", expect=404)
    browser.post("/apm/ideal/initiate", {"intent_id": other["id"]}, 404)
    browser.post("/apm/ideal/confirm", {"intent_id": other["id"], "token": "x"}, 404)
    method = {"payment_method_id": api.method()}
    browser.post(f"/intents/{other['id']}/attach-method", method, 404)
    for path in ("capture", "cancel"):
        assert browser.post(f"/intents/{mine['id']}/{path}", expect=403)["code"] == (
            "insufficient_permissions"
        )
    browser.patch(f"/intents/{mine['id']}", {"amount": 1}, 403)
    browser.post("/intents", {"amount": 100, "currency": "GBP"}, 403)
    browser.post("/refunds", {"payment_intent_id": mine["id"]}, 403)
    for path in (f"/intents/{mine['id']}/charges", f"/intents/{mine['id']}/transactions", "/webhooks"):
        browser.get(path, 403)
    headers = {"Authorization": f"Bearer {mine['client_secret']}"}
    for path in (f"/v1/checkout/sessions/{session.id}", f"/v1/checkout/payment-intents/{mine['id']}"):
        assert api.client.get(path, headers=headers).status_code == 403
    assert api.get(f"/intents/{other['id']}")["status"] == "requires_confirmation"


def test_it_is_short_lived_bound_and_cannot_be_made_up(api: Api) -> None:
    made, other = api.intent(), api.intent()
    secret = made["client_secret"]
    _, _, signed = secret.partition("_secret_")
    for wrong in (
        f"{other['id']}_secret_{signed}",
        secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        f"{made['id']}_secret_",
        f"{made['id']}_secret_x.y",
        made["id"],
    ):
        assert api.browser(wrong).call("GET", f"/intents/{made['id']}").status_code == 401, wrong
    with later(1790):
        api.browser(secret).get(f"/intents/{made['id']}")
    with later(1801):
        api.browser(secret).get(f"/intents/{made['id']}", 401)
        fresh = api.patch(f"/intents/{made['id']}", {})["client_secret"]
        api.browser(fresh).get(f"/intents/{made['id']}")


def test_it_is_shown_to_the_server_that_drives_the_payment_and_to_nobody_else(api: Api) -> None:
    made = api.intent()
    path = f"/intents/{made['id']}"
    assert made["client_secret"].startswith(f"{made['id']}_secret_")
    assert api.get(path)["client_secret"] is None
    _, reader = keys.create(api.shop.actor, "reader", scopes=["intents:read"])
    assert Api(api.client, api.shop, reader).get(path)["client_secret"] is None
    browser = api.browser(made["client_secret"])
    assert browser.post(f"{path}/confirm")["client_secret"] is None
    assert api.patch(path, {"description": "paid"})["client_secret"] is None, "it is over"


def test_it_is_kept_nowhere_in_plain_text_and_a_repeated_call_gets_it_again(api: Api) -> None:
    body = {"amount": 5000, "currency": "GBP"}
    made = api.post("/intents", body, 201, key="once")
    assert api.post("/intents", body, 201, key="once") == made
    with db.engine().connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(text(f'SELECT * FROM "{table.name}"')):
                assert made["client_secret"] not in json.dumps(list(row), default=str)


def test_it_is_never_logged(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("INFO")
    monkeypatch.setattr(headers, "log", structlog.get_logger())
    try:
        made = api.intent()
        api.browser(made["client_secret"]).get(f"/intents/{made['id']}")
        api.browser(made["client_secret"]).post(f"/intents/{made['id']}/capture", expect=403)
    finally:
        logs.configure("CRITICAL")
    written = capsys.readouterr().err
    assert written.count('"event": "request"') >= 3
    assert "_secret_" not in written


def test_a_browser_pays_with_one_off_methods_and_those_of_the_payments_customer(api: Api) -> None:
    saved = methods.tokenize_card(api.shop.actor, shops.card(GOOD), customer_id="cust_1", consent=True)
    choice = {"payment_method_id": saved.id}
    nobodys = api.intent(None)
    browser = api.browser(nobodys["client_secret"])
    for path in ("attach-method", "confirm"):
        refused = browser.post(f"/intents/{nobodys['id']}/{path}", choice, 422)
        assert refused["code"] == "payment_method_customer_mismatch"
    kept = methods.tokenize_card(api.shop.actor, shops.card(GOOD), consent=True)
    refused = browser.post(f"/intents/{nobodys['id']}/confirm", {"payment_method_id": kept.id}, 422)
    assert refused["code"] == "payment_method_customer_mismatch", "kept, but for nobody that this one is"
    api.post(f"/intents/{nobodys['id']}/attach-method", {"payment_method_id": kept.id})
    assert browser.post(f"/intents/{nobodys['id']}/confirm")["status"] == "succeeded", "its server chose it"
    own = api.intent(None, customer_id="cust_1")
    done = api.browser(own["client_secret"]).post(f"/intents/{own['id']}/confirm", choice)
    assert done["status"] == "succeeded"


def preflight(client: FlaskClient, path: str, method: str) -> Any:
    asked = {"Origin": "https://shop.test", "Access-Control-Request-Method": method}
    return client.options(BASE + path, headers=asked).headers


def test_pages_of_other_sites_may_call_what_a_browser_may(client: FlaskClient, shop: Shop) -> None:
    api = Api(client, shop)
    made = api.intent()
    for path, method in (("", "GET"), ("/confirm", "POST"), ("/3ds/complete", "POST")):
        told = preflight(client, f"/intents/{made['id']}{path}", method)
        assert told["Access-Control-Allow-Origin"] == "*"
        assert method in told["Access-Control-Allow-Methods"]
        assert "Authorization" in told["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in told
    answer = api.browser(made["client_secret"]).call(
        "GET", f"/intents/{made['id']}", Origin="https://shop.test"
    )
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    refused = api.browser("pi_x_secret_y").call("GET", f"/intents/{made['id']}", Origin="https://a.test")
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, "*")


def test_pages_of_other_sites_may_not_call_what_only_servers_may(client: FlaskClient, shop: Shop) -> None:
    for path in ("/intents", "/refunds", "/intents/pi_1/capture", "/webhooks", "/jobs/job_1"):
        assert "Access-Control-Allow-Origin" not in preflight(client, path, "POST")
    for path in ("/dashboard/sign-in", "/pay/hst_1", "/return/x"):
        answer = client.get(path, headers={"Origin": "https://shop.test"})
        assert "Access-Control-Allow-Origin" not in answer.headers
