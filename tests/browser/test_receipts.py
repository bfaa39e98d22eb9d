"""The receipt that a shopper keeps: reached from the paid page, without barriers, and printed without buttons."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Till
from tests.browser.test_shopper import GOOD, pay, receipt


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_the_receipt_is_read_and_printed(
    till: Till, browser: Browser, axe: str, scheme: str, width: int
) -> None:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 850}, bypass_csp=True
    )  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(till.session()[1])
    pay(page, GOOD)
    receipt(page)
    page.click("text=Receipt to keep")
    page.wait_for_url("**/receipts/*")
    expect(page.locator("h1")).to_contain_text("Receipt R-")
    expect(page.locator("main")).to_contain_text("£53.95")
    expect(page.locator("main")).to_contain_text("4242")
    page.add_script_tag(content=axe)
    assert page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.emulate_media(media="print")
    expect(page.locator("[data-print]")).to_be_hidden()
    expect(page.locator(".lines")).to_be_visible()
    context.close()
