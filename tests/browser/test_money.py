"""Money and risk at the dashboard in a real Chromium: an export that is followed, screens without barriers."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Till
from tests.browser.test_merchant import confirm, sign_in
from tests.browser.test_other_ways import without_barriers

#: Read at a desk in daylight and on a small phone at night.
SCREENS = (
    *("failures", "reviews", "identity", "fraud", "fraud/edit", "connectors", "connectors/new?type=stripe"),
    *(
        "routing?amount=25&currency=GBP",
        "settlements",
        "reconciliations",
        "payouts",
        "exports",
        "exports/new",
    ),
)


def test_an_export_fills_its_bar_and_no_screen_has_a_barrier(till: Till, browser: Browser, axe: str) -> None:
    context = browser.new_context(bypass_csp=True)
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

    page.goto(base + "connectors/new")
    confirm(page, till)
    for scheme, width in (("light", 1280), ("dark", 320)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 800})
        for path in SCREENS:
            page.goto(base + path)
            without_barriers(page, axe)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} wide"
    assert problems == []
    context.close()
