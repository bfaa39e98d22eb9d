"""A payment link in a real browser: scanned, filled in, passed on and paid."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Till
from tests.browser.test_shopper import GOOD, pay, receipt


def details(till: Till) -> dict[str, Any]:
    """The link as its merchant sees it."""
    request = urllib.request.Request(
        f"{till.base}/api/v1/links/harbour/details",
        headers={"Authorization": f"Bearer {till.demo['keys']['secret']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


def test_a_link_is_scanned_once_copied_and_paid(till: Till, browser: Browser) -> None:
    page_of_it = {
        "maxQuantity": 4,
        "fields": [
            {"key": "boat", "label": "Name for the ticket", "required": True},
            {"key": "size", "label": "Life jacket", "options": ["S", "M"]},
        ],
    }
    till.api(
        "/api/v1/links",
        {"slug": "harbour", "currency": "GBP", "amount": 1000, "reference": "trip", "page": page_of_it},
    )
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(15_000)
    page = context.new_page()
    with page.expect_response("**/l/harbour/scan") as told:
        page.goto(f"{till.base}/l/harbour?via=qr&utm_source=poster")
    assert told.value.status == 204
    page.wait_for_url(f"{till.base}/l/harbour?utm_source=poster")
    assert page.locator(".languages-list a").count() > 1
    assert page.locator("a[href*='via=qr']").count() == 0, "another language would count it once more"
    page.reload()
    assert details(till)["scans"] == 1
    page.click("[data-copy]")
    expect(page.locator("[data-copy]")).to_have_attribute("aria-label", "Copied")
    assert page.evaluate("navigator.clipboard.readText()") == details(till)["url"]
    page.fill("[name=boat]", "4242 4242 4242 4242")
    expect(page.locator("#boat-warning")).to_be_visible()
    page.fill("[name=boat]", "Ada")
    expect(page.locator("#boat-warning")).to_be_hidden()
    page.select_option("[name=size]", "M")
    page.fill("[name=quantity]", "2")
    page.click("[data-pay-button]")
    page.wait_for_url("**/pay/**")
    expect(page.locator("body")).to_contain_text("£20.00")
    pay(page, GOOD)
    receipt(page)
    assert (details(till)["used"], details(till)["scans"]) == (1, 1)
    context.close()
