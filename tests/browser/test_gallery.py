"""Every page that a shopper may see, in one Chromium: no barrier, nothing sideways, no word in the console.

The pages are those of tests/pages/gallery.py, shown again as they were answered, headers and all: the browser
applies their policy itself.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route
from playwright.sync_api import Page as Tab

from tests.pages.gallery import ORIGIN, Gallery, Page

WIDTHS = {320: 640, 1280: 900}
SCHEMES = ("light", "dark")
#: No page goes on by itself while it is looked at.
STAY = """
HTMLAnchorElement.prototype.click = HTMLFormElement.prototype.requestSubmit = () => {};
window.setInterval = () => 0;
"""
#: axe's rules whose outcome depends on how a page looks; the others are asked once a page.
LOOKS = ["color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block"]


class Viewer:
    """A browser that is shown one page at a time, and what it asked for and said."""

    def __init__(self, browser: Browser, gallery: Gallery, axe: str) -> None:
        self.gallery, self.axe, self.page = gallery, axe, Page("", "", 0, {}, b"")
        self.wrong: list[str] = []
        self.tab: Tab = browser.new_context(reduced_motion="reduce").new_page()
        self.tab.context.route("**/*", self._answer)
        self.tab.add_init_script(STAY)
        self.tab.on("console", lambda said: self._hear(said.type, said.text))
        self.tab.on("pageerror", lambda error: self._hear("error", str(error)))

    def _hear(self, kind: str, text: str) -> None:
        status = (
            f"responded with a status of {self.page.status}"  # of the page itself, where it is none of 200
        )
        if kind in ("error", "warning") and status not in text:
            self.wrong.append(f"{self.page}: {kind}: {text}")

    def _answer(self, route: Route) -> None:
        asked = urlsplit(route.request.url)
        path = asked.path + (f"?{asked.query}" if asked.query else "")
        if not route.request.url.startswith(ORIGIN + "/"):
            self.wrong.append(f"{self.page} asks {route.request.url}")
            route.abort()
        else:
            self._fulfill(route, self.gallery.files.get(path, self.page))

    def _fulfill(self, route: Route, page: Page) -> None:
        route.fulfill(status=page.status, headers=page.headers, body=page.body)

    def show(self, page: Page) -> None:
        """Open a page, and look at it in every scheme and width."""
        self.page = page
        self.tab.goto(ORIGIN + page.path)
        self.tab.evaluate(self.axe)
        rules = None
        for width, height in WIDTHS.items():
            self.tab.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                self.tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                self._look(f"{page}, {scheme} at {width}", rules)
                rules = LOOKS

    def prints(self, page: Page) -> None:
        """A page on paper has nothing to press, and what it is about."""
        self.page = page
        self.tab.goto(ORIGIN + page.path)
        self.tab.emulate_media(media="print", color_scheme="dark")
        for words in (".button", ".link-button", ".languages", ".test-banner"):
            if self.tab.locator(words).locator("visible=true").count():
                self.wrong.append(f"{page} prints {words}")
        if not self.tab.locator(":is(.lines, .poster-code)").first.is_visible():
            self.wrong.append(f"{page} does not print what it is about")
        self.tab.emulate_media(media="screen")

    def keeps_scripts_out(self) -> bool:
        """Whether the page's policy holds here, so that the rest means something."""
        said = len(self.wrong)
        slipped = self.tab.evaluate(
            """() => {
                document.body.append(Object.assign(document.createElement("script"), { text: "window.in = 1" }));
                return "in" in window;
            }"""
        )
        told = self.wrong[said:]
        del self.wrong[said:]
        return not slipped and any("Content Security Policy" in text for text in told)

    def _look(self, where: str, rules: list[str] | None) -> None:
        found: dict[str, Any] = self.tab.evaluate(
            """async rules => ({
                wide: document.documentElement.scrollWidth - innerWidth,
                axe: (await axe.run({ resultTypes: ["violations"], ...(rules && { runOnly: rules }) }))
                    .violations.map(one => `${one.id}: ${one.nodes.map(node => node.html).join(" | ")}`),
            })""",
            rules,
        )
        self.wrong += [f"{where}: {text[:400]}" for text in found["axe"]]
        if found["wide"] > 0:
            self.wrong.append(f"{where}: scrolls sideways by {found['wide']}")


def test_no_page_of_a_shoppers_has_a_barrier(browser: Browser, gallery: Gallery, axe: str) -> None:
    viewer = Viewer(browser, gallery, axe)
    for page in gallery.pages.values():
        viewer.show(page)
    assert viewer.keeps_scripts_out()
    for name in ("receipt", "receipt to keep", "receipt to keep, void", "poster"):
        viewer.prints(gallery.pages[name])
    viewer.tab.context.close()
    assert not viewer.wrong, "\n".join(viewer.wrong)
