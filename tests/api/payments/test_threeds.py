"""3-D Secure by API: the challenge and its parameters, every way it can end, and that it ends once."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.connectors.sandbox import book, challenges
from app.db import reading
from app.services.checkout import payment
from tests.buyers import together
from tests.payments_api import Api
from tests.shops import CHALLENGED, GOOD, later

pytestmark = pytest.mark.usefixtures("holds")


def started(api: Api, number: str = CHALLENGED, **fields: Any) -> tuple[str, dict[str, Any]]:
    """An intent at its challenge: its path and the answer of start."""
    path = f"/intents/{api.intent(number, **fields)['id']}"
    return path, api.post(f"{path}/3ds/start", {"return_url": "https://shop.test/back?cart=7"})


def at_the_bank(view: dict[str, Any]) -> str:
    return str(view["acs_url"]).rsplit("/", 1)[1]


def cres(transaction_id: str, **changes: str) -> str:
    """A challenge response as EMV 3-D Secure has it."""
    message = {"messageType": "CRes", "threeDSServerTransID": transaction_id, "transStatus": "Y", **changes}
    return base64.urlsafe_b64encode(json.dumps(message).encode()).rstrip(b"=").decode()


def charges() -> list[tuple[str, int]]:
    with reading() as db:
        return [tuple(row) for row in db.execute(select(book.payments.c.status, book.payments.c.captured))]


def test_start_gives_the_challenge_and_complete_takes_the_payment_on(api: Api) -> None:
    path, view = started(api)
    assert (view["status"], view["challenge_required"]) == ("requires_action", True)
    parameters = view["challenge"]
    assert (parameters["acs_url"], parameters["version"]) == (view["acs_url"], "2.2.0")
    assert api.post(f"{path}/3ds/start")["challenge"] == parameters, "the same one, as long as it waits"
    assert api.get(f"{path}/next-action")["challenge"] == parameters
    challenges.answer(at_the_bank(view), "123456")
    told = {"transaction_id": parameters["transaction_id"], "cres": cres(parameters["transaction_id"])}
    assert api.post(f"{path}/3ds/complete", told)["status"] == "succeeded"
    api.get(f"{path}/next-action", 204)
    charge = api.get(f"{path}/charges")["data"][0]
    assert (charge["3ds_result"], charge["status"]) == ("authenticated", "captured")
    assert charges() == [("captured", 5000)]


def test_start_asks_for_it_whatever_the_card_wants(api: Api) -> None:
    _, view = started(api, GOOD)
    assert view["challenge_required"]
    path = f"/intents/{api.intent(payment_method_options={'card': {'request_three_d_secure': 'any'}})['id']}"
    assert api.post(f"{path}/confirm")["next_action"]["type"] == "3ds_challenge"


def test_a_card_without_a_challenge_goes_through_frictionless(api: Api) -> None:
    path = f"/intents/{api.intent('4000000000003055')['id']}"
    assert api.post(f"{path}/confirm")["status"] == "succeeded"
    assert api.get(f"{path}/charges")["data"][0]["3ds_result"] == "frictionless"
    assert api.post(f"{path}/3ds/complete", expect=409)["code"] == "three_ds_not_pending"


def test_manual_capture_waits_after_the_challenge(api: Api) -> None:
    path, view = started(api, capture_mode="manual")
    challenges.answer(at_the_bank(view), "123456")
    assert api.post(f"{path}/3ds/complete")["status"] == "requires_capture"


@pytest.mark.parametrize(
    ("result", "code"),
    [("failed", "authentication_failed"), ("abandoned", "authentication_abandoned")],
)
def test_a_client_that_tells_of_failure_ends_the_challenge_at_the_gateway(
    api: Api, result: str, code: str
) -> None:
    path, view = started(api)
    done = api.post(f"{path}/3ds/complete", {"result": result})
    assert (done["status"], done["last_error"]["decline_code"]) == ("requires_payment_method", code)
    assert charges() == [("voided", 0)]
    challenges.answer(at_the_bank(view), "123456")
    assert charges() == [("voided", 0)]
    again = api.post(f"{path}/confirm", {"payment_method_id": api.method()})
    assert again["status"] == "succeeded"


def test_the_bank_decides_and_not_the_client(api: Api) -> None:
    path, _ = started(api)
    waiting = api.post(f"{path}/3ds/complete", {"result": "authenticated"})
    assert waiting["status"] == "requires_action", "the bank knows nothing of it"
    assert charges() == [("action_required", 0)]
    path, view = started(api)
    for _ in range(3):
        challenges.answer(at_the_bank(view), "000000")
    done = api.post(f"{path}/3ds/complete", {"result": "authenticated"})
    assert done["last_error"]["decline_code"] == "authentication_failed"
    path, view = started(api)
    challenges.answer(at_the_bank(view), "123456")
    assert api.post(f"{path}/3ds/complete", {"result": "failed"})["status"] == "succeeded"


def test_walking_away_is_found_out_when_the_time_is_over(api: Api) -> None:
    path, _ = started(api)
    with later(16 * 60):
        payment.sweep()
        found = api.get(path)
    assert (found["status"], found["last_error"]["decline_code"]) == (
        "requires_payment_method",
        "authentication_abandoned",
    )


def test_a_result_is_taken_once_and_for_its_own_challenge(api: Api) -> None:
    path, view = started(api)
    first = view["challenge"]["transaction_id"]
    api.post(f"{path}/3ds/complete", {"result": "failed", "transaction_id": first})
    spent = api.post(f"{path}/3ds/complete", {"result": "failed", "transaction_id": first}, 409)
    assert spent["code"] == "already_completed"
    view = api.post(f"{path}/3ds/start", {"payment_method_id": api.method(CHALLENGED)})
    for told in ({"transaction_id": first}, {"cres": cres(first)}):
        refused = api.post(f"{path}/3ds/complete", {"result": "abandoned", **told}, 422)
        assert refused["code"] == "three_ds_transaction_mismatch"
    assert api.get(path)["status"] == "requires_action", "the second challenge is untouched"
    for bad in ("e30", "!", cres(first, messageType="CReq"), "W10"):
        assert api.post(f"{path}/3ds/complete", {"cres": bad}, 400)["field"] == "cres"
    api.post(f"{path}/3ds/complete", {"result": "maybe"}, 400)


def test_of_sixteen_completions_one_is_the_one(api: Api) -> None:
    path, view = started(api)
    challenges.answer(at_the_bank(view), "123456")

    def complete(number: int) -> int:
        one = Api(api.client.application.test_client(), api.shop)
        return one.call("POST", f"{path}/3ds/complete", {}, key=f"tab-{number}").status_code

    answers = together(16, complete)
    assert sorted(str(answer) for answer in answers) == ["200", *["409"] * 15]
    assert api.get(path)["status"] == "succeeded"
    assert charges() == [("captured", 5000)]


def test_only_cards_have_it(api: Api) -> None:
    made = api.intent(None)
    api.post("/apm/ideal/initiate", {"intent_id": made["id"]})
    method = api.get(f"/intents/{made['id']}")["payment_method_id"]
    other = api.intent(None)
    refused = api.post(f"/intents/{other['id']}/3ds/start", {"payment_method_id": method}, 422)
    assert refused["code"] == "three_ds_not_applicable"
    assert api.post(f"/intents/{other['id']}/3ds/start", expect=409)["code"] == "payment_method_required"
    assert api.post(f"/intents/{made['id']}/3ds/complete", expect=409)["code"] == "three_ds_not_pending"


def test_the_shopper_goes_back_to_the_page_that_the_call_named(api: Api, client: FlaskClient) -> None:
    path, view = started(api)
    challenges.answer(at_the_bank(view), "123456")
    page = challenges.get(at_the_bank(view))
    assert page is not None
    body = client.get(page.return_url).get_data(as_text=True)
    assert "https://shop.test/back?cart=7&amp;payment_intent_id=" in body
    assert "redirect_status=succeeded" in body
    assert api.get(path)["status"] == "succeeded", "coming back is enough"
    plain = api.intent(CHALLENGED)
    api.post(f"/intents/{plain['id']}/confirm")
    action = api.get(f"/intents/{plain['id']}/next-action")
    back = challenges.get(action["url"].rsplit("/", 1)[1])
    assert back is not None
    assert "You can close this page" in client.get(back.return_url).get_data(as_text=True)
    assert client.get("/return/nobodys").status_code == 404


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://user:pw@shop.test/", "https://shop.test\\@evil.test/", "//evil.test"],
)
def test_a_return_url_that_leads_astray_is_refused_before_the_bank_is_asked(api: Api, url: str) -> None:
    made = api.intent(CHALLENGED)
    for path in ("confirm", "3ds/start"):
        assert api.post(f"/intents/{made['id']}/{path}", {"return_url": url}, 400)["field"] == "return_url"
    body = {"intent_id": made["id"], "return_url": url}
    assert api.post("/apm/ideal/initiate", body, 400)["field"] == "return_url"
    assert charges() == []
