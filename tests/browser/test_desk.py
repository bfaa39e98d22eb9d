"""The merchant's desk in a real Chromium: signed in with a code, a dispute answered by keyboard and file."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Till
from tests.browser.test_merchant import sign_in
from tests.browser.test_other_ways import without_barriers
from tests.browser.test_shopper import GOOD, pay


def disputed(till: Till, page: Page) -> str:
    """A dispute of a payment that is made first; its id."""
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, GOOD)
    expect(page.locator("main")).to_contain_text("Payment received")
    intent_id = till.state(checkout_id)["payment_intent"]["id"]
    headers = {"Authorization": f"Bearer {till.demo['keys']['secret']}"}
    asked = urllib.request.Request(f"{till.base}/v1/payments/intents/{intent_id}/charges", headers=headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        [charge] = json.load(answer)["data"]
    draft = {"charge_id": charge["id"], "amount": 1000, "reason_code": "product_not_received"}
    return str(till.api("/v1/payments/disputes", draft)["id"])


def test_a_dispute_is_answered_after_signing_in_with_a_code(
    till: Till, browser: Browser, axe: str, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 700})
    context.set_default_timeout(15_000)
    page, told = context.new_page(), []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    dispute_id = disputed(till, page)
    sign_in(page, till, "mfa_user")
    page.goto(f"{till.base}/dashboard/test/disputes/{dispute_id}")
    expect(page.locator("main")).to_contain_text("what they paid for never came")
    page.get_by_role("button", name="Accept the dispute").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("This cannot be undone")
    without_barriers(page, axe)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Hand in evidence").click()
    slip = tmp_path / "slip.txt"
    slip.write_text("Signed for on the third.")
    page.fill("[name=notes]", "It was delivered.")
    page.set_input_files("[name=file]", slip)
    page.get_by_role("button", name="Look it over").click()
    expect(page.locator("h1")).to_contain_text("Send this evidence?")
    without_barriers(page, axe)
    page.get_by_role("button", name="Send to the bank").click()
    expect(page.locator("main")).to_contain_text("Under review")
    expect(page.locator("main")).to_contain_text("slip.txt")
    assert told == []
    context.close()
