"""Every page that a shopper may see, in each of its states, as the app answers it; tests of quality walk them.

A page is asked for once and kept with its status, headers and files, so that a browser can be shown it again
(tests/browser/test_gallery.py) and a validator can read it (tests/pages/test_html.py). A new kind of page, or a
new state of one, gets a line here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from app.db import transaction
from app.kit import clock
from app.models.catalogue.receipt import Receipt
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import hosted, links, payment, sessions, simple_sessions, stored_value
from app.services.checkout.drafts import SessionDraft
from app.services.checkout.links import LinkDraft
from app.services.checkout.simple_sessions import SimpleDraft
from app.services.operations import settings as merchant_settings
from app.services.payments import uploads
from tests import catalogue, databases, finalizations, shops
from tests.pages.hosted import Visit, typed
from tests.payments_api import Api
from tests.shops import CHALLENGED, NO_FUNDS, TIMES_OUT_AFTER, Shop

#: The origin that a browser is to take the pages for.
ORIGIN = "http://localhost"
#: A picture of one pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f0003"
    "810180dd7a9e880000000049454e44ae426082"
)
#: What a page asks for by itself.
_ASKED = re.compile(r'<(?:link|script|img|iframe)\b[^>]*?(?:href|src)="(/[^"]+)"')
_LINES = (
    CartLine("line_1", "MUG", "Stoneware mug, salt glaze", 2, 1500),
    CartLine(
        "line_2", "TEA", "Darjeeling first flush in a tin that has a name too long for one line", 1, 1995
    ),
    CartLine("line_3", "POT", "Teapot", 1, 7200),
)
_QUESTIONS = {
    "maxQuantity": 4,
    "promotionCodes": True,
    "fields": [
        {"key": "boat", "label": "Name of the boat", "required": True},
        {"key": "size", "label": "Size", "options": ["S", "M & L"]},
    ],
}


@dataclass(frozen=True)
class Page:
    """A page as it was answered: where a browser would be, and what it was told."""

    name: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes
    #: Bytes on the way to a browser, which takes gzip; known of the hosted page and of files.
    weight: int = 0
    #: Addresses of the files that it asks for by itself.
    asks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass
class Gallery:
    """All pages, and the files that they ask for by their addresses."""

    pages: dict[str, Page] = field(default_factory=dict)
    files: dict[str, Page] = field(default_factory=dict)


@dataclass
class Camera:
    """Takes the pages of one shop."""

    client: FlaskClient
    shop: Shop
    gallery: Gallery

    def take(self, name: str, answer: TestResponse, status: int = 200, weight: int = 0) -> None:
        """Keep a page under a name, with the files that it asks for."""
        assert answer.status_code == status, f"{name}: {answer.status_code} {answer.text[:400]}"
        assert name not in self.gallery.pages, f"two pages are called {name}"
        asks = tuple(dict.fromkeys(text.replace("&amp;", "&") for text in _ASKED.findall(answer.text)))
        kept = Page(name, answer.request.path, status, dict(answer.headers), answer.data, weight, asks)
        self.gallery.pages[name] = kept
        for asked in asks:
            self._file(asked)

    def get(self, name: str, path: str, status: int = 200, **more: Any) -> None:
        """Open an address and keep what comes."""
        self.take(name, self.client.get(path, **more), status)

    def show(self, name: str, session: CheckoutSession, status: int = 200) -> Visit:
        """Keep the hosted page of a session, in the step that it is at."""
        visit = Visit(self.client, session)
        self.take(name, self.client.get(visit.url), status, self._weigh(visit.url))
        return visit

    def cart(self, **draft: Any) -> CheckoutSession:
        """A session of several lines."""
        values: dict[str, Any] = {"surface": "checkout", "hosted": True, **draft}
        return sessions.create(self.shop.actor, SessionDraft(cart=CartSnapshot("GBP", _LINES), **values))

    def _file(self, path: str) -> None:
        if path in self.gallery.files:
            return
        answer = self.client.get(path)
        assert answer.status_code == 200, path
        headers, weight = dict(answer.headers), self._weigh(path)
        self.gallery.files[path] = Page(path, path, 200, headers, answer.data, weight)

    def _weigh(self, path: str) -> int:
        return len(self.client.get(path, headers={"Accept-Encoding": "gzip, br"}).data)


@pytest.fixture(scope="session")
def gallery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """Every page, taken once a process; the database that they come from is gone by then."""
    with databases.fresh("sqlite", request, tmp_path_factory.mktemp("gallery")):
        return take()


def take() -> Gallery:
    """Open everything."""
    shop = shops.make("Salt & Clay")
    catalogue.coupon(shop)
    catalogue.gift_card(shop, "GIFT-5678", 1000)
    catalogue.gift_card(shop, "GIFT-9999", 50_000)
    catalogue.shipping(shop, "slow", 199, label="Standard", carrier="Royal Mail", days_min=2, days_max=4)
    catalogue.shipping(shop, "fast", 399, days_min=1, days_max=1)
    camera = Camera(shops.application().test_client(), shop, Gallery())
    for series in (
        _to_pay,
        _to_deliver,
        _refused,
        _under_way,
        _over,
        _in_other_clothes,
        _links,
        _frames,
        _at_the_bank,
        _of_the_house,
    ):
        series(camera)
    return camera.gallery


@contextmanager
def ago(seconds: int) -> Iterator[None]:
    """What is made meanwhile was made so long ago."""
    with clock.frozen(clock.now() - timedelta(seconds=seconds)):
        yield


def _to_pay(camera: Camera) -> None:
    """The hosted page before anything is sent."""
    shop = camera.shop
    camera.show("pay", shop.session())
    options = {"allow_coupon_code": True, "allow_quantity": True, "tax": "included"}
    camera.show("pay, a quantity and a code to type", shop.session(options=options))
    camera.show(
        "pay, a cart with a discount",
        camera.cart(promotion_codes=("SAVE10",), cancel_url="https://shop.test/"),
    )
    customer = {"customer_id": "cust_1", "email": "sam@example.com"}
    catalogue.credit(shop, "cust_1", 1000)
    rich = shop.session(customer=customer)
    stored_value.apply_gift_card(shop.actor, rich.id, "GIFT-5678")
    camera.show("pay, a gift card and credit", rich)
    covered = shop.session()
    stored_value.apply_gift_card(shop.actor, covered.id, "GIFT-9999")
    camera.show("pay, nothing left to pay", covered)
    with ago(3600 - 200):
        ending = shop.session()
    camera.show("pay, near its end", ending)
    _, price = shop.offer("CLUB", 900, interval="month")
    draft = SimpleDraft(None, None, None, customer={"email": "ann@example.com"}, price_id=price)
    camera.show("pay, a subscription", simple_sessions.create(shop.actor, draft))
    camera.show("pay, no cards", shop.session(method_types=("paypal", "ideal", "promptpay")))
    camera.get("left for the shop", f"/pay/{camera.cart(cancel_url='https://shop.test/').hosted_id}/left")


def _to_deliver(camera: Camera) -> None:
    """The hosted page where goods are sent somewhere."""
    asks = {"require_shipping_address": True, "require_billing_address": True, "tax": "included"}
    session = camera.cart(options=asks)
    visit = camera.show("delivery, the address", session)
    wrong = visit.send("shipping", **typed("ship_", postal_code="12345", line1=""))
    camera.take("delivery, a wrong address", wrong, 422)
    visit.send("shipping", **typed("ship_"))
    camera.show("delivery, how", session)
    visit.send("shipping", shipping_option="fast")
    camera.show("delivery, whose bill", session)
    camera.take("delivery, a wrong bill", visit.send("billing", **typed("bill_", city="")), 422)
    visit.send("billing", **typed("bill_"))
    camera.show("delivery, ready to pay", session)


def _refused(camera: Camera) -> None:
    """The hosted page when something sent to it is wrong."""
    shop = camera.shop
    options = {"allow_coupon_code": True, "tax": "included"}
    visit = Visit(camera.client, shop.session(options=options))
    nothing = {"card_number": "", "exp_month": "13", "exp_year": "", "cvc": "", "email": "sam"}
    camera.take("pay, everything wrong", visit.pay(**nothing), 422)
    camera.take("pay, a code that is none", visit.send("coupon", coupon="NOPE"), 422)
    camera.take("pay, a gift card that is none", visit.send("gift-card", gift_card="NOPE"), 422)
    camera.show("pay, declined", shop.pay(shop.session(), NO_FUNDS))
    camera.take("a form without its token", camera.client.post(f"{visit.url}/coupon"), 400)


def _under_way(camera: Camera) -> None:
    """Sessions whose payment is neither done nor over."""
    shop = camera.shop
    camera.show("action, the bank asks", shop.pay(shop.session(), CHALLENGED))
    for method, name in (
        ("ideal", "a bank's page"),
        ("promptpay", "a code to scan"),
        ("bank_transfer", "a transfer"),
    ):
        session = shop.session(method_types=("card", method))
        payment.pay_by_redirect(shop.actor, session.id, method, payment.Order("nonce"))
        camera.show(f"action, {name}", session)
    camera.show("unknown", shop.pay(shop.session(), TIMES_OUT_AFTER))
    waiting = shop.pay(shop.session(), CHALLENGED)
    _mark(shop.intent(waiting), status="processing", next_action=None)
    camera.show("waiting", waiting)
    _mark(shop.intent(waiting), needs_review=True)
    camera.show("unknown, looked into", waiting)


def _over(camera: Camera) -> None:
    """Sessions that are paid, or that nobody can pay any more."""
    shop = camera.shop
    paid = shop.pay(
        camera.cart(success_url="https://shop.test/thanks", customer={"email": "sam@example.com"})
    )
    camera.show("receipt", paid)
    camera.client.get(f"/pay/{paid.hosted_id}/receipt")
    [kept] = finalizations.receipts(paid)
    camera.get("receipt to keep", f"/receipts/{kept.token}")
    _mark(shop.intent(paid), amount_refunded=1000, amount_refunding=1000)
    camera.show("receipt, refunded in part", paid)
    _mark(kept, voided_at=clock.now())
    camera.get("receipt to keep, void", f"/receipts/{kept.token}")
    camera.show("canceled", sessions.cancel(shop.actor, camera.cart(cancel_url="https://shop.test/").id))
    with ago(7200):
        late, copied = shop.session(), shop.session(cancel_url="https://shop.test/")
    camera.show("expired", late, 410)
    camera.show("expired, with a shop to go back to", copied, 410)
    undone = shop.pay(shop.session())
    _mark(undone, status="failed")
    camera.show("failed, the money is kept", undone)
    _mark(shop.intent(undone), amount_refunding=undone.grand_total)
    camera.show("failed, the money goes back", undone)


def _in_other_clothes(camera: Camera) -> None:
    """The hosted page in other languages, in live mode, and with a merchant's own colours."""
    session = camera.cart()
    for language in ("ar", "de", "ja"):
        speaks = {"Accept-Language": language}
        camera.get(f"pay, in {language}", f"/pay/{session.hosted_id}", headers=speaks)
    terms = {"support_email": "help@salt.example", "terms_url": "https://salt.example/terms"}
    for accent in ("#f5d90a", "#c2185b"):
        merchant_settings.change(camera.shop.actor, {"brand_accent": accent, **terms})
        camera.show(f"pay, accent {accent}", camera.cart())
    merchant_settings.change(camera.shop.actor, dict.fromkeys(("brand_accent", *terms), ""))


