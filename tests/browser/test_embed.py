"""The checkout in a frame of a shop's own page, on another site than Till: it pays there, and nowhere else."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser.conftest import Till
from tests.browser.test_shopper import CHALLENGED, GOOD, NO_FUNDS, settled

SHOP = """<!doctype html><html lang="en"><title>A shop</title><meta charset="utf-8"><h1>Your basket</h1>
<div id="checkout"></div><script src="{till}/static/embed.js"></script><script>
window.told = [];
const tell = (type) => (detail) => told.push({{ type, ...detail }});
const place = document.querySelector("#checkout");
place.addEventListener("till:complete", (event) => told.push({{ type: "event", ...event.detail }}));
const asked = new URLSearchParams(location.search), token = asked.get("token");
document.documentElement.lang = asked.get("lang") || "en";
Till.mount(place, {{ token, onComplete: tell("complete"), onError: tell("error"), onResize: tell("resize") }});
</script></html>"""


@contextmanager
def shop_of(till: Till) -> Iterator[str]:
    """The origin of a shop's page on another site than Till's."""

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = SHOP.format(till=till.base).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def pages(till: Till) -> Iterator[tuple[str, str]]:
    """A shop's pages on two origins; the merchant has listed the first of them."""
    with shop_of(till) as listed, shop_of(till) as other:
        call(till, "PATCH", "/v1/checkout/settings", {"hosted_checkout": {"embed_origins": [listed]}})
        yield listed, other


def call(till: Till, method: str, path: str, body: object = None) -> dict[str, str]:
    """A call of the merchant's server."""
    key = till.demo["keys"]["secret"]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(till.base + path, sent, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]


def opened(till: Till) -> tuple[str, str]:
    """A session without a page of its own: (its id, a token to show it)."""
    made = till.api("/v1/checkout/sessions", {"cart_id": "cart_123"})
    token = call(till, "GET", f"/v1/checkout/sessions/{made['checkout_id']}/embed-token")
    return made["checkout_id"], token["token"]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser that takes no cookies of others, as browsers do by now; its console is heard."""
    context = browser.new_context(viewport={"width": 700, "height": 900})
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def pay(frame: FrameLocator, number: str) -> None:
    """Fill the form in the frame in and press its button."""
    card = {"card_number": number, "exp_month": "12", "exp_year": "34", "cvc": "123", "email": "a@b.example"}
    for name, value in card.items():
        frame.locator(f"[name={name}]").fill(value)
    frame.locator("[data-pay-button]").click()


def told(page: Page, type_: str) -> list[dict[str, object]]:
    """What the shop's page was told."""
    found: list[dict[str, object]] = page.evaluate("type => told.filter(one => one.type === type)", type_)
    return found


def test_a_card_is_declined_and_another_pays_inside_the_frame(
    till: Till, pages: tuple[str, str], page: Page
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    checkout_id, token = opened(till)
    page.goto(f"{pages[0]}/?token={token}")
    frame = page.frame_locator("iframe")
    expect(frame.locator("body")).to_contain_text("£53.95")
    pay(frame, NO_FUNDS)
    expect(frame.locator("main")).to_contain_text("doesn't have enough funds")
    [declined] = told(page, "error")
    assert (declined["code"], declined["final"]) == ("payment_error", False)
    pay(frame, GOOD)
    expect(frame.locator("main")).to_contain_text("Payment received")
    settled(till, checkout_id, "completed")
    assert told(page, "complete") == [{"type": "complete", "checkoutId": checkout_id}]
    assert told(page, "event") == [{"type": "event", "checkoutId": checkout_id}]
    height = page.evaluate("document.querySelector('iframe').getBoundingClientRect().height")
    inner = frame.locator("body").evaluate("body => Math.ceil(body.getBoundingClientRect().height)")
    assert abs(height - inner) <= 1
    assert frame.locator("html").evaluate("html => html.scrollHeight <= innerHeight"), "it scrolls inside"
    assert page.context.cookies(till.base) == []
    assert page.url.startswith(pages[0])
    assert [text for text in said if text.startswith(("error", "warning"))] == [], said


def test_a_bank_opens_in_a_window_of_its_own_and_the_frame_goes_on(
    till: Till, pages: tuple[str, str], page: Page
) -> None:
    checkout_id, token = opened(till)
    page.goto(f"{pages[0]}/?token={token}")
    frame = page.frame_locator("iframe")
    pay(frame, CHALLENGED)
    with page.context.expect_page() as opening:
        frame.locator("a[data-auto-continue]").click()
    bank = opening.value
    assert "/sandbox/acs/" in bank.url
    bank.fill("[name=code]", "123456")
    bank.locator("button[value=submit]").click()
    expect(bank.locator("main")).to_contain_text("Payment received")
    expect(frame.locator("main")).to_contain_text("Payment received")
    settled(till, checkout_id, "completed")
    assert told(page, "complete") == [{"type": "complete", "checkoutId": checkout_id}]


def test_an_origin_that_is_not_listed_is_refused_in_words(
    till: Till, pages: tuple[str, str], page: Page
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    checkout_id, token = opened(till)
    page.goto(f"{pages[1]}/?token={token}&lang=de-AT")
    frame = page.frame_locator("iframe")
    expect(frame.locator("html")).to_have_attribute("lang", "de")
    expect(frame.locator("main")).to_contain_text(f"may not be shown on {pages[1]}")
    assert frame.locator("form").count() == 0
    page.wait_for_function("told.some(one => one.type === 'error')")
    [error] = told(page, "error")
    assert (error["code"], error["final"]) == ("origin_not_allowed", True)
    assert any(f"Till: This payment form may not be shown on {pages[1]}" in text for text in said)
    # A page that lies about its origin: the browser keeps the frame shut.
    page.evaluate(
        """([till, token, listed]) => {
        const frame = document.createElement("iframe");
        frame.src = `${till}/embed/${token}?origin=${encodeURIComponent(listed)}`;
        document.body.append(frame);
    }""",
        [till.base, token, pages[0]],
    )
    until = time.monotonic() + 15
    while not page.frames[-1].url.startswith("chrome-error://"):
        assert time.monotonic() < until, page.frames[-1].url
        page.wait_for_timeout(50)
    assert any("frame-ancestors" in text for text in said)
    assert till.state(checkout_id)["status"] == "created"
