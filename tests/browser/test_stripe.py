"""Stripe mode in a real Chromium: Stripe's fields on our page, 3-D Secure over it, and Stripe's page without script.

Stripe's script, frames and page are the suite's stand-in, on another site than Till: the page's policy is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, Route, expect

from tests.browser.conftest import Till, started
from tests.browser.test_embed import call, opened, shop_of, told
from tests.browser.test_hosted_page import barriers
from tests.browser.test_shopper import receipt, settled
from tests.stripe_standin import StandIn

GOOD, NO_FUNDS, CHALLENGED = "4242 4242 4242 4242", "4000 0000 0000 9995", "4000 0027 6000 3184"


@pytest.fixture(scope="module")
def stripe() -> Iterator[StandIn]:
    """Stripe."""
    with StandIn().running() as server:
        yield server


@pytest.fixture(scope="module")
def till(stripe: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    """A Till whose deployment has a Stripe account."""
    account = {
        "STRIPE_SECRET_KEY": "sk_test_of_the_house",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_of_the_house",
        "STRIPE_MODE": "elements",
        "STRIPE_API_BASE": stripe.url,
        "STRIPE_JS_URL": stripe.url.replace("127.0.0.1", "localhost") + "/v3/",
    }
    with started(tmp_path_factory.mktemp("stripe"), **account) as running:
        yield running


@pytest.fixture
def page(browser: Browser, stripe: StandIn) -> Iterator[Page]:
    """A fresh browser with script; nothing may be complained of, by the browser or by Stripe."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    context.set_default_timeout(15_000)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    yield page
    context.close()
    # A browser tells of an answer to a form whose total has changed meanwhile.
    wrong = [text for text in said if text.startswith(("error", "warning")) and "409 (Conflict)" not in text]
    assert (wrong, stripe.complaints) == ([], [])


def pay(page: Page | FrameLocator, number: str) -> None:
    """Type a card into Stripe's fields and press our button."""
    card = page.frame_locator("iframe[name=stripe-card]")
    for name, text in {"number": number, "expiry": "12 / 34", "cvc": "123"}.items():
        card.locator(f"[name={name}]").fill(text)
    page.locator("[data-pay-button]").evaluate("button => { button.click(); button.click(); }")


@pytest.fixture
def made(stripe: StandIn) -> Any:
    """What becomes of the PaymentIntents of a test: (status, amount) of each, oldest first."""
    objects = stripe.account("sk_test_of_the_house").objects
    before = set(objects)

    def found() -> list[tuple[str, int]]:
        fresh = [o for key, o in list(objects.items()) if key not in before]
        return [(o["status"], o["amount"]) for o in fresh if o["object"] == "payment_intent"]

    return found


def test_a_card_is_declined_a_coupon_applied_and_another_card_pays_once(
    till: Till, made: Any, page: Page, axe: str
) -> None:
    checkout_id, url = till.session(options={"allow_coupon_code": True})
    page.goto(url)
    expect(page.locator(".card-elsewhere")).to_be_hidden()
    fields = page.locator("form:visible input:visible, form:visible select:visible")
    assert set(fields.evaluate_all("all => all.map(one => one.name)")) <= {"email", "coupon", "gift_card"}
    page.locator("[data-pay-button]").click()  # nothing typed: Stripe says so itself, and nothing is sent
    expect(page.locator("[data-pay-button]")).not_to_have_attribute("aria-busy", "true")
    pay(page, NO_FUNDS)
    expect(page.locator("[data-error-summary]")).to_contain_text("doesn't have enough funds")
    assert barriers(page, axe) == []
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v3/tokens", hold)
    with page.expect_request("**/v3/tokens"):
        pay(page, GOOD)
    page.locator("details:has([name=coupon]) > summary").click()
    page.fill("[name=coupon]", "SAVE10")
    page.click(".inline-form:has([name=coupon]) button")
    expect(page.locator("[data-pay-button]")).to_contain_text("£48.56")
    held.pop().continue_()  # the token comes now: it was asked for under the old total
    expect(page.locator("[data-error-summary]")).to_contain_text("total has changed")
    assert made() == [("requires_payment_method", 5395)], "nobody pressed a button with the new total"
    page.unroute("**/v3/tokens")
    pay(page, GOOD)
    receipt(page)
    state = settled(till, checkout_id, "completed")
    assert state["payment_intent"]["amount"] == 4856
    assert made() == [("requires_payment_method", 5395), ("succeeded", 4856)]


