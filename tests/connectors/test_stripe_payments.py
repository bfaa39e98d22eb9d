"""Payments over Stripe: what is sent, 3-D Secure, declines that stay declined, and what proves an outcome."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import stripe as library

from app import settings
from app.connectors import base, registry
from app.connectors.stripe import api, marks
from app.connectors.tokens import CardToken
from app.kit import clock
from app.kit.ids import time_of
from tests.connectors.conftest import Caller, fresh_key
from tests.shops import later

CREATE = "POST /v1/payment_intents"
CANCEL = "POST /v1/payment_intents/.*/cancel"


def book(stripe: Caller) -> Any:
    """The account that the caller's key reaches."""
    assert stripe.standin is not None
    return stripe.standin.account("sk_test_of_ten_a")


@pytest.fixture
def key() -> str:
    return fresh_key("authorize")


def test_what_is_sent(stripe: Caller, key: str) -> None:
    answer = stripe.authorize(
        "pm_card_visa",
        key,
        description="Two mugs",
        metadata={"order": "A-17", "till_key": "forged", "x" * 41: "too long", "long": "y" * 600},
    )
    [request] = stripe.standin.sent(CREATE)
    assert (request.key, request.headers["authorization"]) == (key, "Bearer sk_test_of_ten_a")
    assert request.params == {
        "amount": "1500",
        "currency": "gbp",
        "payment_method": "pm_card_visa",
        "payment_method_types": {"0": "card"},
        "capture_method": "manual",
        "confirm": "true",
        "description": "Two mugs",
        "return_url": "http://shop.test/return/nonce",
        "metadata": {
            "order": "A-17",
            "long": "y" * 500,
            "till_key": key,
            "till_tenant": "ten_a",
            "till_mode": "test",
        },
        "expand": {"0": "latest_charge"},
    }
    assert (answer.amount, answer.currency) == (1500, "GBP")
    assert answer.facts == base.AcquirerFacts(None, "unavailable", "pass", None, 17)
    assert timedelta(days=5, hours=23) < answer.expires_at - clock.now() <= timedelta(days=6)


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("tok_visa", {"payment_method_data": {"type": "card", "card": {"token": "tok_visa"}}}),
        ("ctoken_visa", {"confirmation_token": "ctoken_visa"}),
        ("cus_1/pm_card_visa", {"customer": "cus_1", "payment_method": "pm_card_visa"}),
    ],
)
def test_every_kind_of_token(stripe: Caller, token: str, sent: dict[str, Any]) -> None:
    assert isinstance(stripe.authorize(token), base.Approved)
    params = stripe.standin.sent(CREATE)[0].params
    assert sent.items() <= params.items()


@pytest.mark.parametrize(
    "token", ["4242424242424242", "", "sbtok_x", "pm_1\n4242424242424242", "pm_1&amount=1"]
)
def test_what_is_no_token_of_stripe_is_never_sent(stripe: Caller, token: str) -> None:
    assert stripe.authorize(token) == base.Declined("processing_error")
    assert stripe.standin.requests == []


@pytest.mark.parametrize("token", ["pm_card_visa", "tok_visa", "ctoken_visa"])
def test_what_a_token_stands_for(stripe: Caller, token: str) -> None:
    found = stripe.connector.redeem(stripe.context, token)
    shown = {"brand": "VISA", "last4": "4242", "exp_month": 12, "exp_year": 2034}
    assert found == CardToken(token, "card", **shown, country="GB", fingerprint="fp_1")


def test_a_token_of_a_customer_or_a_wallet(stripe: Caller) -> None:
    token = stripe.card("pm_card_visa")
    book(stripe).shown[token] = {"customer": "cus_7"}
    found = stripe.connector.redeem(stripe.context, token)
    assert found.token == f"cus_7/{token}"
    assert isinstance(stripe.authorize(found.token), base.Approved)
    assert stripe.standin.sent(CREATE)[0].params["customer"] == "cus_7"
    wallet = {
        "brand": "amex",
        "last4": "0005",
        "exp_month": 1,
        "exp_year": 2031,
        "wallet": {"type": "apple_pay"},
    }
    book(stripe).shown[token] = {"card": wallet}
    assert stripe.connector.redeem(stripe.context, token).type == "apple_pay"


