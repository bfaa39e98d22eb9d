"""Stripe's page: sessions that the shopper pays, leaves, or that are closed behind their back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.connectors import base
from app.connectors.stripe import api as stripe_api
from app.connectors.stripe import marks
from tests.connectors.conftest import Caller, fresh_key
from tests.shops import later

OPEN = "POST /v1/checkout/sessions"


def book(stripe: Caller) -> Any:
    assert stripe.standin is not None
    return stripe.standin.account("sk_test_of_ten_a")


@pytest.fixture
def key() -> str:
    return fresh_key("authorize")


def opened(stripe: Caller, key: str, method_type: str = "card", **more: Any) -> base.ActionRequired:
    token = stripe.connector.tokenize_redirect(stripe.context, method_type)
    answer = stripe.authorize(token.token, key, method_type=method_type, **more)
    assert isinstance(answer, base.ActionRequired)
    return answer


def test_the_shopper_pays_on_stripes_page(stripe: Caller, key: str) -> None:
    answer = opened(stripe, key, description="Two mugs")
    assert answer.action.type == "redirect_to_url"
    assert answer.action.url == f"{stripe.standin.url}/c/pay/{answer.reference}"
    [request] = stripe.standin.sent(OPEN)
    assert request.key == key
    assert request.params["payment_method_types"] == {"0": "card"}
    assert request.params["success_url"] == request.params["cancel_url"] == "http://shop.test/return/nonce"
    assert stripe.find(key, answer.reference).status == "action_required"
    intent = book(stripe).pay_session(answer.reference)
    found = stripe.find(key, answer.reference)
    assert (found.status, found.reference, found.amount) == ("authorized", intent["id"], 1500)
    assert stripe.capture(found.reference).amount == 1500
    assert stripe.find(key, found.reference).status == "captured"


@pytest.mark.parametrize(
    ("method_type", "sent", "status"),
    [
        ("ideal", "ideal", "captured"),
        ("bancontact", "bancontact", "captured"),
        ("promptpay", "promptpay", "captured"),
        ("paypal", "paypal", "authorized"),
        ("buy_now_pay_later", "klarna", "authorized"),
        ("apple_pay", "card", "authorized"),
    ],
)
def test_other_methods(stripe: Caller, key: str, method_type: str, sent: str, status: str) -> None:
    reference = opened(stripe, key, method_type).reference
    assert stripe.standin.sent(OPEN)[0].params["payment_method_types"] == {"0": sent}
    book(stripe).pay_session(reference)
    found = stripe.find(key, reference)
    assert (found.status, found.captured) == (status, 1500 if status == "captured" else 0)
    assert stripe.capture(found.reference) == base.Approved(found.reference, 1500, "GBP", found.facts)
    assert isinstance(stripe.capture(found.reference, 1400), base.Declined)


def test_cards_go_there_too_where_they_have_fields(stripe: Caller) -> None:
    """Who has no script has no fields either."""
    framed = {
        **stripe.context.credentials,
        "integration": "elements",
        "publishable_key": "pk_test_12345678",
    }
    context = replace(stripe.context, credentials=framed)
    assert stripe.connector.card_frames(stripe.context) is None
    assert stripe.connector.card_frames(context).key == "pk_test_12345678"
    assert stripe.connector.card_frames(replace(context, mode="live")) is None
    for method_type in ("card", "ideal"):
        assert stripe.connector.tokenize_redirect(context, method_type).type == method_type
    with pytest.raises(base.TokenRefused):
        stripe.connector.tokenize_redirect(context, "bank_transfer")
    amounts = [stripe.connector.frame_amount(*given) for given in ((1500, "ISK"), (1234, "KWD"), (0, "GBP"))]
    assert amounts == [150000, None, None]


def test_the_same_key_opens_one_session(stripe: Caller, key: str) -> None:
    first = opened(stripe, key)
    with later(20):
        assert opened(stripe, key) == first


def test_a_late_call_and_a_clock_that_is_behind_still_open_a_session(stripe: Caller, key: str) -> None:
    with later((marks.LATEST + marks.SKEW).total_seconds() - 1):
        assert opened(stripe, key).action.url


def test_who_never_pays_has_given_up(stripe: Caller, key: str) -> None:
    reference = opened(stripe, key).reference
    book(stripe).expire_session(book(stripe).objects[reference])
    found = stripe.find(key, reference)
    assert (found.status, found.decline_code) == ("expired", "authentication_abandoned")
    assert isinstance(stripe.void(reference), base.Declined)


def test_a_session_can_be_closed(stripe: Caller, key: str) -> None:
    reference = opened(stripe, key).reference
    assert isinstance(stripe.void(reference), base.Approved)
    assert book(stripe).objects[reference]["status"] == "expired"
    assert stripe.find(key, reference).status == "expired"


def test_a_session_that_was_paid_meanwhile_is_released(stripe: Caller, key: str) -> None:
    reference = opened(stripe, key).reference
    intent = book(stripe).pay_session(reference)
    assert isinstance(stripe.void(reference), base.Approved)
    assert intent["status"] == "canceled"
    assert stripe.find(key, reference).status == "voided"


def test_a_session_that_is_paid_while_it_is_closed_is_released_afterwards(stripe: Caller, key: str) -> None:
    """Closing it is refused, and the same key must not stand in the way of releasing the payment."""
    reference = opened(stripe, key).reference
    request = base.VoidRequest("void_1", reference)
    expire = stripe_api.Api.post

    def then_paid(self: stripe_api.Api, path: str, key: str, **params: Any) -> Any:
        book(stripe).pay_session(reference)
        return expire(self, path, key, **params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe_api.Api, "post", then_paid)
        assert isinstance(stripe.connector.void(stripe.context, request), base.Declined)
    assert stripe.find(key, reference).status == "authorized"
    assert isinstance(stripe.connector.void(stripe.context, request), base.Approved)
    assert stripe.find(key, reference).status == "voided"


def test_a_session_whose_opening_got_no_answer_is_found(stripe: Caller, key: str) -> None:
    stripe.standin.fail(OPEN, drop="after")
    token = stripe.connector.tokenize_redirect(stripe.context, "card").token
    assert isinstance(stripe.authorize(token, key), base.Unknown)
    found = stripe.find(key)
    assert found.status == "action_required"
    assert found.action.url
    book(stripe).pay_session(found.reference)
    assert stripe.find(key).status == "authorized"


def test_a_try_that_failed_on_the_page_does_not_end_the_session(stripe: Caller, key: str) -> None:
    reference = opened(stripe, key).reference
    session = book(stripe).objects[reference]
    intent = book(stripe).intent(1500, "gbp", session["_intent"])
    intent["last_payment_error"] = {"code": "card_declined", "decline_code": "insufficient_funds"}
    assert stripe.find(key).status == "action_required"
    assert intent["status"] == "requires_payment_method"


@pytest.mark.parametrize(("amount", "currency"), [(10**8, "EUR"), (10**10, "COP"), (10**9, "INR")])
def test_amounts_that_are_too_large_for_other_methods_than_cards(
    stripe: Caller, amount: int, currency: str
) -> None:
    token = stripe.connector.tokenize_redirect(stripe.context, "ideal").token
    answer = stripe.authorize(token, method_type="ideal", amount=amount, currency=currency)
    assert isinstance(answer, base.NotExecuted)
    assert stripe.standin.requests == []
