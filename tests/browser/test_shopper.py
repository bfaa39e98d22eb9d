"""Shoppers in a real Chromium, with and without JavaScript: pay, be declined, confirm at the bank, come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from standardwebhooks import Webhook

from tests.browser.conftest import Till

GOOD, NO_FUNDS, CHALLENGED = "4242 4242 4242 4242", "4000 0000 0000 9995", "4000 0000 0000 3220"


@pytest.fixture(params=["with script", "without script"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A fresh browser, with and without JavaScript."""
    context = browser.new_context(java_script_enabled=request.param == "with script")
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def fill(page: Page, number: str) -> None:
    """Type a card and an e-mail address."""
    page.fill("[name=card_number]", number)
    page.fill("[name=exp_month]", "12")
    page.fill("[name=exp_year]", "34")
    page.fill("[name=cvc]", "123")
    page.fill("[name=email]", "sam@example.com")


def pay(page: Page, number: str) -> None:
    """Fill the form in and press the button."""
    fill(page, number)
    page.click("[data-pay-button]")


def to_the_bank(page: Page) -> None:
    """Be on the bank's page; without script a button leads there."""
    page.wait_for_load_state()
    if "/sandbox/" not in page.url:
        link = page.locator("a[href*='/sandbox/']")
        try:
            page.wait_for_url("**/sandbox/**", timeout=3000)
        except Exception:  # no script: the shopper presses the button
            link.first.click()
    page.wait_for_url("**/sandbox/**")


def settled(till: Till, checkout_id: str, status: str) -> dict[str, Any]:
    """The session once it has that status."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        state = till.state(checkout_id)
        if state["status"] == status:
            return state
        time.sleep(0.1)
    raise AssertionError(f"still {state['status']}")


def receipt(page: Page) -> None:
    """The receipt is there, at the latest when the way back from the bank has gone on."""
    if "/return/" in page.url:  # our page between bank and shop goes on by itself, with and without script
        page.wait_for_url("**/pay/**")
    expect(page.locator("main")).to_contain_text("Payment received")


def test_a_card_pays_and_merchant_and_shopper_are_told(till: Till, page: Page) -> None:
    checkout_id, url = till.session(success_url=f"{till.base}/healthz")
    page.goto(url)
    expect(page.locator("body")).to_contain_text("£53.95")
    pay(page, GOOD)
    receipt(page)
    state = settled(till, checkout_id, "completed")
    assert state["order_id"].startswith("order_")
    assert state["payment_intent"]["status"] == "succeeded"
    page.wait_for_url("**/healthz", timeout=20_000)
    names = delivered(till, checkout_id)
    assert names == {"checkout.completed", "payment.succeeded"}


def delivered(till: Till, checkout_id: str) -> set[str]:
    """Types of the events about this checkout that came a second time, after the first had been refused."""
    verifier = Webhook(till.webhook_secret)
    until = time.monotonic() + 25
    names: set[str] = set()
    while time.monotonic() < until and len(names) < 2:
        came: dict[str, list[Any]] = {}
        for item in till.receiver.requests("/fail"):
            verifier.verify(item.body, item.headers)
            if item.event["data"]["checkout_id"] == checkout_id:
                came.setdefault(item.event_id, []).append(item)
        names = {items[0].event["type"] for items in came.values() if len(items) >= 2}
        time.sleep(0.2)
    return names


def test_a_declined_card_says_what_to_do_and_another_one_pays(till: Till, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, NO_FUNDS)
    expect(page.locator("main")).to_contain_text("doesn't have enough funds")
    assert page.title().startswith("Error:")
    assert page.input_value("[name=card_number]") == ""
    pay(page, GOOD)
    receipt(page)
    assert settled(till, checkout_id, "completed")["payment_intent"]["amount"] == 5395


def test_three_ds_with_the_right_code(till: Till, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, CHALLENGED)
    to_the_bank(page)
    page.fill("[name=code]", "123456")
    page.locator("button[value=submit]").click()
    receipt(page)
    settled(till, checkout_id, "completed")


def test_three_ds_that_fails_and_another_card(till: Till, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, CHALLENGED)
    to_the_bank(page)
    page.locator("button[value=fail]").click()
    page.wait_for_url(url)
    expect(page.locator("main")).to_contain_text("couldn't confirm that it's you")
    pay(page, GOOD)
    receipt(page)
    settled(till, checkout_id, "completed")


def test_walking_away_from_the_bank_and_coming_back(till: Till, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, CHALLENGED)
    to_the_bank(page)
    page.goto(till.base + "/l/summer-promo")
    page.goto(url)
    to_the_bank(page)
    page.fill("[name=code]", "123456")
    page.locator("button[value=submit]").click()
    receipt(page)
    settled(till, checkout_id, "completed")


def test_reload_and_back_never_charge_twice(till: Till, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, GOOD)
    receipt(page)
    page.reload()
    receipt(page)
    page.go_back()
    page.goto(url)
    receipt(page)
    assert till.state(checkout_id)["payment_intent"]["status"] == "succeeded"


def test_a_second_tab_shows_the_same_step(till: Till, page: Page) -> None:
    _, url = till.session()
    page.goto(url)
    other = page.context.new_page()
    other.goto(url)
    pay(page, GOOD)
    receipt(page)
    fill(other, GOOD)
    other.click("[data-pay-button]")
    receipt(other)


def tab_to(page: Page, wanted: str) -> None:
    """Go on with Tab until the focus is there, and is seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.locator(f"{wanted}:focus")
        if here.count():
            assert here.evaluate("field => getComputedStyle(field).outlineStyle") != "none", wanted
            return
    raise AssertionError(f"Tab never came to {wanted}")


def test_a_payment_link_pays_by_keyboard_alone(till: Till, page: Page) -> None:
    page.goto(till.base + "/l/" + till.demo["link_slug"])
    expect(page.locator("main")).to_contain_text("Summer promo")
    tab_to(page, "[data-pay-button]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pay/**")
    card = {
        "card_number": GOOD,
        "exp_month": "12",
        "exp_year": "34",
        "cvc": "123",
        "email": "sam@example.com",
    }
    for name, text in card.items():
        tab_to(page, f"[name={name}]")
        page.keyboard.type(text)
    tab_to(page, "[data-pay-button]")
    page.keyboard.press("Space")
    receipt(page)


def test_one_call_with_a_title_and_an_amount_makes_a_page_that_pays(till: Till, page: Page) -> None:
    made = till.api(
        "/checkout-sessions",
        {
            "amount": 12.5,
            "currency_code": "GBP",
            "title": "A first payment",
            "customer_email": "you@example.com",
        },
        **{"x-api-key": till.demo["keys"]["secret"]},
    )
    page.goto(made["url"])
    expect(page.locator("body")).to_contain_text("£12.50")
    pay(page, GOOD)
    receipt(page)


def test_a_bank_redirect_pays(till: Till, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    page.locator("button[value=ideal]").click()
    to_the_bank(page)
    page.locator("button[value=authorize]").click()
    receipt(page)
    settled(till, checkout_id, "completed")


def test_a_double_click_charges_once(till: Till, browser: Browser) -> None:
    checkout_id, url = till.session()
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    fill(page, GOOD)
    page.dblclick("[data-pay-button]")
    receipt(page)
    assert till.state(checkout_id)["payment_intent"]["status"] == "succeeded"
    context.close()
