"""Money at the dashboard in a real Chromium: an export that is followed until it is there."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Till
from tests.browser.test_merchant import sign_in


def test_an_export_fills_its_bar(till: Till, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    sign_in(page, till, "user")
    base = f"{till.base}/dashboard/test/"
    page.goto(base + "exports/new")
    page.click("main form button[type=submit]")
    expect(page.locator("main")).to_contain_text("Ready:", timeout=30_000)
    with page.expect_download() as saved:
        page.click("main a:has-text('Download')")
    assert saved.value.suggested_filename.startswith("till-transactions-")
    assert problems == []
    context.close()
