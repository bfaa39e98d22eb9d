"""CK-021, CK-023, CK-025 to CK-027 and CK-034 over HTTP: what they answer and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.connectors.sandbox import book, challenges
from app.db import reading, transaction
from app.models.access.tenant import Tenant
from app.models.events.journal import JournalEntry
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payment, sessions
from app.services.payments import intents, methods
from tests.buyers import together
from tests.checkout_api import Checkout
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")
DUE = 1620


@pytest.fixture
def checkout(client: FlaskClient, shop: Shop) -> Checkout:
    return Checkout(client, shop)


@pytest.fixture
def make_checkout(client: FlaskClient, shop: Shop) -> Callable[..., Checkout]:
    return lambda **draft: Checkout(client, shop, **draft)


def how_many() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(PaymentIntent)) or 0


def test_an_intent_is_opened_for_what_is_due(checkout: Checkout) -> None:
    made = checkout.opened()
    assert made["payment_intent_id"] == made["id"] == checkout.intent_id
    assert (made["amount"], made["currency"], made["status"]) == (DUE, "GBP", "requires_payment_method")
    assert (made["capture_mode"], made["checkout_id"]) == ("auto", checkout.session.id)
    assert made["client_secret"].startswith(f"{made['id']}_secret_")
    assert made["next_action"] is None
    assert checkout.get()["payment_intent"]["id"] == made["id"]
    assert checkout.call("GET", f"/payment-intents/{made['id']}").json["client_secret"] is None


def test_terms_are_the_callers_where_it_names_them(make_checkout: Any) -> None:
    terms = {
        "amount": DUE,
        "currency": "GBP",
        "capture_mode": "manual",
        "payment_methods": ["card", "paypal", "card"],
        "metadata": {"basket": "b1"},
    }
    made = make_checkout().opened(**terms)
    assert {name: made[name] for name in ("amount", "currency", "capture_mode", "metadata")} == {
        name: terms[name] for name in ("amount", "currency", "capture_mode", "metadata")
    }
    assert made["payment_methods"] == ["card", "paypal"]
    by_session = make_checkout(options={"capture_mode": "manual"}, metadata={"source": "x"}).opened()
    assert (by_session["capture_mode"], by_session["metadata"]) == ("manual", {"source": "x"})


REFUSED: list[Any] = [
    ({"amount": DUE + 1}, 422, "amount_mismatch", "amount"),
    ({"amount": 1}, 422, "amount_mismatch", "amount"),
    ({"amount": 0}, 400, "invalid_field", "amount"),
    ({"amount": True}, 400, "invalid_field", "amount"),
    ({"amount": "1620"}, 400, "invalid_field", "amount"),
    ({"currency": "EUR"}, 422, "currency_mismatch", "currency"),
    ({"currency": "gbp"}, 400, "invalid_field", "currency"),
    ({"capture_mode": "automatic"}, 400, "invalid_field", "capture_mode"),
    ({"payment_methods": ["promptpay"]}, 400, "invalid_field", "payment_methods.0"),
    ({"payment_methods": []}, 400, "invalid_field", "payment_methods"),
    ({"payment_method": "card"}, 400, "invalid_field", "payment_method"),
]


def test_terms_that_cannot_be_name_their_field_and_open_nothing(checkout: Checkout) -> None:
    for body, status, code, field in REFUSED:
        told = checkout.of("/payment-intents", body, status)
        assert (told["code"], told["field"]) == (code, field)
    assert checkout.of("/payment-intents", {"amount": 7}, 422)["explain"] == {
        "reason": "amount_mismatch",
        "amount": 7,
        "due": DUE,
    }
    assert how_many() == 0
    assert checkout.get()["payment_intent"] is None


def test_methods_that_the_session_or_the_merchant_does_not_take(make_checkout: Any, shop: Shop) -> None:
    narrow = make_checkout(method_types=("card",))
    assert narrow.of("/payment-intents", {"payment_methods": ["paypal"]}, 422)["code"] == (
        "payment_method_not_supported"
    )
    assert narrow.opened(payment_methods=["paypal", "card"])["payment_methods"] == ["card"]
    paypal = methods.redirect(shop.actor, "paypal").id
    for rest in ("/attach-method", "/confirm"):
        told = narrow.intent(rest, {"payment_method_id": paypal}, 422)
        assert told["code"] == "payment_method_not_supported"
    with transaction() as db:
        db.get_one(Tenant, shop.actor.tenant_id).settings = {"allowed_methods": ["paypal"]}
    told = make_checkout().of("/payment-intents", {"payment_methods": ["card"]}, 422)
    assert told["explain"]["payment_methods"] == ["paypal"]


def test_asked_again_the_open_intent_takes_the_new_terms(checkout: Checkout) -> None:
    first = checkout.opened()
    same = checkout.opened()
    assert (same["id"], same["version"]) == (first["id"], first["version"])
    other = checkout.opened(capture_mode="manual", metadata={"a": 1}, payment_methods=["card"])
    assert (other["id"], other["capture_mode"]) == (first["id"], "manual")
    assert (other["metadata"], other["payment_methods"]) == ({"a": 1}, ["card"])
    with reading() as db:
        noted = select(JournalEntry.type).where(JournalEntry.entity_id == first["id"])
        assert sorted(db.scalars(noted)) == ["payment_intent.created", "payment_intent.updated"]
    assert how_many() == 1


def test_sixteen_at_once_open_one_intent(checkout: Checkout, shop: Shop) -> None:
    from app.services.checkout import intents as session_intents

    found = together(
        16,
        lambda _: session_intents.open_for(shop.actor, checkout.session.id, session_intents.Terms()).id,
    )
    assert len(set(found)) == how_many() == 1


def test_totals_that_moved_move_the_intent(checkout: Checkout) -> None:
    opened = checkout.opened()
    line = {"line_id": "line_1", "sku": "MUG", "name": "Mug", "quantity": 2, "unit_price": 1500}
    with transaction() as db:
        row = sessions.find(db, checkout.shop.actor, checkout.session.id, lock=True)
        row.cart_snapshot = {"currency": "GBP", "lines": [line]}
    assert checkout.of("/payment-intents", {"amount": DUE}, 422)["explain"]["due"] == 2 * DUE
    assert len({checkout.opened()["id"] for _ in range(2)}) == 1
    again = checkout.opened(amount=2 * DUE)
    assert (again["id"], again["amount"]) == (opened["id"], 2 * DUE)


def test_a_session_that_is_paid_paying_or_over_opens_none(make_checkout: Any) -> None:
    paying = make_checkout()
    paying.opened()
    paying.confirmed(CHALLENGED)
    assert paying.of("/payment-intents", {}, 409)["code"] == "payment_in_progress"
    gone = make_checkout()
    gone.call("DELETE", f"/sessions/{gone.session.id}")
    assert gone.of("/payment-intents", {}, 409)["code"] == "invalid_state"
    lapsed = make_checkout()
    with later(3700):
        assert lapsed.of("/payment-intents", {}, 410)["code"] == "checkout_expired"


def test_nothing_due_opens_no_intent(make_checkout: Any) -> None:
    free = make_checkout(price=0)
    assert free.of("/payment-intents", {}, 422)["code"] == "nothing_due"


def test_a_method_is_attached_by_id_or_token_and_kept_when_asked(make_checkout: Any, shop: Shop) -> None:
    checkout = make_checkout(customer={"customer_id": "cust_1", "email": "a@example.com"})
    checkout.opened()
    once = checkout.card()
    done = checkout.intent("/attach-method", {"payment_method_id": once})
    assert (done["status"], done["payment_method_id"]) == ("requires_confirmation", once)
    assert methods.get(shop.actor, once).reusable is False
    refused = checkout.intent(
        "/attach-method", {"payment_method_id": once, "save_method": True, "consent": False}, 422
    )
    assert refused["code"] == "consent_required"
    checkout.intent("/attach-method", {"payment_method_id": once, "save_method": True})
    kept = methods.get(shop.actor, once)
    assert (kept.reusable, kept.consent, kept.customer_id) == (True, True, "cust_1")
    assert checkout.intent("/confirm")["status"] == "succeeded"


def test_a_method_is_kept_for_a_customer_that_the_server_named(checkout: Checkout) -> None:
    checkout.opened()
    body = {"payment_method_id": checkout.card(), "save_method": True}
    assert checkout.intent("/attach-method", body, 422)["code"] == "customer_required"
    assert checkout.get()["payment_intent"]["status"] == "requires_payment_method"


def test_a_browser_pays_its_own_session_from_end_to_end(make_checkout: Any, shop: Shop) -> None:
    mine, other = make_checkout(customer={"customer_id": "cust_1"}), make_checkout()
    browser = mine.browser()
    opened = browser.opened()
    assert opened["client_secret"] is None
    assert browser.intent("/attach-method", {"payment_method_id": mine.card(), "save_method": True})
    assert browser.intent("/confirm")["status"] == "succeeded"
    theirs = other.opened()["id"]
    for rest in ("attach-method", "confirm", "cancel", "3ds/complete"):
        body = {"payment_method_id": "pm_1"} if rest == "attach-method" else {}
        told = browser.payment(f"{theirs}/{rest}", body, 404)
        assert told["code"] == "payment_intent_not_found", rest
    path = f"/sessions/{other.session.id}"
    assert browser.call("POST", f"{path}/payment-intents").status_code == 404
    assert browser.call("GET", f"{path}/next-action").status_code == 404
    assert browser.payment(f"{opened['id']}/capture", {}, 403)["code"] == "insufficient_permissions"


def test_another_merchant_finds_nothing(checkout: Checkout) -> None:
    checkout.opened()
    stranger = checkout.browser()
    stranger.credential = make("Other shop").secret
    for rest in ("attach-method", "confirm", "3ds/complete", "capture", "cancel"):
        body = {"payment_method_id": "pm_1"} if rest == "attach-method" else {}
        told = stranger.payment(f"{checkout.intent_id}/{rest}", body, 404)
        assert told["code"] == "payment_intent_not_found", rest
    assert stranger.of("/payment-intents", {}, 404)["code"] == "checkout_not_found"
    assert stranger.get("/next-action", 404)["code"] == "checkout_not_found"


def test_three_ds_from_next_action_to_success(checkout: Checkout) -> None:
    assert checkout.get("/next-action", 204) is None
    checkout.opened()
    assert checkout.get("/next-action", 204) is None
    waiting = checkout.confirmed(CHALLENGED)
    assert (waiting["status"], waiting["next_action"]["type"]) == ("requires_action", "3ds_challenge")
    action = checkout.get("/next-action")
    assert action == waiting["next_action"]
    challenges.answer(action["url"].rsplit("/", 1)[1], "123456")
    done = checkout.intent(
        "/3ds/complete",
        {"result": "authenticated", "transaction_id": action["challenge"]["transaction_id"]},
    )
    assert (done["status"], done["amount_captured"]) == ("succeeded", DUE)
    assert checkout.get("/next-action", 204) is None
    again = checkout.intent("/3ds/complete", {"result": "failed"}, 409)
    assert again["code"] == "already_completed"


@pytest.mark.parametrize("result", ["failed", "abandoned"])
def test_three_ds_that_was_not_passed_leaves_another_try(checkout: Checkout, result: str) -> None:
    checkout.opened()
    checkout.confirmed(CHALLENGED)
    done = checkout.intent("/3ds/complete", {"result": result})
    assert (done["status"], done["last_error"]["code"]) == ("requires_payment_method", "payment_declined")
    assert checkout.get()["status"] == "reserved"
    assert checkout.confirmed(GOOD)["status"] == "succeeded"


def test_a_redirect_is_called_redirect_here(checkout: Checkout, shop: Shop) -> None:
    checkout.opened()
    paypal = methods.redirect(shop.actor, "paypal").id
    done = checkout.intent("/confirm", {"payment_method_id": paypal, "return_url": "https://shop.example/x"})
    assert done["next_action"]["type"] == checkout.get("/next-action")["type"] == "redirect"
    bad = checkout.intent("/confirm", {"return_url": "javascript:alert(1)"}, 400)
    assert bad["field"] == "return_url"


def test_a_manual_capture_takes_the_money_once_and_tells_of_the_sale(make_checkout: Any) -> None:
    checkout = make_checkout(hosted=True, options={"capture_mode": "manual"})
    checkout.opened()
    assert checkout.intent("/capture", {}, 409)["code"] == "invalid_state"
    assert checkout.confirmed()["status"] == "requires_capture"
    told = checkout.intent("/capture", {"amount": DUE + 1}, 422)
    assert told["code"] == "amount_exceeds_authorized"
    done = checkout.intent("/capture", key="capture-1")
    assert (done["status"], done["amount_captured"]) == ("succeeded", DUE)
    assert done["finalization"]["status"] == "completed"
    assert done["finalization"]["order_id"] == checkout.get()["order_id"]
    assert checkout.intent("/capture", key="capture-1") == done
    assert checkout.intent("/capture", {}, 409)["code"] == "invalid_state"
    with reading() as db:
        assert list(db.scalars(select(book.payments.c.captured))) == [DUE]


def test_canceling_an_unsent_payment_releases_the_hold_and_the_session_goes_on(checkout: Checkout) -> None:
    checkout.opened()
    checkout.of("/reserve", {}, 201)
    assert checkout.shop.left("MUG") == (100, 1, 0)
    done = checkout.intent("/cancel", {"reason": "user_cancel"})
    assert (done["status"], done["cancel_reason"]) == ("canceled", "user_cancel")
    assert checkout.shop.left("MUG") == (100, 0, 0)
    read = checkout.get()
    assert (read["status"], read["reservation_id"]) == ("collecting", None)
    assert checkout.intent("/cancel", {}, 409)["code"] == "invalid_state"
    old = checkout.intent_id
    assert checkout.confirmed(expect=409)["code"] == "invalid_state"
    assert checkout.opened()["id"] != old
    assert checkout.payment(f"{old}/confirm", {"payment_method_id": checkout.card()}, 409)["code"] == (
        "invalid_state"
    )
    assert checkout.confirmed()["status"] == "succeeded"


@pytest.mark.parametrize("number", [CHALLENGED, GOOD])
def test_canceling_what_a_gateway_holds_voids_it_and_ends_the_session(
    make_checkout: Any, shop: Shop, number: str
) -> None:
    checkout = make_checkout(options={"capture_mode": "manual"})
    checkout.opened()
    checkout.confirmed(number)
    assert shop.left("MUG") == (100, 1, 0)
    assert checkout.browser().intent("/cancel")["status"] == "canceled"
    assert shop.left("MUG") == (100, 0, 0)
    assert checkout.get()["status"] == "canceled"
    with reading() as db:
        assert list(db.scalars(select(book.payments.c.status))) == ["voided"]


def test_canceling_and_opening_anew_gives_no_more_tries(checkout: Checkout, shop: Shop) -> None:
    with transaction() as db:
        db.get_one(Tenant, shop.actor.tenant_id).settings = {"max_payment_attempts": 2}
    checkout.opened()
    assert checkout.confirmed(NO_FUNDS)["status"] == "requires_payment_method"
    checkout.intent("/cancel")
    checkout.opened()
    assert checkout.confirmed(NO_FUNDS)["status"] == "failed"
    assert checkout.get()["status"] == "failed"
    for told in (checkout.confirmed(expect=409), checkout.of("/payment-intents", {}, 409)):
        assert told["code"] == "max_payment_attempts"


def test_tries_that_are_spent_open_no_other_payment(checkout: Checkout, shop: Shop) -> None:
    with transaction() as db:
        db.get_one(Tenant, shop.actor.tenant_id).settings = {"max_payment_attempts": 2}
    checkout.opened()
    checkout.confirmed(NO_FUNDS)
    checkout.intent("/cancel")
    with transaction() as db:
        db.get_one(Tenant, shop.actor.tenant_id).settings = {"max_payment_attempts": 1}
    assert checkout.of("/payment-intents", {}, 409)["code"] == "max_payment_attempts"


def test_a_total_that_fell_to_nothing_cancels_the_open_payment(make_checkout: Any, shop: Shop) -> None:
    checkout = make_checkout(hosted=True)
    opened = checkout.opened()["id"]
    with transaction() as db:
        row = sessions.find(db, shop.actor, checkout.session.id, lock=True)
        line = {"line_id": "line_1", "sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 0}
        row.cart_snapshot = {"currency": "GBP", "lines": [line]}
    payment.finish_free(shop.actor, checkout.session.id, payment.Order("n1"))
    read = checkout.get()
    assert (read["status"], read["payment_intent"]) == ("completed", None)
    left = intents.get(shop.actor, opened)
    assert (left.status, left.cancel_reason) == ("canceled", "nothing_due")
