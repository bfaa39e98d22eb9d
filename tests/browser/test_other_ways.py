"""In a real Chromium: a QR code that somebody else pays, a transfer, and a merchant's own page on another origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Till
from tests.browser.test_shopper import GOOD, NO_FUNDS, pay

#: A merchant's page: it asks with the client secret, and shows what comes back.
MERCHANT_PAGE = """<!doctype html><title>Shop</title><body></body><script>
window.call = async (method, url, secret, body) => {
  const answer = await fetch(url, {
    method,
    headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json", "Idempotency-Key": url },
    body: body ? JSON.stringify(body) : undefined,
  });
  return answer.status === 204 ? null : answer.json();
};
</script>"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh browser."""
    context = browser.new_context()
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def shop() -> Iterator[str]:
    """A merchant's site of one page, on an origin of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(MERCHANT_PAGE.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def chosen(till: Till, page: Page, method: str) -> str:
    """A session whose shopper has chosen a method; its id."""
    checkout_id, url = till.session()
    page.goto(url)
    page.click(f"button[name=method][value={method}]")
    page.wait_for_load_state()
    return checkout_id


def without_barriers(page: Page, axe: str) -> None:
    page.evaluate(axe)
    found: list[Any] = page.evaluate("axe.run().then(result => result.violations.map(v => v.id))")
    assert found == []


def test_a_code_that_is_paid_on_a_phone_moves_the_page_on(till: Till, page: Page, browser: Browser) -> None:
    chosen(till, page, "promptpay")
    expect(page.locator("h1")).to_have_text("Scan to pay with PromptPay")
    drawn = page.locator("figure.qr img")
    assert drawn.evaluate("image => image.complete && image.naturalWidth > 0")
    phone = browser.new_context().new_page()
    phone.goto(page.locator("a.button[href*='/sandbox/']").get_attribute("href") or "")
    expect(phone.locator("h1")).to_have_text("Pay this QR code?")
    phone.click("button[value=authorize_lose_browser]")
    expect(page.locator("main")).to_contain_text("Payment received")
    phone.context.close()


def test_a_transfer_waits_and_another_method_pays(till: Till, page: Page) -> None:
    checkout_id, address = till.session()
    page.goto(address)
    pay(page, NO_FUNDS)
    expect(page.locator("main")).to_contain_text("enough funds")
    intent_id = till.state(checkout_id)["payment_intent"]["id"]
    till.api("/v1/payments/apm/bank_transfer/initiate", {"intent_id": intent_id})
    page.goto(address)
    expect(page.locator("h1")).to_have_text("Make your bank transfer")
    expect(page.locator("main")).to_contain_text("AT611904300234573201")
    page.click("text=Pay another way")
    pay(page, GOOD)
    expect(page.locator("main")).to_contain_text("Payment received")


def test_a_page_of_another_site_pays_with_the_client_secret(till: Till, shop: str, page: Page) -> None:
    intent = till.api(
        "/v1/payments/intents", {"amount": 1250, "currency": "GBP"}, **{"Idempotency-Key": "browser-1"}
    )

    page.goto(f"{shop}/checkout")
    url, secret = f"{till.base}/v1/payments", intent["client_secret"]
    call = "([method, url, secret, body]) => window.call(method, url, secret, body)"
    body = {"intent_id": intent["id"], "return_url": f"{shop}/thanks"}
    started = page.evaluate(call, ["POST", f"{url}/apm/ideal/initiate", secret, body])
    page.goto(started["redirect_url"])
    page.click("button[value=authorize]")
    page.wait_for_url(f"{shop}/thanks?**")
    assert f"payment_intent_id={intent['id']}" in page.url and "redirect_status=succeeded" in page.url
    token = {"intent_id": intent["id"], "token": started["token"]}
    done = page.evaluate(call, ["POST", f"{url}/apm/ideal/confirm", secret, token])
    assert done["status"] == "succeeded"
    assert page.evaluate(call, ["GET", f"{url}/intents/{intent['id']}", secret, None])["amount"] == 1250
    refused = page.evaluate(
        "([url, secret]) => window.call('POST', url, secret, {}).then(() => 'answered', () => 'blocked')",
        [f"{url}/intents/{intent['id']}/capture", secret],
    )
    assert refused == "blocked", "only servers capture: the browser itself keeps the page out"


def test_leaving_leads_to_the_shop_on_its_own_origin(till: Till, page: Page, shop: str) -> None:
    checkout_id, url = till.session(cancel_url=f"{shop}/basket")
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.goto(url)
    page.get_by_role("button", name="Cancel and go back").click()
    page.wait_for_url(f"{shop}/basket")
    assert not [text for text in told if "Content Security Policy" in text]
    assert till.state(checkout_id)["status"] == "created", "it stays open until it expires"