@pytest.mark.parametrize(
    ("token", "shown", "code"),
    [
        ("pm_of_another_account", {}, "token_not_found"),
        ("4242424242424242", {}, "token_not_found"),
        ("pm_1/../../balance", {}, "token_not_found"),
        ("tok_visa", {"used": True}, "token_expired"),
        ("pm_card_visa", {"type": "sepa_debit", "card": None}, "payment_method_not_supported"),
    ],
)
def test_tokens_that_are_refused(stripe: Caller, token: str, shown: dict[str, Any], code: str) -> None:
    book(stripe).shown[token] = shown
    with pytest.raises(base.TokenRefused) as refused:
        stripe.connector.redeem(stripe.context, token)
    assert refused.value.code == code


def test_a_token_that_could_not_be_asked_for_is_not_refused(stripe: Caller) -> None:
    stripe.standin.fail("GET /v1/payment_methods/.*", status=500, body=b"{}")
    with pytest.raises(library.StripeError):
        stripe.connector.redeem(stripe.context, "pm_card_visa")


def test_no_connector_but_the_sandbox_takes_card_numbers() -> None:
    assert not isinstance(registry.get("stripe"), base.TokenizesCards)


def test_off_session_is_declined_where_the_shopper_would_have_to_act(stripe: Caller) -> None:
    declined = stripe.authorize("pm_card_authenticationRequired", off_session=True)
    assert isinstance(declined, base.Declined)
    assert declined.code == "authentication_required"
    [request] = stripe.standin.sent(CREATE)
    assert "return_url" not in request.params
    assert isinstance(stripe.authorize("pm_card_visa", off_session=True), base.Approved)


def test_three_ds_can_be_asked_for(stripe: Caller) -> None:
    stripe.authorize("pm_card_visa", force_three_ds=True)
    options = stripe.standin.sent(CREATE)[0].params["payment_method_options"]
    assert options == {"card": {"request_three_d_secure": "any"}}


# --- 3-D Secure


def challenged(
    stripe: Caller, key: str, token: str = "pm_card_authenticationRequired"
) -> base.ActionRequired:
    answer = stripe.authorize(token, key)
    assert isinstance(answer, base.ActionRequired)
    assert answer.action.type == "3ds_challenge"
    return answer


def test_three_ds_by_redirect(stripe: Caller, key: str) -> None:
    answer = challenged(stripe, key)
    assert answer.action.url == f"https://hooks.stripe.test/3d_secure/{answer.reference}"
    assert answer.action.challenge is None
    assert answer.action.expires_at is not None
    waiting = stripe.find(key, answer.reference)
    assert (waiting.status, waiting.action) == ("action_required", answer.action)
    book(stripe).authenticate(answer.reference, ok=True)
    found = stripe.find(key, answer.reference)
    assert (found.status, found.facts.three_ds_result) == ("authorized", "authenticated")
    assert stripe.capture(answer.reference).amount == 1500


def test_three_ds_by_stripes_script(stripe: Caller, key: str) -> None:
    answer = challenged(stripe, key, "pm_card_authenticationRequiredSdk")
    secret = book(stripe).objects[answer.reference]["client_secret"]
    assert answer.action.url is None
    assert answer.action.challenge == {
        "type": "use_stripe_sdk",
        "client_secret": secret,
        "publishable_key": "pk_test_of_ten_a",
    }


@pytest.mark.parametrize(
    ("token", "ok", "code"),
    [
        ("pm_card_authenticationRequired", False, "authentication_failed"),
        ("pm_card_threeDSecureRequiredChargeDeclined", True, "generic_decline"),
    ],
)
def test_a_decline_after_three_ds_cannot_be_paid_any_more(
    stripe: Caller, key: str, token: str, ok: bool, code: str
) -> None:
    """The browser has seen the client secret: it could try another card on what we call declined."""
    reference = challenged(stripe, key, token).reference
    book(stripe).authenticate(reference, ok=ok)
    assert book(stripe).objects[reference]["status"] == "requires_payment_method"
    found = stripe.find(key, reference)
    assert (found.status, found.decline_code) == ("declined", code)
    assert book(stripe).objects[reference]["status"] == "canceled"
    assert stripe.find(key, reference) == found
    assert len(stripe.standin.sent(CANCEL)) == 1


def test_a_decline_is_not_told_before_it_is_closed(stripe: Caller, key: str) -> None:
    reference = challenged(stripe, key).reference
    book(stripe).authenticate(reference, ok=False)
    stripe.standin.fail(CANCEL, status=500, body=b"{}")
    assert isinstance(stripe.find(key, reference), base.Unknown)
    assert stripe.find(key, reference).status == "declined"


