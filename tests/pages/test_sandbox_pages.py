"""The pages of the simulated bank: each button does what it says, and a decided page leads back."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from app.services.checkout import payment
from tests.shops import CHALLENGED, Shop


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
