"""Intents on the payments surface: changes, captures, voids, records, and who may not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from app.db import reading
from app.models.events.journal import JournalEntry
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payment
from app.services.payments import methods, refunds
from tests import shops
from tests.payments_api import Api
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, TIMES_OUT_AFTER, later

pytestmark = pytest.mark.usefixtures("holds")


def test_an_intent_is_what_was_asked_for_and_is_told(api: Api) -> None:
    body = {
        "request_id": "req_1",
        "amount": 5194,
        "currency": "GBP",
        "customer_id": "cust_123",
        "payment_method_id": api.method(),
        "capture_mode": "auto",
        "description": "Two mugs",
        "metadata": {"order_id": "ord_123", "invoice_id": "inv_456"},
        "payment_method_options": {"card": {"capture_method": "automatic"}},
        "merchant_account_id": "ma_1",
    }
    made = api.post("/intents", body, 201)
    assert {name: made[name] for name in body} == body
    nothing_yet = {
        "status": "requires_confirmation",
        "amount_authorized": 0,
        "amount_captured": 0,
        "amount_refunded": 0,
        "next_action": None,
        "last_error": None,
        "risk": None,
        "checkout_id": None,
        "version": 1,
    }
    assert {name: made[name] for name in nothing_yet} == nothing_yet
    assert made["id"].startswith("pi_") and re.fullmatch(r"[-0-9]{10}T[:0-9]{8}Z", made["created_at"])
    assert api.get(f"/intents/{made['id']}") == {**made, "client_secret": None}
    assert api.intent(None)["status"] == "requires_payment_method"
    for wrong, status, code in (
        ({"amount": 0}, 400, "invalid_amount"),
        ({"amount": -1}, 400, "invalid_amount"),
        ({"amount": 2**53 + 1}, 400, "invalid_amount"),
        ({"amount": "5194"}, 400, "invalid_field"),
        ({"amount": 51.94}, 400, "invalid_field"),
        ({"amount": True}, 400, "invalid_field"),
        ({"amount": None}, 400, "invalid_field"),
        ({"currency": "gbp"}, 400, "invalid_field"),
        ({"currency": "XXX"}, 400, "unsupported_currency"),
        ({"capture_mode": "later"}, 400, "invalid_field"),
        ({"capture_mode": "manual"}, 422, "capture_mode_conflict"),
        ({"status": "succeeded"}, 400, "invalid_field"),
        ({"payment_method_id": "pm_nobody"}, 404, "payment_method_not_found"),
    ):
        refused = api.post("/intents", {**body, "request_id": None, **wrong}, status)
        assert refused["code"] == code, wrong
    for name in ("amount", "currency"):
        short = {key: value for key, value in body.items() if key != name}
        refused = api.post("/intents", short, 400)
        assert (refused["code"], refused["field"]) == ("missing_field", name)
    with reading() as db:
        created = select(JournalEntry.entity_id).where(JournalEntry.type == "payment_intent.created")
        assert len(db.scalars(created).all()) == db.query(PaymentIntent).count() == 2


def test_amount_and_capture_mode_change_before_the_authorisation_and_the_bank_is_asked_for_the_new_ones(
    api: Api,
) -> None:
    made = api.intent()
    changed = api.patch(f"/intents/{made['id']}", {"amount": 4200, "capture_mode": "manual"})
    assert (changed["amount"], changed["capture_mode"], changed["version"]) == (4200, "manual", 2)
    done = api.post(f"/intents/{made['id']}/confirm")
    assert (done["status"], done["amount_authorized"]) == ("requires_capture", 4200)
    refused = api.patch(f"/intents/{made['id']}", {"amount": 1}, 409)
    assert refused["code"] == "invalid_state"
    assert api.patch(f"/intents/{made['id']}", {"metadata": {"order_id": "o1"}})["metadata"] == {
        "order_id": "o1"
    }
    with reading() as db:
        told = list(
            db.scalars(
                select(JournalEntry)
                .where(JournalEntry.type == "payment_intent.updated")
                .order_by(JournalEntry.id)
            )
        )
    assert [(row.data["before"]["amount"], row.data["after"]["amount"]) for row in told] == [
        (5000, 4200),
        (4200, 4200),
    ]


def test_a_change_that_changes_nothing_is_not_told(api: Api) -> None:
    made = api.intent()
    assert api.patch(f"/intents/{made['id']}", {"amount": 5000})["version"] == made["version"]
    with reading() as db:
        assert (
            db.scalars(select(JournalEntry).where(JournalEntry.type == "payment_intent.updated")).all() == []
        )


def test_a_change_is_refused_when_somebody_was_quicker(api: Api) -> None:
    made = api.intent()
    path = f"/intents/{made['id']}"
    assert api.call("GET", path).headers["ETag"] == '"1"'
    api.patch(path, {"description": "first"}, If_Match='"1"')
    assert api.patch(path, {"description": "second"}, 409, If_Match='"1"')["code"] == "version_conflict"
    assert api.patch(path, {"description": "second", "version": 1}, 409)["code"] == "version_conflict"
    assert api.patch(path, {"version": 2}, 400, If_Match='"1"')["field"] == "version"
    assert api.patch(path, {}, 400, If_Match="yesterday")["field"] == "If-Match"
    assert api.get(path)["description"] == "first"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": 0}, 400, "invalid_amount"),
        ({"amount": True}, 400, "invalid_field"),
        ({"amount": 2**60}, 400, "invalid_amount"),
        ({"currency": "EUR"}, 400, "invalid_field"),
        ({"capture_mode": "later"}, 400, "invalid_field"),
        (
            {"capture_mode": "auto", "payment_method_options": {"card": {"capture_method": "manual"}}},
            422,
            "capture_mode_conflict",
        ),
        ({"payment_method_options": {"card": "manual"}}, 400, "invalid_field"),
    ],
)
def test_bad_changes_change_nothing(api: Api, change: dict[str, Any], status: int, code: str) -> None:
    made = api.intent()
    assert api.patch(f"/intents/{made['id']}", change, status)["code"] == code
    assert api.get(f"/intents/{made['id']}")["version"] == made["version"]


def test_capture_mode_and_capture_method_say_the_same(api: Api) -> None:
    def options(method: str) -> dict[str, Any]:
        return {"payment_method_options": {"card": {"capture_method": method}}}

    assert api.intent(**options("manual"))["capture_mode"] == "manual"
    assert api.intent(**options("automatic"), capture_mode="auto")["capture_mode"] == "auto"
    body = {"amount": 100, "currency": "GBP", **options("automatic"), "capture_mode": "manual"}
    assert api.post("/intents", body, 422)["code"] == "capture_mode_conflict"
    made = api.intent(**options("manual"))
    assert api.patch(f"/intents/{made['id']}", {"capture_mode": "auto"}, 422)["code"] == (
        "capture_mode_conflict"
    )
    assert api.patch(f"/intents/{made['id']}", options("automatic"))["capture_mode"] == "auto"


def test_the_totals_of_a_checkout_decide_its_amount(api: Api) -> None:
    session = api.shop.session()
    api.shop.pay(session, NO_FUNDS)
    intent = api.shop.intent(session)
    refused = api.patch(f"/intents/{intent.id}", {"amount": 1}, 409)
    assert refused["code"] == "amount_follows_checkout"


def test_a_partial_capture_is_a_record_is_final_and_releases_the_rest(api: Api) -> None:
    intent_id = api.held()
    refused = api.post(f"/intents/{intent_id}/capture", {"amount": 5001}, 422)
    assert refused["code"] == "amount_exceeds_authorized"
    api.post(f"/intents/{intent_id}/capture", {"amount": 0}, 400)
    record = api.post(f"/intents/{intent_id}/capture", {"amount": 2000})
    assert (record["status"], record["amount"], record["failure_reason"]) == ("succeeded", 2000, None)
    refused = api.post(f"/intents/{intent_id}/capture", {"amount": 1}, 409)
    assert (refused["code"], refused["error"]) == (
        "invalid_state",
        "A payment intent that is succeeded cannot have its capture started",
    )
    listed = api.get(f"/intents/{intent_id}/transactions")["data"]
    assert {(row["type"], row["status"], row["amount"]) for row in listed} == {
        ("auth", "succeeded", 5000),
        ("capture", "succeeded", 2000),
        ("reversal", "succeeded", 3000),
    }


def test_the_same_key_gets_the_same_capture(api: Api) -> None:
    intent_id = api.held()
    first = api.post(f"/intents/{intent_id}/capture", {"amount": 2000}, key="k")
    again = api.post(f"/intents/{intent_id}/capture", {"amount": 2000}, key="k")
    assert first == again
    api.post(f"/intents/{intent_id}/capture", {"amount": 3000}, 422, key="k")


def test_a_long_idempotency_key_confirms_once(api: Api) -> None:
    made = api.intent()
    for _ in range(2):
        assert api.post(f"/intents/{made['id']}/confirm", key="k" * 255)["status"] == "succeeded"
    assert len(api.get(f"/intents/{made['id']}/charges")["data"]) == 1


def test_an_authorisation_is_read_and_captured_by_its_own_id(api: Api) -> None:
    intent_id = api.held()
    charge = api.get(f"/intents/{intent_id}/charges")["data"][0]
    auth = api.get(f"/authorizations/{charge['authorization']['id']}")
    assert auth == charge["authorization"]
    assert (auth["status"], auth["amount"], auth["gateway_reference"]) == (
        "active",
        5000,
        charge["gateway_id"],
    )
    assert auth["expires_at"] > auth["created_at"]
    record = api.post(f"/authorizations/{auth['id']}/capture", {"amount": 1500})
    assert (record["status"], record["amount"], record["authorization_id"]) == (
        "succeeded",
        1500,
        auth["id"],
    )
    assert api.get(f"/authorizations/{auth['id']}")["status"] == "captured"
    assert api.post(f"/authorizations/{auth['id']}/void", expect=409)["code"] == "invalid_state"
    assert api.get(f"/intents/{intent_id}")["status"] == "succeeded"


def test_a_void_releases_the_money_and_cancels_the_intent(api: Api) -> None:
    intent_id = api.held()
    auth_id = api.get(f"/intents/{intent_id}/charges")["data"][0]["authorization"]["id"]
    assert api.post(f"/authorizations/{auth_id}/void")["status"] == "voided"
    intent = api.get(f"/intents/{intent_id}")
    assert (intent["status"], intent["cancel_reason"]) == ("canceled", "user_cancel")
    api.post(f"/authorizations/{auth_id}/capture", expect=409)
    api.post(f"/authorizations/{auth_id}/void", expect=409)
    listed = api.get(f"/intents/{intent_id}/transactions")["data"]
    assert [(row["type"], row["amount"]) for row in listed] == [("reversal", 5000), ("auth", 5000)]


def test_an_authorisation_that_lapsed_has_expired(api: Api) -> None:
    intent_id = api.held()
    auth_id = api.get(f"/intents/{intent_id}/charges")["data"][0]["authorization"]["id"]
    with later(8 * 86_400):
        payment.sweep()
    assert api.get(f"/authorizations/{auth_id}")["status"] == "expired"
    api.post(f"/authorizations/{auth_id}/capture", expect=409)


def test_a_charge_tells_what_the_acquirer_said(api: Api) -> None:
    made = api.intent(NO_FUNDS)
    assert api.post(f"/intents/{made['id']}/confirm")["last_error"]["decline_code"] == "insufficient_funds"
    api.post(f"/intents/{made['id']}/confirm", {"payment_method_id": api.method("4000000000000036")})
    newest, oldest = api.get(f"/intents/{made['id']}/charges")["data"]
    assert (oldest["status"], oldest["network_response_code"], oldest["authorization"]) == (
        "failed",
        "51",
        None,
    )
    charge = api.get(f"/charges/{newest['id']}")
    assert charge == newest
    assert (charge["status"], charge["avs_result"], charge["cvv_result"]) == ("captured", "fail", "pass")
    assert (charge["acquirer"], charge["network_response_code"]) == ("Sandbox Bank", "00")
    assert charge["gateway_id"] and charge["reconciliation_reference"] == f"authorize_{charge['id']}"
    assert "3ds_result" in charge and charge["settlement_date"] is None
    first = api.get(f"/intents/{made['id']}/charges?limit=1")
    assert (first["has_more"], first["data"][0]["id"]) == (True, newest["id"])
    rest = api.get(f"/intents/{made['id']}/charges?limit=1&cursor={first['next_cursor']}")
    assert (rest["has_more"], rest["data"][0]["id"]) == (False, oldest["id"])
    api.get(f"/intents/{made['id']}/charges?cursor=%21", 400)


def test_transactions_tell_each_try_each_refund_and_what_came_back(api: Api) -> None:
    made = api.intent("4000000000005126")
    api.post(f"/intents/{made['id']}/confirm")
    refund = api.post("/refunds", {"payment_intent_id": made["id"], "amount": 700}, 201)
    refunds.send(refund["id"])
    with later(90):
        refunds.sweep()
    listed = api.get(f"/intents/{made['id']}/transactions")["data"]
    assert [(row["type"], row["status"], row["amount"], row["refund_id"]) for row in listed] == [
        ("reversal", "succeeded", 700, refund["id"]),
        ("refund", "succeeded", 700, refund["id"]),
        ("capture", "succeeded", 5000, None),
        ("auth", "succeeded", 5000, None),
    ]
    assert all(row["gateway_reference"] and row["risk_score"] == 12 for row in listed)
    pages, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/intents/{made['id']}/transactions?limit=3{cursor}")
        pages += page["data"]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert pages == listed


@pytest.mark.parametrize("reason", ["user_cancel", "timeout", "fraud"])
def test_an_intent_is_canceled_for_each_reason_from_each_open_status(api: Api, reason: str) -> None:
    waiting = api.intent(CHALLENGED)
    api.post(f"/intents/{waiting['id']}/confirm")
    ids = [api.intent(None)["id"], api.intent()["id"], waiting["id"], api.held()]
    for intent_id in ids:
        done = api.post(f"/intents/{intent_id}/cancel", {"reason": reason})
        assert (done["status"], done["cancel_reason"], done["next_action"]) == ("canceled", reason, None)
        api.post(f"/intents/{intent_id}/cancel", {"reason": reason}, 409)
        api.post(f"/intents/{intent_id}/confirm", {"payment_method_id": api.method()}, 409)
    api.post(f"/intents/{ids[0]}/cancel", {"reason": "boredom"}, 400)


def test_a_payment_whose_answer_is_lost_tells_the_client_to_wait(api: Api) -> None:
    made = api.intent(TIMES_OUT_AFTER)
    assert api.post(f"/intents/{made['id']}/confirm")["status"] == "processing"
    action = api.get(f"/intents/{made['id']}/next-action")
    assert (action["type"], action["url"], action["details"]) == ("awaiting_webhook", None, None)
    assert action["instructions"]
    with later(60):
        payment.sweep()
    api.get(f"/intents/{made['id']}/next-action", 204)
    assert api.get(f"/intents/{made['id']}")["status"] == "succeeded"


def test_another_merchants_ids_are_not_found(api: Api) -> None:
    intent_id = api.held()
    charge = api.get(f"/intents/{intent_id}/charges")["data"][0]
    stranger = Api(api.client, shops.make("Stranger"))
    for path in (
        f"/intents/{intent_id}",
        f"/intents/{intent_id}/charges",
        f"/intents/{intent_id}/transactions",
        f"/intents/{intent_id}/next-action",
        f"/charges/{charge['id']}",
        f"/authorizations/{charge['authorization']['id']}",
        f"/authorizations/{charge['id']}",
    ):
        stranger.get(path, 404)
    for path in (
        f"/intents/{intent_id}/capture",
        f"/intents/{intent_id}/cancel",
        f"/intents/{intent_id}/3ds/start",
        f"/intents/{intent_id}/3ds/complete",
        f"/authorizations/{charge['authorization']['id']}/capture",
        f"/authorizations/{charge['authorization']['id']}/void",
    ):
        stranger.post(path, expect=404)
    stranger.patch(f"/intents/{intent_id}", {"amount": 1}, 404)
    assert api.get(f"/intents/{intent_id}")["status"] == "requires_capture"


def test_a_saved_method_pays_for_its_own_customer_only(api: Api) -> None:
    saved = methods.tokenize_card(api.shop.actor, shops.card(GOOD), customer_id="cust_1", consent=True)
    other = api.intent(None, customer_id="cust_2")
    for path in ("attach-method", "confirm"):
        refused = api.post(f"/intents/{other['id']}/{path}", {"payment_method_id": saved.id}, 422)
        assert refused["code"] == "payment_method_customer_mismatch"
    own = api.intent(None, customer_id="cust_1")
    done = api.post(f"/intents/{own['id']}/confirm", {"payment_method_id": saved.id})
    assert done["status"] == "succeeded"