def test_a_payment_that_moved_on_while_it_was_closed_is_the_truth(stripe: Caller, key: str) -> None:
    reference = challenged(stripe, key).reference
    with later(16 * 60):
        stripe.standin.fail(CANCEL, status=400, body=b'{"error": {"type": "invalid_request_error"}}')
        read = api.Api.get

        def then_authenticated(self: api.Api, path: str, **params: Any) -> Any:
            found = read(self, path, **params)
            if found["status"] == "requires_action":
                book(stripe).authenticate(reference, ok=True)
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(api.Api, "get", then_authenticated)
            assert stripe.find(key, reference).status == "authorized"


def test_who_does_not_come_back_in_time_has_given_up(stripe: Caller, key: str) -> None:
    reference = challenged(stripe, key).reference
    with later(14 * 60):
        assert stripe.find(key, reference).status == "action_required"
    with later(15 * 60 + 2):
        found = stripe.find(key, reference)
    assert (found.status, found.decline_code) == ("expired", "authentication_abandoned")
    assert book(stripe).objects[reference]["status"] == "canceled"


def test_a_cancel_while_the_shopper_is_at_the_bank(stripe: Caller, key: str) -> None:
    reference = challenged(stripe, key).reference
    assert isinstance(stripe.void(reference), base.Approved)
    assert stripe.find(key, reference).status == "voided"


# --- Stripe keeps a refusal under its key for a day (docs.stripe.com/error-low-level)


def test_a_release_that_was_refused_can_be_asked_for_again(stripe: Caller, key: str) -> None:
    reference = stripe.authorize("pm_card_visa", key).reference
    intent = book(stripe).objects[reference]
    intent["status"] = "processing"
    request = base.VoidRequest("void_1", reference)
    assert isinstance(stripe.connector.void(stripe.context, request), base.Declined)
    intent["status"] = "requires_capture"
    assert isinstance(stripe.connector.void(stripe.context, request), base.Approved)
    assert intent["status"] == "canceled"


def test_after_a_refused_capture_another_amount_can_be_captured(stripe: Caller, key: str) -> None:
    reference = stripe.authorize("pm_card_visa", key).reference
    assert isinstance(stripe.capture(reference, 1501, "capture_1"), base.Declined)
    assert stripe.capture(reference, 1500, "capture_1").amount == 1500


# --- what an answer names is what the caller gets


@pytest.mark.parametrize(
    ("token", "amount", "currency"),
    [("pm_card_wrong_amount", 1600, "GBP"), ("pm_card_wrong_currency", 1500, "USD")],
)
def test_a_wrong_answer_surfaces_as_it_is(
    stripe: Caller, key: str, token: str, amount: int, currency: str
) -> None:
    answer = stripe.authorize(token, key)
    assert (answer.amount, answer.currency) == (amount, currency)
    found = stripe.find(key)
    assert (found.amount, found.currency) == (amount, currency)


def test_an_amount_that_cannot_be_counted_is_not_guessed(stripe: Caller, key: str) -> None:
    reference = stripe.authorize("pm_card_visa", key, amount=5, currency="ISK").reference
    book(stripe).objects[reference]["amount_capturable"] = 550
    assert isinstance(stripe.find(key, reference), base.Unknown)


@pytest.mark.parametrize(
    ("amount", "currency", "sent"),
    [
        (500, "JPY", "500"),
        (5, "ISK", "500"),
        (700, "UGX", "70000"),
        (5120, "KWD", "5120"),
        (900, "RSD", "90000"),
    ],
)
def test_currencies_that_stripe_counts_otherwise(
    stripe: Caller, key: str, amount: int, currency: str, sent: str
) -> None:
    approved = stripe.authorize(stripe.card("pm_card_visa"), key, amount=amount, currency=currency)
    assert stripe.standin.sent(CREATE)[0].params["amount"] == sent
    assert (approved.amount, approved.currency) == (amount, currency)
    captured = stripe.capture(approved.reference, amount, currency=currency)
    assert (captured.amount, captured.currency) == (amount, currency)
    back = stripe.refund(approved.reference, amount, currency=currency)
    assert (back.amount, back.currency) == (amount, currency)
    assert stripe.find(key).refunded == amount


@pytest.mark.parametrize(
    ("amount", "currency"), [(5124, "KWD"), (10**12, "GBP"), (10**10, "UGX"), (0, "GBP"), (-1, "GBP")]
)
def test_amounts_that_stripe_cannot_take_are_left_to_others(
    stripe: Caller, amount: int, currency: str
) -> None:
    assert isinstance(stripe.authorize("pm_card_visa", amount=amount, currency=currency), base.NotExecuted)
    assert stripe.standin.requests == []


# --- what proves an outcome when no answer came


