"""The pages of the simulated bank: each button does what it says, and a decided page leads back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.connectors.sandbox import challenges
from app.models.checkout.session import CheckoutSession
from app.services.checkout import payment
from app.services.payments import apms
from tests.shops import CHALLENGED, GOOD, Shop, later


def press(client: FlaskClient, url: str, **form: str) -> tuple[int, str, str]:
    """Open a page and press a button: (status, where to, body)."""
    page = client.get(url).get_data(as_text=True)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token is not None
    answer = client.post(url, data={"csrf_token": token.group(1), **form})
    return answer.status_code, answer.headers.get("Location", ""), answer.get_data(as_text=True)


def bank_url(shop: Shop, method_type: str | None = None) -> tuple[object, str]:
    """A session that waits for its shopper, and the path of the bank's page."""
    session = shop.session()
    if method_type is None:
        shop.pay(session, CHALLENGED)
    else:
        payment.pay_by_redirect(shop.actor, session.id, method_type, payment.Order("nonce-1"))
    action = shop.intent(session).next_action
    assert action is not None
    return session, "/sandbox/" + str(action["url"]).split("/sandbox/", 1)[1]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"action": "cancel"}, "authentication_abandoned"),
        ({"action": "fail"}, "authentication_failed"),
    ],
)
def test_the_challenge_can_be_failed_and_given_up(
    client: FlaskClient, shop: Shop, form: dict[str, str], code: str
) -> None:
    session, url = bank_url(shop)
    status, target, _ = press(client, url, **form)
    assert (status, "/return/" in target) == (303, True)
    payment.resume(target.rsplit("/", 1)[1])
    error = shop.intent(session).last_error  # type: ignore[arg-type]
    assert error is not None
    assert error["decline_code"] == code
    assert client.get(url).status_code == 303


def test_a_wrong_code_says_so_and_the_right_one_goes_back(client: FlaskClient, shop: Shop) -> None:
    session, url = bank_url(shop)
    status, _, body = press(client, url, action="submit", code="000000")
    assert status == 422
    assert "This code isn" in body
    status, target, _ = press(client, url, action="submit", code="123456")
    assert status == 303
    payment.resume(target.rsplit("/", 1)[1])
    assert shop.read(session).status == "completed"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "status", "after"),
    [
        ("authorize", 303, "completed"),
        ("fail", 303, "reserved"),
        ("abandon", 200, "payment_processing"),
        ("authorize_lose_browser", 200, "completed"),
    ],
)
def test_each_button_of_the_bank_page(
    client: FlaskClient, shop: Shop, action: str, status: int, after: str
) -> None:
    session, url = bank_url(shop, "ideal")
    answered, _, _ = press(client, url, action=action)
    assert answered == status
    payment.resume(shop.attempts(session)[0].return_nonce)  # type: ignore[arg-type]
    assert shop.read(session).status == after  # type: ignore[arg-type]


def test_a_page_that_does_not_exist(client: FlaskClient) -> None:
    for url in ("/sandbox/acs/other", "/sandbox/bank/other"):
        assert client.get(url).status_code == 404


def waiting(shop: Shop, method_type: str) -> tuple[CheckoutSession, dict[str, Any]]:
    """A session whose shopper chose that method, and its next action."""
    session = shop.session()
    payment.pay_by_redirect(shop.actor, session.id, method_type, payment.Order("nonce-1"))
    action = shop.intent(session).next_action
    assert action is not None
    return session, action


def test_every_method_is_paid_at_the_banks_page(client: FlaskClient, shop: Shop) -> None:
    for method_type in sorted(apms.KNOWN):
        session, action = waiting(shop, method_type)
        url = "/sandbox/" + action["url"].split("/sandbox/", 1)[1]
        assert action["url"] in client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
        page = client.get(url).get_data(as_text=True)
        assert "£16.20" in page and "Test shop" in page
        status, target, _ = press(client, url, action="authorize")
        assert status == 303
        client.get("/return/" + target.rsplit("/", 1)[1])
        assert shop.read(session).status == "completed", method_type


def test_a_qr_code_is_shown_until_it_is_paid(client: FlaskClient, shop: Shop) -> None:
    session, action = waiting(shop, "promptpay")
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert "Scan to pay with PromptPay" in page
    assert 'data-poll-seconds="2"' in page and "data-auto-continue" not in page
    source = f"/pay/{session.hosted_id}/action.svg"
    assert f'src="{source}"' in page
    drawn = client.get(source)
    assert (drawn.status_code, drawn.mimetype) == (200, "image/svg+xml")
    assert "style=" not in drawn.get_data(as_text=True) and "<script" not in drawn.get_data(as_text=True)
    challenges.decide(action["url"].rsplit("/", 1)[1], approve=True)
    with later(120):
        payment.sweep()
    assert client.get(source).status_code == 404
    assert 'data-step="action"' not in client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)


def test_a_transfer_says_where_to_and_under_which_reference(client: FlaskClient, shop: Shop) -> None:
    session, action = waiting(shop, "bank_transfer")
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert "Make your bank transfer" in page
    for value in action["details"].values():
        assert value in page
    assert client.get(f"/pay/{session.hosted_id}/action.svg").status_code == 404


@pytest.mark.parametrize("method_type", ["ideal", "promptpay", "bank_transfer"])
def test_a_shopper_may_pay_another_way(client: FlaskClient, shop: Shop, method_type: str) -> None:
    session, action = waiting(shop, method_type)
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token is not None
    left = f"/pay/{session.hosted_id}/another-way"
    for _ in range(2):
        assert client.post(left, data={"csrf_token": token.group(1)}).status_code == 303
    assert shop.read(session).status == "reserved"
    found = challenges.decide(action["url"].rsplit("/", 1)[1], approve=True)
    assert found is not None and not found.open, "the bank was told"
    assert shop.pay(session, GOOD, "another").status == "completed"


def test_a_shopper_who_has_paid_cannot_pay_another_way(client: FlaskClient, shop: Shop) -> None:
    session, action = waiting(shop, "ideal")
    challenges.decide(action["url"].rsplit("/", 1)[1], approve=True)
    payment.give_up(shop.actor, session.id)
    assert shop.read(session).status == "completed"