def _links(camera: Camera) -> None:
    """The pages of payment links."""
    shop = camera.shop
    words = {"title": "Boat trip", "description": "Two hours around the harbour.", "currency": "GBP"}

    def link(slug: str, page: dict[str, Any] | None = None, **terms: Any) -> None:
        links.create(shop.actor, LinkDraft(slug=slug, page=page, **{**words, "amount": 1000, **terms}))

    picture = uploads.store(shop.actor, "boat.png", "image/png", PNG)
    link("plain")
    camera.get("link", "/l/plain")
    link("asks", {**_QUESTIONS, "picture": picture.id})
    camera.get("link, scanned", "/l/asks?via=qr&utm_source=poster")
    answer = camera.client.post("/l/asks", data={**_token(camera, "/l/asks"), "quantity": "9", "boat": ""})
    camera.take("link, a wrong answer", answer, 422)
    link("free", amount=None, min_amount=500, max_amount=5000, presets=(1000, 2000))
    camera.get("link, an amount to choose", "/l/free")
    link("once", usage_limit=1)
    links.pay("once")
    camera.get("link, somebody is paying", "/l/once")
    link("used", {"messages": {"used_up": "Thank you, we are full. Come back next week."}}, usage_limit=1)
    shop.pay(links.pay("used"))
    camera.get("link, used up", "/l/used")
    links.update(shop.actor, "used", {"usage_limit": 2})
    shop.pay(links.pay("used"), nonce="second")
    camera.get("link, sold out", "/l/used")
    link("off")
    links.set_active(shop.actor, "off", False)
    camera.get("link, switched off", "/l/off")
    with ago(7200):
        link("over", expires_at=clock.now() + timedelta(seconds=3600))
    camera.get("link, expired", "/l/over")
    camera.get("poster", "/l/plain/poster")
    camera.get("poster, an amount to choose", "/l/free/poster")


