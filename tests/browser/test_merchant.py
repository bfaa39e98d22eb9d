"""A merchant in a real Chromium: sign in, find a payment, refund it, keys, webhooks, links."""

from __future__ import annotations

import itertools
import time
import urllib.error
import urllib.request

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Till
from tests.browser.test_shopper import GOOD, pay

_SIGN_INS = itertools.count(1)


def sign_in(page: Page, till: Till, who: str) -> None:
    """Password, then a code for the one who has TOTP on."""
    person = till.demo[who]
    # Five sign-ins a minute are an address' share, and many tests sign in: each comes from an address of its own.
    page.set_extra_http_headers({"X-Forwarded-For": f"198.18.{next(_SIGN_INS)}.1"})
    page.goto(till.base + "/dashboard")
    page.fill("[name=email]", person["email"])
    page.fill("[name=password]", person["password"])
    page.click("main button[type=submit]")
    if person["totp_secret"]:
        page.wait_for_url("**/sign-in/code**")
        page.fill("[name=code]", pyotp.TOTP(person["totp_secret"]).now())
        page.click("main button[type=submit]")
    expect(page.locator("h1")).to_contain_text("Home")
    page.set_extra_http_headers({})


def confirm(page: Page, till: Till) -> None:
    """Step up with the password."""
    expect(page.locator("h1")).to_contain_text("Confirm that it is you")
    page.fill("[name=secret]", till.demo["user"]["password"])
    page.click("main button[type=submit]")


@pytest.fixture(params=["with script", "without script"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Page:
    """A fresh browser."""
    context = browser.new_context(java_script_enabled=request.param == "with script")
    context.set_default_timeout(15_000)
    return context.new_page()


def test_the_merchants_day(till: Till, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    pay(page, GOOD)
    expect(page.locator("main")).to_contain_text("Payment received")

    sign_in(page, till, "user")
    page.goto(f"{till.base}/dashboard/test/payments?q={checkout_id}")
    page.locator("table a").first.click()
    expect(page.locator("main")).to_contain_text("Timeline")
    expect(page.locator("main")).to_contain_text("checkout.completed")

    page.locator(".screen-actions a", has_text="Refund").click()
    confirm(page, till)
    page.check("[value=part]")
    page.fill("[name=amount]", "5.00")
    page.click("main button[type=submit]")
    expect(page.locator("main")).to_contain_text("£5.00")
    until = time.monotonic() + 15
    while "Succeeded" not in page.locator("main table").first.inner_text():
        assert time.monotonic() < until, "the refund was not sent"
        page.wait_for_timeout(300)
        page.reload()

    page.goto(till.base + "/dashboard/test/keys/new")
    confirm(page, till)
    page.fill("[name=name]", "Second server")
    page.click("main button[type=submit]")
    secret = page.locator("[data-secret]").inner_text().strip().split()[0]
    assert secret.startswith("sk_test_")
    assert answers(till, secret) == 200
    page.goto(till.base + "/dashboard/test/keys")
    assert secret not in page.content()
    page.locator("tr", has_text="Second server").locator("a", has_text="Revoke").click()
    page.click("main button[type=submit]")
    assert answers(till, secret) == 401

    page.goto(till.base + "/dashboard/test/webhooks/new")
    confirm(page, till)
    page.fill("[name=url]", till.receiver.url("/ok"))
    page.click("main button[type=submit]")
    assert page.locator("[data-secret]").inner_text().strip().startswith("whsec_")

    until = time.monotonic() + 30
    page.goto(till.base + "/dashboard/test/webhooks?show=successful")
    while page.locator("a[href*='/deliveries/']").count() == 0:
        assert time.monotonic() < until, "no delivery succeeded"
        page.wait_for_timeout(500)
        page.reload()
    page.locator("a[href*='/deliveries/']").first.click()
    before = len(till.receiver.requests())
    page.locator("button", has_text="Send again").click()
    expect(page.locator("main")).to_contain_text("Sent again from")
    until = time.monotonic() + 15
    while len(till.receiver.requests()) <= before:
        assert time.monotonic() < until, "it was not sent again"
        time.sleep(0.1)

    page.goto(till.base + "/dashboard/test/fraud/edit")
    confirm(page, till)
    page.fill("[name=challenge_from]", "63")
    page.get_by_role("button", name="Use these rules").click()
    expect(page.locator("main")).to_contain_text("63")

    page.goto(till.base + "/dashboard/test/links/new")
    page.fill("[name=title]", "Workshop ticket")
    page.fill("[name=amount]", "25.00")
    page.click("main button[type=submit]")
    expect(page.locator("main img[src$='qr.svg']")).to_be_visible()
    page.locator(".screen-actions a", has_text="Open").click()
    page.locator("main form button[type=submit]").last.click()
    page.wait_for_url("**/pay/**")
    expect(page.locator("body")).to_contain_text("£25.00")
    pay(page, GOOD)
    expect(page.locator("main")).to_contain_text("Payment received")
    page.context.close()


def answers(till: Till, secret: str) -> int:
    """What the API says to a key."""
    request = urllib.request.Request(till.base + "/checkout-sessions", headers={"x-api-key": secret})
    try:
        return int(urllib.request.urlopen(request, timeout=10).status)
    except urllib.error.HTTPError as refused:
        return refused.code
