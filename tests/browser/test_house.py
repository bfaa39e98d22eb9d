"""In a real Chromium: branding seen as it is typed, and somebody invited."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Till
from tests.browser.test_merchant import confirm, sign_in


def test_branding_follows_the_typing_and_somebody_is_invited(till: Till, browser: Browser) -> None:
    context = browser.new_context()
    context.set_default_timeout(15_000)
    page = context.new_page()
    sign_in(page, till, "user")
    page.goto(till.base + "/dashboard/test/settings")
    before = page.evaluate("history.length")
    page.fill("[name=name]", "Mugs & More")
    page.check("[name=own_accent]")
    page.fill("[name=brand_accent]", "#1a73e8")
    frame = page.frame_locator("#preview")
    expect(frame.locator("body[data-accent='#1a73e8']")).to_contain_text("Mugs & More")
    assert page.evaluate("history.length") == before, "going back still leads back"
    page.goto(till.base + "/dashboard/test/team/new")
    confirm(page, till)
    page.fill("[name=name]", "Nora")
    page.fill("[name=email]", "nora@demo.test")
    page.click("main button[type=submit]")
    link = re.search(r"http://\S+/dashboard/invitation/[\w-]+", page.locator("[data-secret]").inner_text())
    assert link is not None
    newcomer = browser.new_context().new_page()
    newcomer.goto(till.base + link.group()[link.group().index("/dashboard") :])
    newcomer.fill("[name=new_secret]", "wet owl under the bridge")
    newcomer.click("main button[type=submit]")
    expect(newcomer.locator("h1")).to_contain_text("Home")
    newcomer.context.close()
    context.close()