def test_nothing_found_proves_nothing_while_the_call_may_be_on_its_way(stripe: Caller, key: str) -> None:
    assert isinstance(stripe.find(key), base.Unknown)
    with later(marks.SETTLED_SECONDS - 5):
        assert isinstance(stripe.find(key), base.Unknown)
    with later(marks.SETTLED_SECONDS + 5):
        assert isinstance(stripe.find(key), base.NotFound)


def test_a_payment_is_not_asked_for_where_nobody_would_look_for_it(stripe: Caller) -> None:
    """A process that was suspended after it had written the attempt wakes up when it is given up."""
    at = time.time_ns() // 1_000_000 - 91_000
    key = f"authorize_ch_{encoded(at)}"
    assert abs((time_of(key) - clock.now()).total_seconds() + 91) < 2
    assert isinstance(stripe.authorize("pm_card_visa", key), base.NotExecuted)
    assert stripe.standin.requests == []


def encoded(milliseconds: int) -> str:
    """The tail of an id that was made then."""
    number, text = milliseconds << 80, ""
    while len(text) < 26:
        number, digit = divmod(number, 32)
        text = "0123456789abcdefghjkmnpqrstvwxyz"[digit] + text
    return text


def test_it_is_found_among_many(stripe: Caller, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 3)
    reference = stripe.authorize("pm_card_visa", key).reference
    for _ in range(7):
        stripe.authorize("pm_card_visa")
    assert stripe.find(key).reference == reference
    with later(86400):
        assert stripe.find(key).reference == reference
    monkeypatch.setattr(marks, "MAX_PAGES", 2)
    assert isinstance(stripe.find(key), base.Unknown), "it may be among those that were not read"


def test_another_merchant_of_the_same_account_reaches_nothing(stripe: Caller, key: str) -> None:
    reference = stripe.authorize("pm_card_visa", key).reference
    stripe.capture(reference)
    other = replace(stripe, context=replace(stripe.context, tenant_id="ten_b"))
    assert isinstance(other.find(key, reference), base.Unknown)
    for answer in (other.capture(reference), other.void(reference), other.refund(reference, 1)):
        assert isinstance(answer, base.Declined)
    with later(marks.SETTLED_SECONDS + 5):
        assert isinstance(other.find(key), base.NotFound)


def test_a_day_later_the_key_is_pruned_and_the_payment_still_found(stripe: Caller, key: str) -> None:
    token = stripe.card("pm_card_lost_answer")
    assert isinstance(stripe.authorize(token, key), base.Unknown)
    stripe.standin.forget_keys()
    with later(2 * 86400):
        assert stripe.find(key).status == "authorized"


@pytest.mark.parametrize(
    ("token", "first"), [("pm_card_pendingRefund", base.Pending), ("pm_card_refundFail", base.Declined)]
)
def test_a_refund_that_is_open_or_failed(stripe: Caller, token: str, first: type) -> None:
    reference = stripe.authorize(token).reference
    stripe.capture(reference)
    key = fresh_key("refund")
    assert isinstance(stripe.refund(reference, 500, key), first)
    [found] = [o for o in book(stripe).objects.values() if o["object"] == "refund"]
    assert found["metadata"]["till_payment_key"].startswith("authorize_")
    found["status"] = "succeeded"
    assert stripe.find_refund(key, reference) == base.Approved(found["id"], 500, "GBP")


def test_reasons_of_refunds_in_stripes_words(stripe: Caller) -> None:
    reference = stripe.captured("pm_card_visa")
    for reason in ("fraud", "product_return", "other", None):
        request = base.RefundRequest(fresh_key("refund"), reference, 100, "GBP", reason)
        stripe.connector.refund(stripe.context, request)
    sent = [r.params.get("reason") for r in stripe.standin.sent("POST /v1/refunds")]
    assert sent == ["fraudulent", "requested_by_customer", None, None]


# --- the deployment's own account


def test_it_is_for_every_merchant_only_where_the_deployment_has_a_key(stripe: Caller) -> None:
    assert [c.name for c in registry.for_method("card")] == ["sandbox"]
    keys = settings.load(**{**settings.current().model_dump(), "stripe_secret_key": "sk_test_of_the_house"})
    settings.use(keys)
    assert [c.name for c in registry.for_method("card")] == ["sandbox", "stripe"]
    caller = replace(stripe, context=replace(stripe.context, credentials={}))
    assert isinstance(caller.authorize("pm_card_visa"), base.Approved)
    assert stripe.standin.sent(CREATE)[0].headers["authorization"] == "Bearer sk_test_of_the_house"
    live = replace(caller, context=replace(caller.context, mode="live"))
    assert isinstance(live.authorize("pm_card_visa"), base.NotExecuted)
