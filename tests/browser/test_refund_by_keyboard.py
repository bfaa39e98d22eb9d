"""The merchant's desk in a real Chromium: a refund by keyboard alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Till
from tests.browser.test_merchant import sign_in
from tests.browser.test_shopper import GOOD, pay


@pytest.fixture
def page(browser: Browser) -> Page:
    """A fresh browser."""
    context = browser.new_context()
    context.set_default_timeout(15_000)
    return context.new_page()


def to(page: Page, words: str) -> None:
    """Go on with Tab until the link or button of these words has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            return
    raise AssertionError(f"Tab never came to {words}")


def test_a_refund_by_keyboard_alone(till: Till, page: Page) -> None:
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, GOOD)
    expect(page.locator("main")).to_contain_text("Payment received")
    intent_id = till.state(checkout_id)["payment_intent"]["id"]
    sign_in(page, till, "user")

    page.keyboard.press("/")
    page.keyboard.type(intent_id)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/payments/{intent_id}")
    to(page, "Refund")
    page.keyboard.press("Enter")
    page.wait_for_url("**/confirm**")
    page.locator("[name=secret]").focus()
    page.keyboard.type(till.demo["user"]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/refund")
    page.locator("[value=all]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("5.00")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/payments/{intent_id}")
    expect(page.locator("main")).to_contain_text("£5.00 is on its way back")
    assert problems == []
    page.context.close()
