"""Every screen of the dashboard in a real Chromium, with the things of a busy shop: no barrier, nothing too wide.

Screens come from the app's own map and things from those that walk its gates, so that no list is kept here.
Each is loaded once and looked at twice: on a desk in daylight, and on a small phone at night.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from app.kit.http import Answer, SafeClient
from app.services.access import tenants, users, web_sessions
from app.services.checkout import demo_volume, gift_cards, links, order_making
from app.services.checkout.catalogue import products
from app.services.checkout.catalogue.products import ProductDraft
from app.services.checkout.links import LinkDraft
from app.services.events import audit, deliveries, webhooks
from app.web.opens import To
from tests import databases
from tests.gates import pages, things
from tests.gates.things import Things
from tests.shops import Shop

LOOKS = (("light", 1280), ("dark", 320))
#: What may differ at another size and in other colours; the frame around is looked at once, the rest is the same page.
BY_LOOK = ("color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable")
#: What addresses ask beyond their paths.
ASKING = (
    "?range=365",
    "/audit?check=1",
    "/connectors/new?type=stripe",
    "/payments?q=nothing+like+it",
    "/routing?amount=25&currency=GBP",
    "/search?q=mug",
    "/webhooks?show=failed",
)
#: Longer than any column, and nowhere to break it.
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk"
PASSWORD = "a long enough passphrase"


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """One database; what a browser shows doesn't hang on its kind."""
    with databases.fresh("sqlite", request, tmp_path) as address:
        yield address


class Quiet(WSGIRequestHandler):
    """Answers without a line on each request."""

    def log_request(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def base(app: Flask) -> Iterator[str]:
    """The app at an address of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()


def busy(client: FlaskClient, shop: Shop) -> Things:
    """One of everything, weeks of trade, and what is as long as anybody may make it."""
    owned = things.make(client, shop)
    tenant = tenants.by_slug(shop.actor.tenant.slug)
    assert tenant is not None
    demo_volume.grow(tenant, 60)
    products.create(shop.actor, ProductDraft(LONG.upper()[:40], LONG))
    links.create(shop.actor, LinkDraft(LONG, "GBP", amount=99_999_999, reference=LONG[:30]))
    gift_cards.issue(shop.actor, 99_999_999, "GBP")
    users.create(shop.actor.tenant_id, f"{LONG[:40]}@{LONG[:40]}.test", LONG, "read_only", PASSWORD)
    address = f"https://shop.example/{LONG.lower() * 3}"
    endpoint, _ = webhooks.create(shop.actor, address, ["checkout.completed", "payment.succeeded"])
    shop.pay(shop.session(price=9_999_999), nonce="dear")
    audit.seal()
    sender = SafeClient(allow_loopback=False)
    sender.post = lambda *_: Answer(500, {}, b"<oops>" + b"x" * 300, 7)  # type: ignore[method-assign]
    for delivery_id in deliveries.due(200):
        claimed = deliveries.claim(delivery_id)
        if claimed is not None and claimed.endpoint_id == endpoint.id:
            deliveries.deliver(claimed, sender)
    owned.ids["order_id"] = str(order_making.list_page(shop.actor).data[0].number)
    return owned


class Walk:
    """A browser that goes to screens and notes what is wrong with them."""

    def __init__(self, context: BrowserContext, base: str, axe: str) -> None:
        self.base, self.axe, self.here, self.wrong = base, axe, "", list[str]()
        self.seen = False
        self.page: Page = context.new_page()
        self.page.on("console", lambda said: self._note(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("request", self._asked)

    def _note(self, what: str) -> None:
        self.wrong.append(f"{self.here}: {what}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self._note(f"asks {request.url}")

    def look(self, path: str) -> None:
        """Open a screen, and look at it in all ways."""
        self.here = path
        answer = self.page.goto(self.base + path)
        assert answer is not None
        if answer.status != 200 or self.page.url != self.base + path:
            self._note(f"{answer.status} at {self.page.url}")
        policy = answer.headers.get("content-security-policy", "")
        if "default-src 'none'" not in policy or "unsafe" in policy:
            self._note(f"its policy is {policy}")
        if answer.headers.get("cache-control") != "no-store":
            self._note("may be stored")
        self.page.evaluate(self.axe)
        for scheme, width in LOOKS:
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            self.page.set_viewport_size({"width": width, "height": 900})
            again = (scheme, width) != LOOKS[0] and self.seen
            asked = f"'main', {{ runOnly: {list(BY_LOOK)} }}" if again else ""
            found = f"axe.run({asked}).then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))"
            for barrier in self.page.evaluate(found):
                self._note(f"{scheme}, {width}: {barrier}")
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                self._note(f"{wide} wide at {width}")
        self.seen = True


def test_no_screen_has_a_barrier_or_is_wider_than_the_window(
    app: Flask, client: FlaskClient, shop: Shop, base: str, browser: Browser, axe: str
) -> None:
    owned = busy(client, shop)
    owner = users.create(shop.actor.tenant_id, "owner@shop.example", LONG, "payments_admin", PASSWORD)
    token = web_sessions.open_session(owner.id)
    with client.session_transaction() as cookie:
        cookie["web_session"] = token
    held = web_sessions.load(token)
    assert held is not None
    owned.ids["sign_in_id"] = held.id
    [kept] = [one for one in (client.get_cookie("till"),) if one is not None]
    signed_in = browser.new_context(reduced_motion="reduce")
    signed_in.add_cookies([{"name": "till", "value": kept.value, "url": base}])
    nobody = browser.new_context(reduced_motion="reduce")
    within, outside = Walk(signed_in, base, axe), Walk(nobody, base, axe)

    for page in pages.pages_of(app):
        if page.method != "GET" or not page.rule.rule.startswith("/dashboard/"):
            continue
        states = pages.states(page, owned)
        for path in states if page.rule.rule.endswith(">") else states[:1]:
            if page.door.to != To.PEOPLE:
                if app.test_client().get(path).status_code == 200:
                    outside.look(path)
                continue
            if page.door.step_up is not None:
                web_sessions.confirm(held.token_hash, page.door.step_up)
            answer = client.get(path)
            if answer.status_code == 200 and answer.mimetype == "text/html":
                within.look(path)
    for asking in ASKING:
        within.look("/dashboard/test" + asking)
    signed_in.close()
    nobody.close()
    wrong = within.wrong + outside.wrong
    assert not wrong, "\n".join(wrong)