@contextmanager
def redirecting(till: Till) -> Iterator[None]:
    """The merchant has an account of its own meanwhile, which takes cards on Stripe's page."""
    config = {"secret_key": "sk_test_of_the_house", "integration": "redirect"}
    account = till.api("/v1/payments/connectors", {"name": "Own", "type": "stripe", "config": config})
    yield
    call(till, "DELETE", f"/v1/payments/connectors/{account['id']}")


@pytest.mark.parametrize("way", ["without script", "without Stripe's script", "in redirect mode"])
def test_who_has_no_fields_of_stripes_pays_on_its_page(
    till: Till, made: Any, browser: Browser, stripe: StandIn, way: str
) -> None:
    context = browser.new_context(java_script_enabled=way != "without script")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.route("**/v3/", lambda route: route.abort())
    with redirecting(till) if way == "in redirect mode" else nullcontext():
        pay_on_stripes_page(till, page, stripe, scripted=way != "without script")
    if way != "in redirect mode":
        key = {"x-api-key": till.demo["keys"]["secret"]}
        club = {"price_id": till.demo["recurring_price_id"], "customer_email": "ann@example.com"}
        renews = till.api("/checkout-sessions", club, **key)
        page.goto(renews["url"])
        expect(page.get_by_role("alert")).to_contain_text("The card form by Stripe didn't load")
        expect(page.locator("#card-form")).to_be_hidden()
    assert made() == [("succeeded", 5395)]
    context.close()


def pay_on_stripes_page(till: Till, page: Page, stripe: StandIn, *, scripted: bool) -> None:
    """There and back again."""
    checkout_id, url = till.session()
    page.goto(url)
    expect(page.locator("#card-form")).to_be_hidden()
    page.click("button[name=method][value=card]")
    if not scripted:
        page.click(f"a[href^='{stripe.url}']")
    page.wait_for_url("**/c/pay/**")
    page.click("button[value=pay]")
    receipt(page)
    settled(till, checkout_id, "completed")


def test_the_bank_asks_over_our_page(till: Till, made: Any, page: Page) -> None:
    checkout_id, url = till.session()
    page.goto(url)
    bank = page.frame_locator("iframe[name=stripe-challenge]")
    pay(page, CHALLENGED)
    bank.locator("#no").click()
    expect(page.locator("[data-error-summary]")).to_contain_text("couldn't confirm that it's you")
    pay(page, CHALLENGED)
    expect(bank.locator("#yes")).to_be_visible()
    page.reload()  # who comes back to the page is asked again
    bank.locator("#yes").click()
    receipt(page)
    settled(till, checkout_id, "completed")
    assert made() == [("canceled", 5395), ("succeeded", 5395)]


def test_in_a_shops_frame(till: Till, made: Any, page: Page) -> None:
    with shop_of(till) as origin:
        call(till, "PATCH", "/v1/checkout/settings", {"hosted_checkout": {"embed_origins": [origin]}})
        checkout_id, token = opened(till)
        page.goto(f"{origin}/?token={token}")
        frame = page.frame_locator("iframe[src*=embed]")
        pay(frame, NO_FUNDS)
        expect(frame.locator("[data-error-summary]")).to_contain_text("doesn't have enough funds")
        pay(frame, CHALLENGED)
        frame.frame_locator("iframe[name=stripe-challenge]").locator("#yes").click()
        expect(frame.locator("main")).to_contain_text("Payment received")
        settled(till, checkout_id, "completed")
        assert told(page, "complete") == [{"type": "complete", "checkoutId": checkout_id}]
        assert made() == [("requires_payment_method", 5395), ("succeeded", 5395)]