def _frames(camera: Camera) -> None:
    """The hosted page in a frame of a shop's own."""
    shop, origin = camera.shop, "https://shop.example"
    merchant_settings.change(shop.actor, {"embed_origins": [origin]})
    for number, (name, claimed, status) in enumerate(
        (
            ("frame, pay", origin, 200),
            ("frame, receipt", origin, 200),
            ("frame, on a page that is not listed", "https://elsewhere.example", 403),
        )
    ):
        session = shop.session()
        path = f"/embed/{hosted.embed_token(shop.actor, session.id)[0]}"
        if number == 1:
            shop.pay(session)
        camera.get(name, path, status, query_string={"origin": claimed})


def _at_the_bank(camera: Camera) -> None:
    """The simulated bank, and the way back from it."""
    shop = camera.shop
    challenged = shop.pay(shop.session(), CHALLENGED)
    acs = _bank(shop, challenged)
    camera.get("bank, a code is asked for", acs)
    wrong = {**_token(camera, acs), "action": "submit", "code": "000000"}
    camera.take("bank, a wrong code", camera.client.post(acs, data=wrong), 422)
    session = shop.session()
    payment.pay_by_redirect(shop.actor, session.id, "ideal", payment.Order("nonce"))
    bank = _bank(shop, session)
    camera.get("bank, yes or no", bank)
    for action, name in (("abandon", "nothing was said"), ("authorize_lose_browser", "paid and lost")):
        answer = camera.client.post(bank, data={**_token(camera, bank), "action": action})
        camera.take(f"bank, {name}", answer)
    camera.get("return", f"/return/{shop.attempts(session)[0].return_nonce}")
    camera.get("return, from nowhere", "/return/" + "x" * 30, 404)
    api = Api(camera.client, shop)
    begun = api.post("/apm/ideal/initiate", {"intent_id": api.intent(None)["id"]})
    camera.get("return, to nobody", f"/return/{begun['token']}")


def _of_the_house(camera: Camera) -> None:
    """Pages of Till's own: the documentation, signing in, and what is not there."""
    camera.get("documentation", "/docs")
    camera.get("documentation of a surface", "/docs/orders")  # the others are drawn alike
    camera.get("sign-in", "/dashboard/sign-in")
    camera.get("no such page", "/pay/" + "x" * 30, 404)
    camera.take("no such way to ask", camera.client.delete("/l/plain"), 405)


def _bank(shop: Shop, session: CheckoutSession) -> str:
    """The path of the bank's page that a session waits at."""
    action = shop.intent(session).next_action
    assert action is not None
    return urlsplit(str(action["url"])).path


def _token(camera: Camera, path: str) -> dict[str, str]:
    """What a form there proves that it is ours with."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', camera.client.get(path).text)
    assert found is not None
    return {"csrf_token": found.group(1)}


def _mark(row: CheckoutSession | PaymentIntent | Receipt, **values: Any) -> None:
    """Have a row in a state that takes many steps to come to; only how its page looks is asked here."""
    with transaction() as db:
        db.execute(update(type(row)).where(type(row).id == row.id).values(**values))
