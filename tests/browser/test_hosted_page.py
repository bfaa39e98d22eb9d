"""The hosted page in a real Chromium: delivery, stored value, more time, another device, and the way back to the shop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Till
from tests.browser.test_shopper import GOOD, fill, pay, receipt, settled


@pytest.fixture(params=["with script", "without script"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A fresh browser, with and without JavaScript."""
    context = browser.new_context(java_script_enabled=request.param == "with script")
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def scripted(browser: Browser) -> Iterator[Page]:
    """A fresh browser with JavaScript."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def shop() -> Iterator[str]:
    """The merchant's shop, on an origin of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Shop</title><h1>Shop</h1>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def address(page: Page, prefix: str = "ship_") -> None:
    """Type an address that is good."""
    page.fill(f"[name={prefix}name]", "Sam Shopper")
    page.select_option(f"[name={prefix}country]", "GB")
    page.fill(f"[name={prefix}line1]", "1 High Street")
    page.fill(f"[name={prefix}city]", "London")
    page.fill(f"[name={prefix}postal_code]", "n1 1aa")


def barriers(page: Page, axe: str) -> Any:
    """What axe finds; evaluated, not loaded, since the page's policy lets no script in."""
    page.evaluate(axe)
    return page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))")


def to_deliver(till: Till, **body: Any) -> tuple[str, str]:
    """A session whose goods are sent somewhere and whose bill goes to somebody."""
    options = {
        "require_shipping_address": True,
        "require_billing_address": True,
        "allow_coupon_code": True,
    }
    return till.session(options=options, **body)


def test_goods_are_delivered_billed_and_a_coupon_takes_off(
    till: Till, page: Page, request: pytest.FixtureRequest
) -> None:
    buy_with_delivery(till, page, scripted="without script" not in request.node.name)


def test_the_same_over_postgresql(till_on_postgresql: Till, scripted: Page) -> None:
    buy_with_delivery(till_on_postgresql, scripted, scripted=True)


def buy_with_delivery(till: Till, page: Page, *, scripted: bool) -> None:
    """Address, delivery, bill, discount, card: a journey over most of the page."""
    checkout_id, url = to_deliver(till)
    page.goto(url)
    page.click("#shipping-form button[type=submit]")
    expect(page.locator("[data-error-summary]")).to_contain_text("Enter the street and number")
    assert page.title().startswith("Error:")
    address(page)
    page.click("#shipping-form button[type=submit]")
    expect(page.locator("#options-form")).to_contain_text("2 to 4 days")
    page.check("#way-2")
    if not scripted:  # a button says so
        page.locator("#options-form button[type=submit]").click()
    expect(page.locator(".total")).to_contain_text("£57.94")
    page.click("button[name=same]")
    expect(page.locator("#card-form")).to_be_visible()
    page.click("text=Add a promotion code")
    page.fill("[name=coupon]", "SAVE10")
    page.click(".inline-form:has([name=coupon]) button")
    expect(page.locator(".total")).to_contain_text("£52.55")
    pay(page, GOOD)
    receipt(page)
    state = settled(till, checkout_id, "completed")
    assert state["payment_intent"]["amount"] == 5255
    assert state["selected_shipping"]["id"] == "ship_1"
    assert state["billing_address"]["postal_code"] == "N1 1AA"


def test_totals_follow_in_place_and_what_is_typed_stays(till: Till, scripted: Page, axe: str) -> None:
    page = scripted
    checkout_id, url = to_deliver(till, customer={"email": "sam@gmail.com"})
    page.goto(url)
    page.evaluate("window.sameDocument = true")
    page.click("#shipping-form button[type=submit]")
    expect(page.locator("[data-error-summary]")).to_be_focused()
    assert barriers(page, axe) == []
    address(page)
    page.click("#shipping-form button[type=submit]")
    page.check("#way-2")
    page.fill("[name=bill_city]", "Leeds")
    page.check("#way-1")
    expect(page.locator(".total")).to_contain_text("£55.94")
    assert page.input_value("[name=bill_city]") == "Leeds"
    page.click("button[name=same]")
    page.fill("[name=card_number]", GOOD)
    assert page.input_value("[name=email]") == "sam@gmail.com"
    page.fill("[name=email]", "sam@gmial.com")
    page.locator("[name=email]").blur()
    page.click("[data-email-hint] button")
    page.check("#way-2")
    expect(page.locator("[data-pay-button]")).to_contain_text("£57.94")
    expect(page.locator("#way-2")).to_be_focused()
    expect(page.locator("[data-live-status]")).to_contain_text("£57.94")
    page.click("text=Use a gift card")
    page.fill("[name=gift_card]", "NO-SUCH-CARD")
    page.keyboard.press("Enter")
    expect(page.locator("#gift_card-error")).to_contain_text("isn't valid")
    assert page.input_value("[name=card_number]") == GOOD
    assert page.input_value("[name=email]") == "sam@gmail.com"
    page.click(".sandbox summary")
    assert barriers(page, axe) == []
    assert page.evaluate("window.sameDocument") is True
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    fill(page, GOOD)
    page.click("[data-pay-button]")
    receipt(page)
    assert settled(till, checkout_id, "completed")["payment_intent"]["amount"] == 5794


def test_more_time_is_asked_for_once_and_nothing_typed_is_lost(till: Till, scripted: Page) -> None:
    page = scripted
    checkout_id, url = till.session()
    ends = datetime.fromisoformat(till.state(checkout_id)["expires_at"])
    page.clock.install(time=ends.timestamp() - 100)
    page.goto(url)
    notice = page.locator("[data-expires-at]")
    expect(notice).to_contain_text("This page closes in 1:")
    page.fill("[name=card_number]", GOOD)
    page.click("text=I need more time")
    expect(notice).to_be_hidden()
    assert page.input_value("[name=card_number]") == GOOD
    longer = datetime.fromisoformat(till.state(checkout_id)["expires_at"])
    assert (longer - ends).total_seconds() == 1800
    expect(page.locator("text=I need more time")).to_have_count(0)


def test_the_page_moves_to_a_phone_and_the_desktop_follows(till: Till, browser: Browser, axe: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    desk, other = context.new_page(), browser.new_context(java_script_enabled=False)
    checkout_id, url = till.session()
    desk.goto(url)
    desk.click("text=Continue on your phone")
    drawn = desk.locator("figure.qr img")
    drawn.scroll_into_view_if_needed()
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    assert barriers(desk, axe) == []
    phone = other.new_page()
    phone.goto(url)
    pay(phone, GOOD)
    receipt(phone)
    receipt(desk)
    assert settled(till, checkout_id, "completed")["payment_intent"]["status"] == "succeeded"
    other.close()
    context.close()


def test_the_way_back_to_the_shop_is_over_a_page_of_ours(till: Till, page: Page, shop: str) -> None:
    _, url = till.session(cancel_url=f"{shop}/basket", success_url=f"{shop}/thanks")
    page.goto(url)
    page.click("text=Cancel and go back")
    page.wait_for_url(f"{shop}/basket")
    page.goto(url)
    page.click(".sandbox summary")
    page.click("button[value=approve]")
    receipt(page)
    page.wait_for_url(f"{shop}/thanks", timeout=20_000)
